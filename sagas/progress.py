"""Where an order stands: the state that is snapshotted. Only the planner makes a new one."""

from __future__ import annotations

from enum import IntEnum, StrEnum

from attrs import define

from ..storage import frozen


class Status(StrEnum):
    """The status of an order."""

    RUNNING = "RUNNING"  #: steps are under way, or wait for their next attempt
    WAITING = "WAITING"  #: for a message
    COMPENSATING = "COMPENSATING"  #: what was done is being undone
    PARKED = "PARKED"  #: a person has to decide; see `Park`
    SUSPENDED = "SUSPENDED"  #: an operator paused it
    COMPLETED = "COMPLETED"  #: final: every step is done
    COMPENSATED = "COMPENSATED"  #: final: everything owed was undone, and acknowledged
    ABANDONED = "ABANDONED"  #: final: an operator closed it with compensations unpaid

    @property
    def final(self) -> bool:
        """Whether nothing can change any more."""
        return self in _FINAL


_FINAL = frozenset({Status.COMPLETED, Status.COMPENSATED, Status.ABANDONED})


class StepStatus(StrEnum):
    """The status of one step, or of one awaited message."""

    PENDING = "PENDING"  #: not reached
    STARTED = "STARTED"  #: an attempt is under way (or a message is awaited)
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"  #: certainly without effect; nothing is owed
    IN_DOUBT = "IN_DOUBT"  #: may have had its effect
    COMPENSATING = "COMPENSATING"
    COMPENSATED = "COMPENSATED"  #: undone, and acknowledged
    SKIPPED = "SKIPPED"  #: not needed, or waved through by an operator


class CauseKind(StrEnum):
    """Why an order is or was undone."""

    ERROR = "ERROR"  #: a step failed
    CANCEL = "CANCEL"  #: somebody cancelled or declined it
    DEADLINE = "DEADLINE"  #: a message did not come, or the order took too long
    OPERATOR = "OPERATOR"  #: an operator decided so


class ParkReason(StrEnum):
    """Why an order waits for a person."""

    IN_DOUBT = "IN_DOUBT"  #: nobody knows whether the pivot happened
    STEP = "STEP"  #: a step after the pivot was refused or used up its attempts
    COMPENSATION = "COMPENSATION"  #: a compensation was refused or used up its attempts
    PREDICATE = "PREDICATE"  #: the `when` of an awaited message raised
    CRASH_LOOP = "CRASH_LOOP"  #: its actor kept crashing, or the process died with it again and again
    DEFINITION = "DEFINITION"  #: this process lacks the definition that the order was started with
    SNAPSHOT = "SNAPSHOT"  #: its stored state is damaged or cannot be decoded


class Work(IntEnum):
    """The three kinds of call that a step can ask for."""

    ACTION = 0
    PROBE = 1
    COMPENSATION = 2


#: One number for each kind of work.
Counts = tuple[int, int, int]


def counted(counts: Counts, work: Work, number: int) -> Counts:
    """The same counts with another number for one kind of work."""
    action, probe, compensation = counts
    if work is Work.ACTION:
        return number, probe, compensation
    return (action, number, compensation) if work is Work.PROBE else (action, probe, number)


@frozen
class Failure:
    """What an attempt raised, as text: `kind` is the exception's class name."""

    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" if self.text else self.kind


@frozen
class Reason:
    """Why the order is undone, as it is stored; `slot` is the awaited message that declined it."""

    kind: CauseKind
    text: str | None = None
    by: str | None = None
    slot: int | None = None


@frozen
class Park:
    """Why and since which decision an order waits for a person.

    `number` rises with every park of the order; an operator's verb carries the number it saw.
    """

    number: int
    reason: ParkReason
    step: str | None = None
    error: str | None = None


@define
class Slot:
    """Where one step, or one awaited message, stands. Its result is kept elsewhere: nothing is decided by it.

    Counts are indexed by `Work`. Never changed in place once the planner has returned it.
    """

    status: StepStatus = StepStatus.PENDING
    doubt: bool = False  #: an attempt was sent whose effect is not disproved
    work: Work | None = None  #: what is under way, or is to be done when due
    running: bool = False  #: `work` was committed as an intent, and has not ended
    due: float | None = None  #: when `work` may begin, or the wait ends; UTC seconds
    lingers: float | None = None  #: an attempt that timed out may still be running until then
    sent: Counts = (0, 0, 0)  #: attempts ever committed
    spent: Counts = (0, 0, 0)  #: attempts that used up the retry budget
    error: Failure | None = None  #: of the last attempt that did not succeed
    undo_error: Failure | None = None  #: the same of the compensation
    kind: str | None = None  #: the type name of the message that came

    def copy(self) -> Slot:
        """A slot that may be changed; `attrs.evolve` takes ten times as long, on the hottest path."""
        return Slot(
            self.status, self.doubt, self.work, self.running, self.due, self.lingers,
            self.sent, self.spent, self.error, self.undo_error, self.kind,
        )  # fmt: skip


#: A slot that nothing has happened to: one object for all orders. Whoever changes a slot changes a copy.
UNTOUCHED = Slot()


@define
class Progress:
    """Where an order stands. Never changed in place once the planner has returned it."""

    slots: list[Slot]
    cursor: int = 0  #: the node of the saga that is under way
    begun: bool = False
    reason: Reason | None = None  #: set when the order turns back; it never turns again
    park: Park | None = None
    parks: int = 0  #: how often it was parked
    suspended: bool = False
    deadline: float | None = None  #: UTC seconds
    deaths: int = 0  #: how often in a row the process died with this order at work
    unpaid: bool = False  #: an operator skipped a compensation that was owed
    final: Status | None = None

    def copy(self) -> Progress:
        """A progress whose own fields may be changed; its slots are shared until they are touched."""
        return Progress(
            self.slots.copy(), self.cursor, self.begun, self.reason, self.park, self.parks, self.suspended,
            self.deadline, self.deaths, self.unpaid, self.final,
        )  # fmt: skip

    @property
    def held(self) -> bool:
        """Whether a person has to act before anything may begin."""
        return self.park is not None or self.suspended
