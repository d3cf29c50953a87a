"""What must hold of participants; each check yields the order and what it found instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..sagas import Status
from .evidence import Evidence
from .journal import Asked
from .services import FakeService
from .trail import Trail


def _effects(evidence: Evidence) -> Iterator[tuple[Trail, str, FakeService, str, str, int]]:
    """Of every effect: its order, step, service, action and key, and how often it stands."""
    for service in evidence.services:
        for (action, key), count in service.ledger.standing.items():
            order, step, _ = evidence.owner(key)
            if order is not None:
                yield evidence.trails[order], step, service, action, key, count


def left_behind(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Effects of an order that was undone."""
    for trail, step, service, action, _, count in _effects(evidence):
        owed = trail.saga is None or trail.owed(step) or (step == trail.pivot and not trail.resolved(step, -1))
        if trail.status == Status.COMPENSATED and count > 0 and owed:
            yield trail.record.id, f"{service.name}.{action} of step {step} stands, and the order is COMPENSATED"


def _given_back(evidence: Evidence) -> Callable[[FakeService, str, str], bool]:
    """Whether the way forward itself has asked for an action to be undone, as for a lock at its end."""
    forward = {
        (asked.service, asked.call, asked.key) for asked in evidence.journal.of(Asked)
        if asked.sender is not None and asked.sender.work == "action"
    }  # fmt: skip

    def given_back(service: FakeService, action: str, key: str) -> bool:
        declared = service.actions().get(action)  # of a participant that was only told of, there is no declaration
        return declared is not None and (service.name, declared.undo, key) in forward

    return given_back


def not_once(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Effects of a completed order that do not stand exactly once, and that it has not given back itself."""
    given_back = _given_back(evidence)
    for trail, step, service, action, key, count in _effects(evidence):
        gone = count < 1 and given_back(service, action, key)
        if trail.status == Status.COMPLETED and count != 1 and not gone:
            yield trail.record.id, f"{service.name}.{action} of step {step} stands {count} times"


def strange_keys(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Keys that are not made from a step's."""
    for service in evidence.services:
        for name, key in dict.fromkeys(service.ledger.sent):
            if evidence.owner(key)[0] is None:
                yield None, f"{service.name}.{name} was called under {key!r}, which is not made from a step's key"


def undone_in_order(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Effects undone in another order than the reverse."""
    given_back = _given_back(evidence)
    undone = [
        (line.at, *evidence.owner(line.key)[:2]) for service in evidence.services for line in service.ledger.lines
        if line.undone and line.known and not given_back(service, line.action, line.key)
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
