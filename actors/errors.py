"""Errors of actors."""

from __future__ import annotations

from ..storage import AtoneError


class ActorError(AtoneError):
    """Base class of what the actor layer raises."""


class NotHosting(ActorError):
    """This process does not own the store, or is leaving it; another one will do the work."""
