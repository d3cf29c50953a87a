"""What must hold of the way forward; each check yields what it found instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..sagas import Receive, Saga, Status
from ..sagas.progress import ParkReason
from ..storage import HistoryRow
from .trail import Trail

#: What says that a place of the saga is behind the order.
_PASSES = {"RETURNED", "PROBE_HAPPENED", "RECEIVED"}
#: What a person says of the place that the order is parked for, so that it goes on.
_WAVED_ON = {"RESOLVE", "SKIP"}
_LIFTS = {*_WAVED_ON, "RETRY", "ABANDON"}
#: What does so as well where the order is parked since its saga could not say whether a message is wanted.
_OVERTAKES = {"CANCEL", "DEADLINE"}
#: Times that are over.
_OVER = {"TIMEOUT", "DEADLINE"}


def out_of_order(trail: Trail) -> Iterator[str]:
    """Steps that were begun before everything that stands before them was done."""
    saga = trail.saga
    if saga is None:
        return
    for row, passed, awaited in _followed(trail, saga):
        for intent in trail.begun(row):
            place = trail.place(intent.step) if intent.work == "action" else None
            if place is not None:
                node = next(node for node in saga.nodes if place in node)
                for name in _missing(trail, saga, node[0], passed, awaited):
                    yield f"{intent} was begun, and {name} was not done before"


def unfinished(trail: Trail) -> Iterator[str]:
    """Steps that did not succeed, and messages that did not come, in an order that says it is complete."""
    if trail.status != Status.COMPLETED or trail.saga is None:
        return
    passed: set[str | None] = set()
    awaited: set[str] = set()
    for _, passed, awaited in _followed(trail, trail.saga):  # noqa: B007  # how it stands in the end
        pass
    for name in _missing(trail, trail.saga, len(trail.saga.slots), passed, awaited):
        what = "did not succeed" if not isinstance(trail.saga.slots[trail.place(name) or 0], Receive) else "never came"
        yield f"{name} {what}"


def _missing(trail: Trail, saga: Saga[Any], end: int, passed: set[str | None], awaited: set[str]) -> Iterator[str]:
    """The places up to one that the order should have behind it, and has not."""
    for slot in saga.slots[:end]:
        if slot.name not in passed and not (_optional(trail, slot) and slot.name not in awaited):
            yield slot.name


def _optional(trail: Trail, slot: object) -> bool:
    """Whether an order may have passed a place without a word: its message was not wanted, or in another release."""
    return isinstance(slot, Receive) and (slot.when is not None or not trail.exact)


def _followed(trail: Trail, saga: Saga[Any]) -> Iterator[tuple[HistoryRow, set[str | None], set[str]]]:
    """Every line; with it the places that are behind the order, and the messages that it was seen waiting for."""
    passed: set[str | None] = set()
    awaited: set[str] = set()
    parked: str | None = None
    optional = any(_optional(trail, slot) for slot in saga.slots)
    for row in trail.rows:
        entry = row.entry
        if entry.event == "PARKED":
            parked = entry.step
        elif entry.event in _PASSES:
            passed.add(entry.step)
        elif entry.event in _WAVED_ON and trail.agreed(row):
            passed.add(parked)
        yield row, passed, awaited
        if optional and entry.target == Status.WAITING:
            awaited.update(_next_message(saga, passed))


def _next_message(saga: Saga[Any], passed: set[str | None]) -> Iterator[str]:
    """The message that an order waits for which has passed these; none where it might be one of several."""
    left = [slot for slot in saga.slots if slot.name not in passed]
    if left and isinstance(left[0], Receive) and not (len(left) > 1 and isinstance(left[1], Receive)):
        yield left[0].name


def stopped_and_went_on(trail: Trail) -> Iterator[str]:
    """Steps begun after a cancel was accepted, a message has declined the order, or its time was over."""
    for row in trail.rows:
        why = _stop(trail, row)
        if why is None:
            continue
        forward = [one for one in trail.intents if one.seq >= row.seq and one.work == "action"]
        if forward:
            yield f"{forward[0].step} was begun after {why}"
        if trail.status == Status.COMPLETED:
            yield f"the order ended as COMPLETED after {why}"


def _stop(trail: Trail, row: HistoryRow) -> str | None:
    """Why an order goes forward no more from this line on; `None` where it may."""
    entry = row.entry
    if entry.event == "CANCEL" and trail.agreed(row):
        return "the cancel was accepted"
    if entry.event in _OVER:
        return f"its time was over ({entry.event})"
    return f"{entry.note} was received" if trail.declined(row) else None


def begun_while_held(trail: Trail) -> Iterator[str]:
    """Whatever was begun in an order that was suspended or parked."""
    suspended, parked = False, None
    for row in trail.rows:
        event = row.entry.event
        if event in {"SUSPEND", "RESUME"} and trail.agreed(row):
            suspended = event == "SUSPEND"
        elif event == "PARKED":
            parked = row.entry.note
        elif (event in _LIFTS and trail.agreed(row)) or (
            parked == ParkReason.PREDICATE and event in _OVERTAKES and (event == "DEADLINE" or trail.agreed(row))
        ):
            parked = None
        if suspended or parked is not None:
            how = "suspended" if suspended else f"parked ({parked})"
            yield from (f"{intent} was begun while the order was {how}" for intent in trail.begun(row))
