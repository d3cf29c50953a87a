"""What must hold of answers that clients were given; each check yields the order and what it found instead."""

from __future__ import annotations

from collections.abc import Iterator

from .bounds import REFUSED
from .evidence import Evidence


def lost(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Answers that the disk does not bear out."""
    gone: dict[str, set[str]] = {}
    for promise in evidence.promises:
        trail = evidence.trails.get(promise.order)
        if trail is None:
            if promise.answer in REFUSED:
                continue
            if promise.what == "start" or promise.answer in {"ACCEPTED", "DUPLICATE", "TOO_LATE", "ALREADY_CANCELLING"}:
                yield promise.order, f"{promise.what} was answered {promise.answer}, and the order is not on disk"
        elif promise.what == "send" and promise.answer in {"ACCEPTED", "DUPLICATE"} and not trail.final:
            waiting = {message.id for message in trail.record.messages}
            gone.setdefault(promise.order, set()).update({promise.id} - waiting)
    for order, ids in gone.items():
        taken = len(evidence.trails[order].events("RECEIVED", "DEAD_LETTER"))  # one message each
        if len(ids) > taken:
            yield order, f"{', '.join(sorted(ids))} accepted, and not waiting; messages received: {taken}"


def contradicted(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Cancels that were answered one thing and then another, or against what is on disk."""
    first: dict[tuple[str, str], str] = {}
    for promise in evidence.promises:
        trail = evidence.trails.get(promise.order)
        if promise.what != "cancel" or trail is None or promise.answer == "NOT_FOUND":  # nobody was there to keep it
            continue
        if first.setdefault((promise.order, promise.id), promise.answer) != promise.answer:
            yield promise.order, f"the repeat of {promise.id} was answered {promise.answer}"
        pivot = trail.pivot
        if promise.answer == "TOO_LATE" and pivot is not None and not trail.sent(pivot, "action"):
            yield promise.order, f"cancel was answered TOO_LATE, and {pivot} was never begun"
