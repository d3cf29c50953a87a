"""What must hold of histories and records; each check yields what it found instead."""

from __future__ import annotations

from collections.abc import Iterator

from ..sagas import Receive, Status
from ..storage import HistoryRow, Phase
from .evidence import Evidence, Trail

#: How history names the ends of attempts: the work, and whether it succeeded.
_ENDS = {
    "RETURNED": "action",
    "REFUSED": "action",
    "IN_DOUBT": "action",
    "PROBE_HAPPENED": "probe",
    "PROBE_REFUSED": "probe",
    "PROBE_IN_DOUBT": "probe",
    "PROBE_DID_NOT_HAPPEN": "probe",
    "PROBE_NEVER_WILL_HAPPEN": "probe",
    "PROBE_STILL_UNKNOWN": "probe",
    "COMPENSATION_RETURNED": "compensation",
    "COMPENSATION_REFUSED": "compensation",
    "COMPENSATION_IN_DOUBT": "compensation",
}
_UNDONE = "COMPENSATION_RETURNED"


def damaged(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Bytes that cannot be read."""
    for id, trail in evidence.trails.items():
        if trail.record.damage is not None:
            yield id, trail.record.damage


def gaps(trail: Trail) -> Iterator[str]:
    """Revisions without history, and history that does not fit together."""
    revisions = sorted({row.revision for row in trail.rows})
    if not revisions:
        yield "there is no history"
        return
    expected = list(range(revisions[0], trail.record.revision + 1))
    if revisions != expected or revisions[0] > 1:
        yield f"revisions {revisions} in history, and revision {trail.record.revision} on record"
    last: HistoryRow | None = None
    for row in trail.rows:
        if last is not None and row.entry.source != last.entry.target and not _of_one_decision(last, row):
            yield f"{row.entry.event} at revision {row.revision} comes from {row.entry.source}, not {last.entry.target}"
        last = row
    if last is not None and last.entry.target != trail.status:
        yield f"history ends in {last.entry.target}, the record says {trail.status}"


def _of_one_decision(one: HistoryRow, other: HistoryRow) -> bool:
    """Whether two lines may tell of one decision: each of its lines says from where to where it led."""
    return (one.revision, one.entry.source, one.entry.target) == (
        other.revision, other.entry.source, other.entry.target,
    )  # fmt: skip


def unannounced(trail: Trail) -> Iterator[str]:
    """Attempts that were begun twice or out of turn, and ends of attempts that never began."""
    seen: dict[tuple[str, str, int], int] = {}
    for intent in trail.intents:
        place = (intent.step, intent.work, intent.number)
        if place in seen:
            yield f"{intent.step}/{intent.work}/{intent.number} was begun twice"
        elif intent.number != 1 and (intent.step, intent.work, intent.number - 1) not in seen:
            yield f"{intent.step}/{intent.work}/{intent.number} was begun without the attempt before it"
        seen[place] = intent.seq
    ended: set[tuple[str, str, int]] = set()
    for row in trail.rows:
        work = _ENDS.get(row.entry.event)
        if work is None or row.entry.step is None or row.entry.attempt is None:
            continue
        place = (row.entry.step, work, row.entry.attempt)
        words = f"{row.entry.event} of {row.entry.step}, attempt {row.entry.attempt},"
        if seen.get(place, row.seq) >= row.seq:
            yield f"{words} was never begun before"
        if place in ended:
            yield f"{words} is the second end of that attempt"
        ended.add(place)


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


def two_ends(trail: Trail) -> Iterator[str]:
    """Changes after the end."""
    end: HistoryRow | None = None
    for row in trail.rows:
        if end is not None and (row.entry.target != end.entry.target or row.entry.begun):
            yield f"{row.entry.event} came after the order had ended as {end.entry.target}"
        if end is None and Status(row.entry.target).final:
            end = row
    phase = trail.record.snapshot.phase
    if trail.final != (phase is Phase.FINAL):
        yield f"the status is {trail.status} and the phase {phase.name}"


def past_pivot(trail: Trail) -> Iterator[str]:
    """A way back behind the point of no return."""
    pivot = trail.pivot
    sent = trail.sent(pivot, "action") if pivot is not None else []
    if pivot is None or not sent:
        return
    if any(row.seq > sent[0].seq for row in trail.accepted("CANCEL")):
        yield f"a cancel was accepted although {pivot} had begun"
    back = [one for one in trail.intents if one.work == "compensation" and one.seq > sent[0].seq]
    if back and not trail.cleared(pivot) and not trail.resolved(pivot, sent[0].seq):
        yield f"{back[0].step} was undone although {pivot} may have happened"


def unfinished(trail: Trail) -> Iterator[str]:
    """Steps that did not succeed in an order that says it is complete."""
    if trail.status != Status.COMPLETED or trail.saga is None:
        return
    for slot in trail.saga.slots:
        if isinstance(slot, Receive):
            continue
        done = trail.events("RETURNED", "PROBE_HAPPENED", step=slot.name)
        if not done and not trail.resolved(slot.name, -1):
            yield f"{slot.name} did not succeed"


def cancelled_and_went_on(trail: Trail) -> Iterator[str]:
    """Steps begun after a cancel was accepted."""
    for row in trail.accepted("CANCEL"):
        forward = [one for one in trail.intents if one.seq > row.seq and one.work == "action"]
        if forward:
            yield f"{forward[0].step} was begun after the cancel was accepted"
        if trail.status == Status.COMPLETED:
            yield "the order ended as COMPLETED"


def no_way_out(trail: Trail) -> Iterator[str]:
    """Orders that nothing will ever move again."""
    record = trail.record
    now = record.snapshot
    if trail.final:
        if record.messages:
            yield f"{len(record.messages)} messages were accepted and never answered"
        return
    if now.phase is Phase.ACTIVE or now.wake_at is not None:
        return
    if trail.status == Status.PARKED and (record.quarantine or trail.events("PARKED", "QUARANTINED")):
        return
    if trail.status not in {Status.WAITING, Status.SUSPENDED}:
        yield f"it is {trail.status}, idle, without a timer and without a reason"


def from_the_future(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Orders written by an owner that never was."""
    for id, trail in evidence.trails.items():
        if evidence.lease is not None and trail.record.epoch > evidence.lease.epoch:
            yield id, f"it was written in epoch {trail.record.epoch}, and the lease is at {evidence.lease.epoch}"
