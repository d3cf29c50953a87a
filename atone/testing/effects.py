"""What must hold of participants; each check yields the order and what it found instead."""

from __future__ import annotations

from collections.abc import Iterator

from ..sagas import Status
from .evidence import Evidence
from .services import FakeService
from .trail import Trail


def _effects(evidence: Evidence) -> Iterator[tuple[Trail, str, FakeService, str, int]]:
    """Of every effect: its order, step, service, action, and how often it stands."""
    for service in evidence.services:
        for (action, key), count in service.ledger.standing.items():
            order, step, _ = evidence.owner(key)
            if order is not None:
                yield evidence.trails[order], step, service, action, count


def left_behind(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Effects of an order that was undone."""
    for trail, step, service, action, count in _effects(evidence):
        owed = trail.saga is None or trail.owed(step) or (step == trail.pivot and not trail.resolved(step, -1))
        if trail.status == Status.COMPENSATED and count > 0 and owed:
            yield trail.record.id, f"{service.name}.{action} of step {step} stands, and the order is COMPENSATED"


def not_once(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Effects of a completed order that do not stand exactly once."""
    for trail, step, service, action, count in _effects(evidence):
        if trail.status == Status.COMPLETED and count != 1:
            yield trail.record.id, f"{service.name}.{action} of step {step} stands {count} times"


def strange_keys(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Keys that are not made from a step's."""
    for service in evidence.services:
        for name, key in dict.fromkeys(service.ledger.sent):
            if evidence.owner(key)[0] is None:
                yield None, f"{service.name}.{name} was called under {key!r}, which is not made from a step's key"


def undone_in_order(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Effects undone in another order than the reverse."""
    undone = [
        (line.at, *evidence.owner(line.key)[:2]) for service in evidence.services for line in service.ledger.lines
        if line.undone and line.known
    ]  # fmt: skip
    last: dict[str, tuple[int, str]] = {}
    for _, order, step in sorted(undone, key=lambda one: one[0]):
        place = evidence.trails[order].place(step) if order is not None else None
        if order is None or place is None:
            continue
        if evidence.trails[order].resolved(step, -1):
            continue  # a person went on without it, and its request may still have arrived
        if order in last and place > last[order][0]:
            yield order, f"{step} was undone after {last[order][1]}, which stands before it"
        last[order] = (place, step)
