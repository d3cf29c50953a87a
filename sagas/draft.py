"""The planner's working copy of an order: it is changed freely, then frozen into a `Plan`."""

from __future__ import annotations

from typing import Any

from attrs import define

from ..actors import Moment
from ..storage import plain
from .events import Command, Run
from .progress import Failure, Park, ParkReason, Progress, Reason, Slot, Status, StepStatus, Work, counted
from .receive import Receive
from .saga import Saga, Zone
from .standing import too_late


@plain
class Note:
    """What happened, for the history."""

    event: str
    slot: int | None = None
    attempt: int | None = None
    failure: Failure | None = None
    remark: str | None = None


@plain
class Plan:
    """What the planner decided. Nothing of it counts until `progress` is on disk."""

    progress: Progress
    commands: tuple[Command, ...]
    notes: tuple[Note, ...]
    answers: tuple[tuple[int, str], ...]  #: messages consumed, each with its answer
    guarded: bool  #: commit only if no message waits that the order has not seen
    keeps: int | None  #: the slot whose result came with the event


@define(eq=False, repr=False)
class Draft:
    """A copy of a progress under change, with what it asks for so far."""

    saga: Saga[Any]
    progress: Progress
    moment: Moment
    _before: list[Slot]  #: the slots as they were; the copy shares those that are untouched
    commands: tuple[Command, ...] = ()
    notes: tuple[Note, ...] = ()
    answers: tuple[tuple[int, str], ...] = ()
    guarded: bool = False
    keeps: int | None = None
    expires: bool = True  #: whether this event may let a wait for a message run out

    @classmethod
    def of(cls, saga: Saga[Any], progress: Progress, moment: Moment) -> Draft:
        """A draft that leaves `progress` as it is."""
        return cls(saga, progress.copy(), moment, progress.slots)

    def plan(self) -> Plan:
        """What was decided."""
        return Plan(self.progress, self.commands, self.notes, self.answers, self.guarded, self.keeps)

    def slot(self, index: int) -> Slot:
        """A slot that may be changed."""
        slot = self.progress.slots[index]
        if slot is self._before[index]:
            slot = self.progress.slots[index] = slot.copy()
        return slot

    def note(
        self,
        event: str,
        index: int | None = None,
        attempt: int | None = None,
        failure: Failure | None = None,
        remark: str | None = None,
    ) -> None:
        """Put a line into the history."""
        self.notes += (Note(event, index, attempt, failure, remark),)

    def schedule(self, index: int, work: Work, delay: float = 0.0) -> None:
        """Name the next work of a slot, to begin after `delay` seconds."""
        slot = self.slot(index)
        slot.work, slot.running, slot.due = work, False, self.moment.now + delay

    def run(self, index: int, work: Work) -> None:
        """Commit the intent of one more attempt, and ask for it to be sent."""
        slot = self.slot(index)
        if slot.lingers is not None:
            self.overlap(index, slot.sent[Work.COMPENSATION] or slot.sent[Work.ACTION])
        slot.work, slot.running, slot.due, slot.lingers = work, True, None, None
        number = slot.sent[work] + 1
        slot.sent = counted(slot.sent, work, number)
        if work is Work.ACTION:
            slot.status = StepStatus.STARTED
        elif work is Work.COMPENSATION:
            slot.status = StepStatus.COMPENSATING
        self.commands += (Run(index, work, number),)

    def overlap(self, index: int, number: int) -> None:
        """Say that the next attempt is sent beside that one."""
        self.note("OVERLAP", index, number, remark="the attempt before has still not ended")

    def spend(self, index: int, work: Work, number: int | None = None) -> None:
        """Use up one attempt of the budget, or set what is used up."""
        slot = self.slot(index)
        slot.spent = counted(slot.spent, work, slot.spent[work] + 1 if number is None else number)

    def idle(self, index: int, status: StepStatus) -> Slot:
        """Leave a slot in a status with nothing more to do for it."""
        slot = self.slot(index)
        slot.status, slot.work, slot.running, slot.due = status, None, False, None
        return slot

    def ready(self, slot: Slot) -> bool:
        """Whether the scheduled work of a slot may begin now."""
        return slot.work is not None and not slot.running and max(slot.due or 0, slot.lingers or 0) <= self.moment.now

    def may_retry(self, index: int) -> bool:
        """Whether the action may be sent once more under its key."""
        spent = self.progress.slots[index].spent[Work.ACTION]
        return self.saga.step(index).repeatable and spent < self.saga.retry(index, Work.ACTION).attempts

    def delay(self, index: int, work: Work) -> float:
        """The backoff before the next attempt."""
        return self.saga.retry(index, work).delay(self.progress.slots[index].spent[work], self.moment.luck)

    def owes(self, index: int) -> bool:
        """Whether the slot may have had an effect that is not undone."""
        slot = self.progress.slots[index]
        if isinstance(self.saga.slots[index], Receive) or self.saga.zone(index) is not Zone.COMPENSATABLE:
            return False
        if self.saga.step(index).read_only or slot.status is StepStatus.COMPENSATED:
            return False
        return slot.status in {StepStatus.SUCCEEDED, StepStatus.COMPENSATING} or (
            slot.doubt and slot.status is not StepStatus.SKIPPED
        )

    @property
    def too_late(self) -> bool:
        """Whether the order does not turn back on request any more."""
        return too_late(self.saga, self.progress)

    def turn_back(self, reason: Reason) -> None:
        """Turn the order back, for good. A park that only held it from going forward is lifted."""
        self.progress.reason = reason
        park = self.progress.park
        if park is not None and park.reason is ParkReason.PREDICATE:
            self.progress.park = None

    def park(self, reason: ParkReason, index: int | None, failure: Failure | None) -> None:
        """Hold the order for a person."""
        self.progress.parks += 1
        name = self.saga.slots[index].name if index is not None else None
        self.progress.park = Park(self.progress.parks, reason, name, str(failure) if failure else None)
        self.note("PARKED", index, failure=failure, remark=str(reason))

    def end(self, status: Status) -> None:
        """End the order. The commit is guarded: what was accepted before the end is decided before it."""
        self.progress.final = status
        self.guarded = True
