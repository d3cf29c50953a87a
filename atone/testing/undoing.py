"""What must hold of the way back; each check yields what it found instead."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from ..sagas import Status, Step
from ..sagas.progress import Work
from .trail import Trail

_UNDONE = "COMPENSATION_RETURNED"
_FAILED = {"COMPENSATION_IN_DOUBT", "COMPENSATION_REFUSED"}
#: What a person may decide about it.
_DECIDED = {"RETRY", "RESOLVE", "SKIP", "ABANDON"}
#: What stands in history where a host takes an order up whose work was cut off.
_TAKEN_UP = {"RESUMED", "INTERRUPTED", "LATE", "OVERLAP"}


def forgotten(trail: Trail) -> Iterator[str]:
    """Steps that may have happened, of an order that says it was undone."""
    if trail.status != Status.COMPENSATED:
        return
    for step in trail.names:
        sent = trail.sent(step, "action")
        if not sent or not trail.owed(step) or trail.cleared(step):
            continue
        if not trail.events(_UNDONE, step=step, after=sent[-1].seq) and not trail.resolved(step, sent[-1].seq):
            yield f"{step} was sent {len(sent)} time(s), nothing proves that it did not happen, and it was not undone"


def disordered(trail: Trail) -> Iterator[str]:
    """Steps undone in the wrong order."""
    open_: str | None = None
    last: int | None = None
    for row in trail.rows:
        step = row.entry.step
        if open_ is not None and (row.entry.event == _UNDONE and step == open_):
            open_ = None
        for intent in (one for one in trail.intents if one.seq == row.seq and one.work == "compensation"):
            if open_ is not None and open_ != intent.step and not trail.resolved(open_, -1):
                yield f"{intent.step} began to be undone before {open_} was acknowledged"
            place = trail.place(intent.step)
            if place is not None and last is not None and place > last:
                yield f"{intent.step} was undone after a step that stands before it"
            open_, last = intent.step, place if place is not None else last


def given_up(trail: Trail) -> Iterator[str]:
    """Compensations that failed, and that the order left behind without a person's word."""
    failed: str | None = None
    refused = False  #: and will not be tried again by itself
    for row in trail.rows:
        entry = row.entry
        if entry.event in _FAILED:
            failed, refused = entry.step, entry.event == "COMPENSATION_REFUSED"
        elif entry.event == _UNDONE and entry.step == failed:
            failed = None
        elif entry.event in _DECIDED and (entry.note or "").startswith("ACCEPTED"):
            failed, refused = (failed if entry.event == "RETRY" else None), False
        begun = [one.partition("/")[0] for one in (entry.begun or "").split() if "/compensation/" in one]
        if failed is not None and ((begun and refused) or set(begun) - {failed} or Status(entry.target).final):
            what = f"{', '.join(begun)} began to be undone" if begun else f"the order ended as {entry.target}"
            yield f"{what}, and nobody had said what becomes of {failed}, whose compensation had failed"
            failed = None
    if trail.status == Status.ABANDONED and not (trail.accepted("ABANDON") or trail.accepted("SKIP")):
        yield "the order is ABANDONED, and nobody has abandoned it"


def undone_for_no_reason(trail: Trail) -> Iterator[str]:
    """Orders that turned back because their work was cut off, although it could be tried again."""
    if not trail.events("INTERRUPTED"):
        return
    for _, lines in groupby(trail.rows, key=lambda row: row.revision):
        rows = list(lines)
        entry = rows[-1].entry
        cut_off = [row.entry.step for row in rows if row.entry.event == "INTERRUPTED"]
        forward = entry.source in {Status.RUNNING, Status.WAITING}
        turned = entry.target in {Status.COMPENSATING, Status.COMPENSATED}
        if cut_off and forward and turned and {row.entry.event for row in rows} <= _TAKEN_UP:
            others = {one.step for one in trail.intents if one.seq < rows[0].seq} - set(cut_off)
            if all(trail.succeeded(one) for one in others) and all(one and _may_go_on(trail, one) for one in cut_off):
                yield f"{', '.join(map(str, cut_off))} was cut off while it was {entry.source}, and it turned back"


def _may_go_on(trail: Trail, name: str) -> bool:
    """Whether a step whose attempt was cut off can be asked about, or sent again."""
    place = trail.place(name)
    step = trail.saga.slots[place] if trail.saga is not None and place is not None else None
    if trail.saga is None or place is None or not isinstance(step, Step):
        return False
    return step.repeatable or trail.saga.calls[place][Work.PROBE] is not None
