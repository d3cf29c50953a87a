"""What must hold of every order, as named checks over history, records and the ledgers of participants.

This is the only place that says so. A simulation, `crash_everywhere` and `verify` of a real file ask the same
checks; each looks at as much evidence as there is. The names S1 to S20 and L1 are those of docs/testing.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import frozen

from ..sagas import Receive, Status
from ..storage import HistoryRow, Phase
from .evidence import Evidence, Trail, Violation
from .services import FakeService

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


@frozen
class Check:
    """One promise, and how it is seen to be broken."""

    name: str
    sentence: str
    find: Callable[[Evidence], Iterator[tuple[str | None, str]]]  #: order and detail of each violation


def judge(evidence: Evidence) -> list[Violation]:
    """Every violation that the evidence shows."""
    found = list(evidence.found)
    for check in CHECKS:
        found += [Violation(check.name, check.sentence, order, detail) for order, detail in check.find(evidence)]
    return found


def _each(find: Callable[[Trail], Iterator[str]]) -> Callable[[Evidence], Iterator[tuple[str | None, str]]]:
    """A check that looks at one order at a time; those that cannot be read are S15's business."""

    def look(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
        for id, trail in evidence.trails.items():
            if trail.record.damage is None:
                yield from ((id, detail) for detail in find(trail))

    return look


# ── history and records ───────────────────────────────────────────────────────────────────────────


def _damaged(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    for id, trail in evidence.trails.items():
        if trail.record.damage is not None:
            yield id, trail.record.damage


def _gaps(trail: Trail) -> Iterator[str]:
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


def _unannounced(trail: Trail) -> Iterator[str]:
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


def _forgotten(trail: Trail) -> Iterator[str]:
    if trail.status != Status.COMPENSATED:
        return
    for step in trail.names:
        sent = trail.sent(step, "action")
        if not sent or not trail.owed(step) or trail.cleared(step):
            continue
        if not trail.events(_UNDONE, step=step, after=sent[-1].seq) and not trail.resolved(step, sent[-1].seq):
            yield f"{step} was sent {len(sent)} time(s), nothing proves that it did not happen, and it was not undone"


def _disordered(trail: Trail) -> Iterator[str]:
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


def _two_ends(trail: Trail) -> Iterator[str]:
    end: HistoryRow | None = None
    for row in trail.rows:
        if end is not None and (row.entry.target != end.entry.target or row.entry.begun):
            yield f"{row.entry.event} came after the order had ended as {end.entry.target}"
        if end is None and Status(row.entry.target).final:
            end = row
    phase = trail.record.snapshot.phase
    if trail.final != (phase is Phase.FINAL):
        yield f"the status is {trail.status} and the phase {phase.name}"


def _past_pivot(trail: Trail) -> Iterator[str]:
    pivot = trail.pivot
    sent = trail.sent(pivot, "action") if pivot is not None else []
    if pivot is None or not sent:
        return
    if any(row.seq > sent[0].seq for row in trail.accepted("CANCEL")):
        yield f"a cancel was accepted although {pivot} had begun"
    back = [one for one in trail.intents if one.work == "compensation" and one.seq > sent[0].seq]
    if back and not trail.cleared(pivot) and not trail.resolved(pivot, sent[0].seq):
        yield f"{back[0].step} was undone although {pivot} may have happened"


def _unfinished(trail: Trail) -> Iterator[str]:
    if trail.status != Status.COMPLETED or trail.saga is None:
        return
    for slot in trail.saga.slots:
        if isinstance(slot, Receive):
            continue
        done = trail.events("RETURNED", "PROBE_HAPPENED", step=slot.name)
        if not done and not trail.resolved(slot.name, -1):
            yield f"{slot.name} did not succeed"


def _cancelled_and_went_on(trail: Trail) -> Iterator[str]:
    for row in trail.accepted("CANCEL"):
        forward = [one for one in trail.intents if one.seq > row.seq and one.work == "action"]
        if forward:
            yield f"{forward[0].step} was begun after the cancel was accepted"
        if trail.status == Status.COMPLETED:
            yield "the order ended as COMPLETED"


def _no_way_out(trail: Trail) -> Iterator[str]:
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


def _from_the_future(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    for id, trail in evidence.trails.items():
        if evidence.lease is not None and trail.record.epoch > evidence.lease.epoch:
            yield id, f"it was written in epoch {trail.record.epoch}, and the lease is at {evidence.lease.epoch}"


# ── participants ──────────────────────────────────────────────────────────────────────────────────


def _effects(evidence: Evidence) -> Iterator[tuple[Trail, str, FakeService, str, int]]:
    """Of every effect: its order, step, service, action, and how often it stands."""
    for service in evidence.services:
        for (action, key), count in service.ledger.standing.items():
            order, step, _ = evidence.owner(key)
            if order is not None:
                yield evidence.trails[order], step, service, action, count


def _left_behind(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    for trail, step, service, action, count in _effects(evidence):
        if trail.status == Status.COMPENSATED and count > 0 and (trail.saga is None or trail.owed(step)):
            yield trail.record.id, f"{service.name}.{action} of step {step} stands, and the order is COMPENSATED"


def _not_once(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    for trail, step, service, action, count in _effects(evidence):
        if trail.status == Status.COMPLETED and count != 1:
            yield trail.record.id, f"{service.name}.{action} of step {step} stands {count} times"


def _strange_keys(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    for service in evidence.services:
        for name, key in dict.fromkeys(service.ledger.sent):
            if evidence.owner(key)[0] is None:
                yield None, f"{service.name}.{name} was called under {key!r}, which is not made from a step's key"


def _undone_in_order(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
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


# ── clients ───────────────────────────────────────────────────────────────────────────────────────


def _lost(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    for promise in evidence.promises:
        trail = evidence.trails.get(promise.order)
        if trail is None:
            if promise.what == "start" or promise.answer in {"ACCEPTED", "TOO_LATE"}:
                yield promise.order, f"{promise.what} was answered {promise.answer}, and the order is not on disk"
        elif promise.what == "send" and promise.answer == "ACCEPTED" and not trail.final:
            waiting = any(message.id == promise.id for message in trail.record.messages)
            if not waiting and not trail.events("RECEIVED", "DEAD_LETTER"):
                yield promise.order, f"message {promise.id} was accepted, and is neither waiting nor received"


def _untrue(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    first: dict[tuple[str, str], str] = {}
    for promise in evidence.promises:
        trail = evidence.trails.get(promise.order)
        if promise.what != "cancel" or trail is None:
            continue
        if first.setdefault((promise.order, promise.id), promise.answer) != promise.answer:
            yield promise.order, f"the repeat of {promise.id} was answered {promise.answer}"
        if promise.answer == "ACCEPTED" and not trail.accepted("CANCEL"):
            yield promise.order, "cancel was answered ACCEPTED, and history does not say so"
        pivot = trail.pivot
        if promise.answer == "TOO_LATE" and pivot is not None and not trail.sent(pivot, "action"):
            yield promise.order, f"cancel was answered TOO_LATE, and {pivot} was never begun"


def _none(_evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Noticed while it happens; see `Evidence.found`."""
    yield from ()


SOUND = Check("S15 sound bytes", "Every stored byte is what was written.", _damaged)

CHECKS: tuple[Check, ...] = (
    Check("S1 intent first", "Every attempt is announced on disk before it is sent, and ends at most once.",
          _each(_unannounced)),
    Check("S2 no forgotten effect", "An order is COMPENSATED only when all that may have happened was undone.",
          _each(_forgotten)),
    Check("S2 net zero", "An order that ended COMPENSATED leaves no effect at any participant.", _left_behind),
    Check("S3 order of undoing", "Steps are undone in reverse order, one acknowledged before the next.",
          _each(_disordered)),
    Check("S3 order at participants", "Participants see effects undone in reverse order of the saga.",
          _undone_in_order),
    Check("S4 one end", "An order that has ended never changes again.", _each(_two_ends)),
    Check("S4 past the pivot", "Once the pivot may have happened, nothing turns back.", _each(_past_pivot)),
    Check("S4 complete", "An order is COMPLETED only when every step succeeded.", _each(_unfinished)),
    Check("S4 exactly once", "Every effect of a COMPLETED order stands exactly once.", _not_once),
    Check("S5 stable keys", "Participants are called under keys made from `ctx.key` or `ctx.action_key`.",
          _strange_keys),
    Check("S6 one writer", "No order was written by an owner that never was.", _from_the_future),
    Check("S7 an answer is durable", "What a client was told is on disk.", _lost),
    Check("S8 one commit", "History has no gaps, each line begins where the last one ended, the record where they end.",
          _each(_gaps)),
    Check("S12 cancel means stop", "After an accepted cancel no step begins, and the order is never COMPLETED.",
          _each(_cancelled_and_went_on)),
    Check("S12 truthful answers", "What a cancel was answered is true, and stays so.", _untrue),
    SOUND,
    Check("L1 a way out", "An order that has not ended is at work, waits, or is parked with a reason.",
          _each(_no_way_out)),
)  # fmt: skip

#: Noticed while a simulation runs.
SENT_EARLY = Check("S1 intent first", "No request leaves before its intent is on disk.", _none)
UNCAUGHT = Check("nothing uncaught", "Nothing raises what nobody catches, and no step leaves the simulation.", _none)
STUCK = Check("L1 an end", "Every order comes to an end, or waits for somebody, once faults stop.", _none)
