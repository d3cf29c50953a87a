"""What must hold where an order turns back; each check yields what it found instead."""

from __future__ import annotations

from collections.abc import Iterator

from ..sagas import Status, Step
from ..sagas.progress import Work
from ..storage import HistoryRow
from .trail import Trail

#: Reasons that need no person's consent, and no count of tries.
_REASONS = {"REFUSED", "PROBE_NEVER_WILL_HAPPEN", "TIMEOUT", "DEADLINE"}
#: What a person may ask for that turns an order back.
_ASKED = {"CANCEL", "RESOLVE", "ABANDON"}
#: What may have been the last try of a step.
_LOST = {
    "IN_DOUBT", "INTERRUPTED", "LATE", "PROBE_IN_DOUBT", "PROBE_REFUSED", "PROBE_INTERRUPTED", "PROBE_STILL_UNKNOWN",
    "PROBE_DID_NOT_HAPPEN",
}  # fmt: skip
_BACK = {Status.COMPENSATING, Status.COMPENSATED}


def without_reason(trail: Trail) -> Iterator[str]:
    """Orders that turned back, and history does not say why; and those that went forward again."""
    for row in trail.rows:
        if row.entry.target in _BACK or any(one.work == "compensation" for one in trail.begun(row)):
            if not any(_turns(trail, one) for one in trail.rows if one.revision <= row.revision):
                yield f"it is {row.entry.target} since {row.entry.event}, and nothing before was a reason to turn back"
            forward = [one for one in trail.intents if one.seq > row.seq and one.work != "compensation"]
            yield from (f"{one} was begun after the order had turned back" for one in forward[:1])
            return


def cancelled_already(trail: Trail) -> Iterator[str]:
    """Cancels that were answered ALREADY_CANCELLING although the order was on its way forward."""
    for row in trail.events("CANCEL"):
        said = (row.entry.note or "").startswith("ALREADY_CANCELLING")
        if said and not any(_turns(trail, one) for one in trail.rows if one.seq < row.seq):
            yield "a cancel was answered ALREADY_CANCELLING, and nothing before was a reason to turn back"


def _turns(trail: Trail, row: HistoryRow) -> bool:
    """Whether a line may be the reason why its order turned back."""
    event = row.entry.event
    if event == "TIMEOUT" and any(one.seq < row.seq for one in trail.events("RECEIVED", step=row.entry.step)):
        return False  # it had come
    if event in _REASONS or trail.declined(row):
        return True
    return (event in _ASKED and trail.agreed(row)) or (event in _LOST and _no_more(trail, row))


def _no_more(trail: Trail, row: HistoryRow) -> bool:
    """Whether a step whose attempt came to nothing is not sent again; where its policy is not known, that may be."""
    place = trail.place(row.entry.step or "")
    step = trail.saga.slots[place] if trail.saga is not None and place is not None else None
    if trail.saga is None or place is None or not trail.exact or not isinstance(step, Step) or not step.repeatable:
        return True
    tries = [one for one in trail.events("IN_DOUBT", step=step.name) if one.seq <= row.seq]
    return len(tries) >= trail.saga.retry(place, Work.ACTION).attempts
