"""Faults in what clients are told of an order that goes on all the same."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from atone import CancelAnswer, SendAnswer
from atone.sagas.access import Access
from atone.sagas.events import Control, Verb

from .mutant import mutant

Planted = AbstractContextManager[object]


def _told(lie: CancelAnswer) -> Planted:
    """Whoever cancels is told this, and nothing else happens."""
    real = Access.request

    async def request(self: Access, order_id: str, control: Control, *rest: Any) -> str:
        return lie if control.verb is Verb.CANCEL else await real(self, order_id, control, *rest)

    return patch.object(Access, "request", request)


@mutant("scenarios", "S12 truthful answers")
def cancel_finished() -> Planted:
    """A cancel is answered ALREADY_FINISHED while the order runs."""
    return _told(CancelAnswer.ALREADY_FINISHED)


@mutant("scenarios", "S12 truthful answers")
def cancel_already_under_way() -> Planted:
    """A cancel is answered ALREADY_CANCELLING while the order goes forward."""
    return _told(CancelAnswer.ALREADY_CANCELLING)


@mutant("scenarios", "S12 truthful answers")
def cancel_not_found() -> Planted:
    """A cancel is answered NOT_FOUND although the order is there."""
    return _told(CancelAnswer.NOT_FOUND)


def _said(lie: SendAnswer) -> Planted:
    """Whoever sends a message is told this, and nothing else happens."""

    async def send(_self: Access, _order_id: str, _message: object, _message_id: str | None) -> SendAnswer:
        return lie

    return patch.object(Access, "send", send)


@mutant("scenarios", "S12 truthful answers")
def message_finished() -> Planted:
    """A message is answered ALREADY_FINISHED while the order runs."""
    return _said(SendAnswer.ALREADY_FINISHED)


@mutant("scenarios", "S12 truthful answers")
def message_never_expected() -> Planted:
    """A message is answered NEVER_EXPECTED although the saga waits for it."""
    return _said(SendAnswer.NEVER_EXPECTED)


@mutant("scenarios", "S7 an answer is durable")
def message_duplicate() -> Planted:
    """A message that nobody has seen before is answered DUPLICATE, and is dropped."""
    return _said(SendAnswer.DUPLICATE)
