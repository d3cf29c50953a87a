"""What must hold of requests that come again; each check yields the order and what it found instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..storage import Accept, Advance
from .evidence import Evidence
from .journal import Committed


def received_twice(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Places that took more than one message; and repeats that were accepted as if they were new."""
    for id, trail in evidence.trails.items():
        taken = Counter(row.entry.step for row in trail.rows if row.entry.event == "RECEIVED")
        for place, number in taken.items():
            if number > 1:
                yield id, f"{place} received {number} messages, and waits for one"
    accepted = Counter(
        (promise.order, promise.id)
        for promise in evidence.promises
        if promise.what == "send" and promise.answer == "ACCEPTED"
    )
    for (order, id), number in accepted.items():
        if number > 1:
            yield order, f"message {id} was accepted {number} times"


def taken_twice(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Messages that were consumed by two commits, or are on disk twice; and orders that nobody has started."""
    seen: set[object] = set()
    for write, _ in evidence.journal.of(Committed):
        if type(write) is Advance:
            for seq, answer in write.consumed:
                if seq in seen:
                    yield None, f"message {seq} was consumed before, and once more as {answer}"
                seen.add(seq)
        elif type(write) is Accept:
            place = (write.actor, write.lane, write.id)
            if place in seen:
                yield write.actor, f"message {write.id} was accepted twice"
            seen.add(place)
    if evidence.journal.expected:
        for id in evidence.trails.keys() - evidence.journal.expected:
            yield id, "nobody has started this order"
