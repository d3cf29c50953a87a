"""What people see of an order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ParamSpec, TypeVar, cast

from attrs import field

from ..storage import Codec, HistoryRow, Record, Tombstone, Undecodable, frozen
from . import snapshot
from .behaviour import values
from .errors import OrderError, StepFailed
from .progress import CauseKind, Failure, Park, ParkReason, Progress, Status, StepStatus, Work
from .receive import Receive
from .registry import Registry
from .saga import Saga
from .snapshot import Results
from .standing import status as status_of
from .step import Step

P = ParamSpec("P")
R = TypeVar("R")


@frozen
class Cause:
    """Why an order is or was undone. What the undoing did is told by the order's status."""

    kind: CauseKind
    reason: str | None = None  #: in words
    by: str | None = None  #: who asked for it
    message: object | None = field(default=None, repr=False)  #: the message that declined it; a payload, so not in logs


@frozen
class Transition:
    """One line of an order's history; lines of one revision were one commit."""

    revision: int
    at: datetime
    event: str
    source: str  #: the status before
    target: str  #: the status after
    step: str | None
    attempt: int | None
    error: str | None
    note: str | None  #: who asked for what, and why; or another remark
    begun: tuple[str, ...]  #: attempts whose intent was committed, as "step/work/number"


@frozen
class OrderStatus:
    """An order as it stands on disk."""

    id: str
    saga: str
    version: int
    status: Status
    cause: Cause | None
    park: Park | None  #: why it waits for a person
    steps: Mapping[str, StepStatus]
    revision: int
    created_at: datetime
    updated_at: datetime


@frozen
class Outcome:
    """How an order ended."""

    id: str
    status: Status
    cause: Cause | None
    error: Exception | None  #: a `StepFailed`, or an `ExceptionGroup` of several
    _results: Mapping[int, object] = field(
        factory=dict[int, object], repr=False
    )  #: results are payloads, and stay out of logs
    _saga: Saga[Any] | None = field(default=None, repr=False)

    def result(self, step: Step[P, R]) -> R:
        """What a step returned; raises `OrderError` where it did not succeed, or is no step of this order."""
        saga = self._saga
        index = saga.index(step) if saga is not None and step in saga.slots else None
        if index is None or index not in self._results:
            raise OrderError(self.id, f"has no result of step {step.name!r}: it ended as {self.status}")
        return cast("R", self._results[index])


def transition(row: HistoryRow) -> Transition:
    """A history row as people see it."""
    entry = row.entry
    begun = tuple((entry.begun or "").split())
    return Transition(
        row.revision, moment(row.at), entry.event, entry.source, entry.target,
        entry.step, entry.attempt, entry.error, entry.note, begun,
    )  # fmt: skip


def moment(seconds: float) -> datetime:
    """A stored time."""
    return datetime.fromtimestamp(min(max(seconds, 0.0), 253402300799.0), UTC)


def stored_status(text: str) -> Status:
    """A status as it was stored; a word that is none is shown as parked."""
    return Status.__members__.get(text, Status.PARKED)


def order_status(record: Record, registry: Registry, codec: Codec) -> OrderStatus:
    """An order as it stands on disk. One that this process cannot read is shown as parked, with the reason."""
    definition, saga = record.definition, registry.find(record.definition)
    status, cause, park, steps = stored_status(record.snapshot.status), None, None, {}
    if saga is not None:
        try:
            progress, results = snapshot.restore(record, len(saga.slots))
            cause, park = _cause(codec, saga, progress, results), progress.park
            steps = {slot.name: one.status for slot, one in zip(saga.slots, progress.slots, strict=True)}
            if record.quarantine is not None:  # its state may be sound, and a value in it not
                codec.decode(record.input, saga.input)
                values(codec, saga, progress, results)
        except Undecodable as error:
            park = Park(0, ParkReason.SNAPSHOT, None, str(error))
    elif not status.final:
        park = Park(0, ParkReason.DEFINITION, None, _missing(registry, record))
    if park is not None and not status.final:
        status = Status.PARKED
    return OrderStatus(
        record.id, definition.kind, definition.version, status, cause, park, steps,
        record.revision, moment(record.created_at), moment(record.updated_at),
    )  # fmt: skip


def buried_status(tombstone: Tombstone) -> OrderStatus:
    """What is still known of an order that was purged."""
    definition, at = tombstone.definition, moment(tombstone.finished_at)
    return OrderStatus(
        tombstone.id, definition.kind, definition.version, stored_status(tombstone.status), None, None, {}, 0, at, at
    )


def outcome(
    id: str, saga: Saga[Any], progress: Progress, results: Results, found: Mapping[int, object], *, codec: Codec
) -> Outcome:
    """The outcome of an order that has ended; `found` are its results, decoded."""
    done = {
        index: found.get(index)
        for index, slot in enumerate(progress.slots)
        if slot.status is StepStatus.SUCCEEDED and not isinstance(saga.slots[index], Receive)
    }
    cause = _cause(codec, saga, progress, results)
    return Outcome(id, status_of(saga, progress), cause, _error(saga, progress), done, saga)


def recorded_outcome(record: Record, registry: Registry, codec: Codec) -> Outcome:
    """The outcome of an order that has ended, read from disk."""
    saga = registry.find(record.definition)
    if saga is None:
        return Outcome(record.id, stored_status(record.snapshot.status), None, None)
    progress, results = snapshot.restore(record, len(saga.slots))
    return outcome(record.id, saga, progress, results, values(codec, saga, progress, results), codec=codec)


def _missing(registry: Registry, record: Record) -> str:
    definition = record.definition
    changed = any((one.name, one.version) == (definition.kind, definition.version) for one in registry)
    what = "is registered in another shape" if changed else "is not registered"
    return (
        f"saga {definition.kind!r} version {definition.version} {what} in this process: "
        "register the definition that the order was started with, and give a changed one a higher version"
    )


def _cause(codec: Codec, saga: Saga[Any], progress: Progress, results: Results) -> Cause | None:
    reason = progress.reason
    if reason is None:
        return None
    message: object = None
    if reason.slot is not None:
        slot, receive, body = progress.slots[reason.slot], saga.slots[reason.slot], results[reason.slot]
        if isinstance(receive, Receive) and body is not None:
            message = codec.decode(body, receive.type_named(slot.kind))
    return Cause(reason.kind, reason.text, reason.by, message)


def _error(saga: Saga[Any], progress: Progress) -> Exception | None:
    """Everything that went wrong for good; the errors of attempts that were made up for are in the history."""
    failures: list[tuple[str, int, Failure]] = [
        (saga.slots[index].name, slot.sent[Work.ACTION], slot.error)
        for index, slot in enumerate(progress.slots)
        if slot.error is not None and slot.status is not StepStatus.SUCCEEDED
    ]
    errors = [StepFailed(name, attempts, str(failure)) for name, attempts, failure in failures]
    if len(errors) > 1:
        return ExceptionGroup("several steps did not succeed", errors)
    return errors[0] if errors else None
