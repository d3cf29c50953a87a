"""What must hold while a store is in trouble; each check yields the order and what it found instead."""

from __future__ import annotations

from collections.abc import Iterator

from ..storage import Create, Created
from .evidence import Evidence
from .journal import Began, Committed, Failed, Loaded, Made, Moved, Reopened

Found = Iterator[tuple[str | None, str]]


def built_on_the_unknown(evidence: Evidence) -> Found:
    """Orders that were moved on from memory, when nobody knew what was on disk."""
    events = evidence.journal.events
    if not evidence.journal.of(Failed):
        return
    ids: dict[int, str] = {}
    failed: dict[str, int] = {}  # when its last write failed, by process
    known: dict[str, set[int]] = {}  # what it has read, or begun, since then
    for place, event in enumerate(events):
        if isinstance(event, Committed):
            if isinstance(event.result, Created) and isinstance(event.write, Create):
                ids[event.result.key] = event.write.id
        elif isinstance(event, Failed):
            failed[event.process], known[event.process] = place, set()
        elif isinstance(event, Loaded):
            if event.process in failed and event.since > failed[event.process]:
                known[event.process].update(event.keys)
        elif isinstance(event, Made):
            known.setdefault(event.process, set()).add(event.key)
        elif isinstance(event, Moved) and event.process in failed and event.key not in known[event.process]:
            yield (
                ids.get(event.key),
                f"{event.process} moved it on after a commit had failed, and had not read it again",
            )


def begun_while_sick(evidence: Evidence) -> Found:
    """Attempts that began between a write that failed and the moment at which the store was open again."""
    sick: set[str] = set()
    if not evidence.journal.of(Failed):
        return
    for event in evidence.journal.events:
        if isinstance(event, Failed):
            sick.add(event.process)
        elif isinstance(event, Reopened):
            sick.discard(event.process)
        elif sick and isinstance(event, Began) and event.sender.process in sick:
            yield event.sender.order, f"{event.sender} began, and the store had not been opened again"
