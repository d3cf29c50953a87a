"""What must hold of histories and records; each check yields what it found instead."""

from __future__ import annotations

from collections.abc import Iterator

from ..sagas import Status, standing
from ..sagas.snapshot import restore
from ..storage import HistoryRow, Phase, Undecodable
from .evidence import Evidence
from .trail import Trail


def damaged(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Bytes that cannot be read, or that contradict each other."""
    for id, trail in evidence.trails.items():
        if trail.record.damage is not None:
            yield id, trail.record.damage
        else:
            yield from ((id, detail) for detail in _contradicted(trail))


def _contradicted(trail: Trail) -> Iterator[str]:
    """Columns by which a host finds orders: no checksum covers them, and damage there would hide an order from it."""
    record, saga = trail.record, trail.saga
    if saga is None or not record.snapshot.body or record.quarantine is not None:
        return
    try:
        progress, _ = restore(record, len(saga.slots))
    except Undecodable as error:
        yield str(error)
        return
    row = record.snapshot
    for name, found, meant in (
        ("status", row.status, standing.status(saga, progress)),
        ("phase", row.phase, standing.phase(saga, progress)),
        ("wake_at", row.wake_at, standing.wake_at(saga, progress)),
        ("deaths", row.deaths, progress.deaths),
    ):
        if found != meant:
            yield f"the row says {name} {found}, and its snapshot {meant}"


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


def too_late_too_early(trail: Trail) -> Iterator[str]:
    """Cancels that were answered TOO_LATE when the pivot's intent was not on disk yet."""
    pivot = trail.pivot
    if pivot is None:
        return
    begun = min((one.seq for one in trail.sent(pivot, "action")), default=None)
    for row in trail.events("CANCEL"):
        if (row.entry.note or "").startswith("TOO_LATE") and (begun is None or begun >= row.seq):
            yield f"a cancel was answered TOO_LATE, and {pivot} had not begun by then"


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
