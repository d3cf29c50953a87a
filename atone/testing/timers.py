"""What must hold of timers; each check yields the order and what it found instead."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from ..sagas import Receive, Saga, Status
from ..sagas.behaviour import WORDS
from ..sagas.snapshot import decode
from ..storage import Advance, Create, Created, Quarantine, Record, Snapshot
from .evidence import Evidence
from .journal import Committed
from .trail import Trail

#: Rows that lead to a wait in the very moment that they tell of.
_LEADS_ON = {"BEGUN", "RETURNED", "PROBE_HAPPENED", "RECEIVED"}
#: Requests of a person that may set a timer anew.
_MENDS = {"RETRY", "RESOLVE", "SKIP"}
#: Seconds that a decision may take, from the look at the clock to the commit.
_DECIDING = 1.0


def ended_too_early(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Waits that ended before their time, by the clock that was written down with them."""
    for id, trail in evidence.trails.items():
        if evidence.exact and trail.record.damage is None:
            yield from ((id, detail) for detail in _waits(trail))


def begun_too_early(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """What a timer was set for, and came before the time that was stored on disk."""
    stored: dict[int, Snapshot] = {}  # of those with a timer
    for write, result in evidence.journal.of(Committed):
        if type(write) is Advance:
            key, snapshot = write.key, write.snapshot
            before = stored.pop(key, None)
            if before is not None and before.wake_at is not None and before.wake_at > write.at:
                yield from _early(evidence, before, write)
        elif type(write) is Create and type(result) is Created:
            key, snapshot = result.key, write.snapshot
        else:
            if type(write) is Quarantine:  # which has no timer any more
                stored.pop(write.key, None)
            continue
        if snapshot.wake_at is not None:
            stored[key] = snapshot


def _early(evidence: Evidence, before: Snapshot, write: Advance) -> Iterator[tuple[str | None, str]]:
    """What a commit says that it should not say before the first of all timers is due."""
    for trail in evidence.trails.values():
        if trail.record.key == write.key and trail.saga is not None and trail.record.damage is None:
            yield from ((trail.record.id, one) for one in _told(trail.saga, trail.record, before, write))


def _told(saga: Saga[Any], record: Record, before: Snapshot, write: Advance) -> Iterator[str]:
    events = {entry.event for entry in write.history}
    if write.history and write.history[0].event == "DUE":
        yield f"it was woken {_until(before.wake_at, write.at)} too early"
    begun = [token.split("/") for entry in write.history for token in (entry.begun or "").split()]
    if not (begun or events & {"TIMEOUT", "DEADLINE"}) or events & _MENDS:
        return
    progress, _ = decode(before.body, record.parts)
    slots = {slot.name: progress.slots[place] for place, slot in enumerate(saga.slots)}
    for step, work, number in begun:
        slot = slots[step]
        due = slot.due if slot.work is not None and WORDS[slot.work] == work else None
        lingers = slot.lingers if not events & {"LATE", "RESUMED"} else None
        if max(due or 0.0, lingers or 0.0) > write.at:
            yield f"{step}/{work}/{number} began {_until(max(due or 0.0, lingers or 0.0), write.at)} too early"
    for entry in write.history:
        due = slots[entry.step].due if entry.event == "TIMEOUT" and entry.step is not None else None
        due = progress.deadline if entry.event == "DEADLINE" else due
        if due is not None and due > write.at:
            yield f"{entry.event} of {entry.step or 'the order'} came {_until(due, write.at)} too early"


def _until(due: float | None, at: float) -> str:
    return f"{(due or at) - at:.3f} s"


def _waits(trail: Trail) -> Iterator[str]:
    for before, row in pairwise(trail.rows):
        place = trail.place(row.entry.step or "")
        if row.entry.event != "TIMEOUT" or place is None or trail.saga is None:
            continue
        slot = trail.saga.slots[place]
        began = before.entry.event in _LEADS_ON and before.entry.target == Status.WAITING != before.entry.source
        if began and isinstance(slot, Receive) and slot.timeout is not None:
            waited = row.at - before.at
            if waited < slot.timeout - _DECIDING:
                yield f"{slot.name} was awaited for {waited:.3f} s, and may be for {slot.timeout:g} s"
