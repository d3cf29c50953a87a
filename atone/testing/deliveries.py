"""What must hold of requests that come again; each check yields the order and what it found instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from .evidence import Evidence


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
