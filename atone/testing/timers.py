"""What must hold of timers; each check yields the order and what it found instead."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from ..sagas import Receive, Status
from .evidence import Evidence, Trail

#: Rows that lead to a wait in the very moment that they tell of.
_LEADS_ON = {"BEGUN", "RETURNED", "PROBE_HAPPENED", "RECEIVED"}
#: Seconds that a decision may take, from the look at the clock to the commit.
_DECIDING = 1.0


def ended_too_early(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Waits that ended before their time, by the clock that was written down with them."""
    for id, trail in evidence.trails.items():
        if evidence.exact and trail.record.damage is None:
            yield from ((id, detail) for detail in _waits(trail))


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
