"""Decisions made twice: once by the engine, and once more from what is on disk."""

from __future__ import annotations

from collections.abc import Iterator

from .evidence import Evidence
from .journal import Differed


def differed(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Decisions that did not follow from the snapshot and the event alone."""
    for event in evidence.journal.events:
        if type(event) is Differed:
            yield event
