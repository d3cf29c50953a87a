"""An order as an actor: the planner, with messages decoded on the way in and snapshots encoded on the way out."""

from __future__ import annotations

from typing import Any, cast

from attrs import define, evolve, field, frozen

from ..actors import Decision, Due, Moment
from ..storage import Codec, Entry, Lane, Message, Record, Snapshot
from . import snapshot
from .draft import Note
from .events import Arrived, Command, Control, Ended, Evaluate, Evaluated, Event, Returned, Run
from .plan import plan
from .progress import Failure, Progress, Status, Work
from .receive import Receive
from .registry import Registry
from .saga import Saga
from .standing import expected, phase, status, wake_at

#: Requests are the engine's own, whatever converter the user's classes need.
REQUESTS = Codec()
#: How the history names the kinds of work.
WORDS = {Work.ACTION: "action", Work.PROBE: "probe", Work.COMPENSATION: "compensation"}
#: Characters of an exception's text that are kept.
TEXT = 500


@define(eq=False)
class OrderState:
    """An order in memory: its progress, and the decoded values that its steps ask for."""

    id: str
    saga: Saga[Any]
    input: object
    progress: Progress
    values: dict[int, object] = field(factory=dict)
    status: Status = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.status = status(self.saga, self.progress)


@frozen
class OrderBehaviour:
    """The behaviour of all orders, whatever their saga."""

    registry: Registry
    codec: Codec

    def handles(self, record: Record) -> bool:
        """Whether the saga of this order is registered, unchanged, in this process."""
        return self.registry.find(record.definition) is not None

    def decode(self, record: Record) -> OrderState:
        """The state of an order on disk; raises `Undecodable`."""
        saga = self.registry.saga(record.definition)
        input = self.codec.decode(record.input, saga.input)
        progress = snapshot.restore(record, len(saga.slots))
        return OrderState(record.id, saga, input, progress, values(self.codec, saga, progress))

    def encode(self, state: OrderState) -> Snapshot:
        """The snapshot of an order."""
        saga, progress = state.saga, state.progress
        return Snapshot(
            state.status,
            phase(saga, progress),
            snapshot.encode(progress),
            wake_at(saga, progress),
            progress.deaths,
        )

    def accepts(self, state: OrderState, message: Message) -> bool:
        """Whether the order waits for such a message."""
        receive = expected(state.saga, state.progress)
        return receive is not None and receive.expects(message.kind)

    def decide(self, state: OrderState, event: object, moment: Moment) -> Decision[OrderState]:
        """Ask the planner, and answer its own questions on the way."""
        if isinstance(event, Due) and (moment.draining or not _is_due(state, moment)):
            return Decision(state)
        if isinstance(event, Message):
            return self._receive(state, event, moment)
        return self._decide(state, state.values, cast("Event", event), moment)

    def _receive(self, state: OrderState, message: Message, moment: Moment) -> Decision[OrderState]:
        """Decode a message; what this raises sets the message aside."""
        saga = state.saga
        if message.lane is Lane.CONTROL:
            control = evolve(REQUESTS.decode(message.body, Control), seq=message.seq)
            decision = self._decide(state, state.values, control, moment)
            if control.result is None:
                return decision
            resolved = values(self.codec, saga, decision.state.progress)
            return evolve(decision, state=evolve(decision.state, values=resolved))
        receive = expected(saga, state.progress)
        assert receive is not None, "only accepted messages are offered"
        value = self.codec.decode(message.body, receive.type_named(message.kind))
        arrived = Arrived(message.seq, message.kind, message.body)
        return self._decide(state, {**state.values, saga.index(receive): value}, arrived, moment)

    def _decide(
        self, state: OrderState, values: dict[int, object], event: Event, moment: Moment
    ) -> Decision[OrderState]:
        saga, before = state.saga, state.progress
        decided = plan(saga, before, event, moment)
        commands, notes, guarded = decided.commands, decided.notes, decided.guarded
        while commands and isinstance(question := commands[-1], Evaluate):
            answer = Evaluated(question.slot, _ask(saga, question.slot, state.input))
            more = plan(saga, decided.progress, answer, moment)
            commands = commands[:-1] + more.commands
            notes = notes + more.notes
            guarded = guarded or more.guarded
            decided = evolve(more, answers=decided.answers + more.answers)
        progress = decided.progress
        if type(event) is Ended and type(event.how) is Returned:
            values = _with_result(values, progress, event.slot, event.how)
        after = OrderState(state.id, saga, state.input, progress, values)
        history = _history(state, after, notes, commands, moment)
        return Decision(after, commands, history, decided.answers, _parts(before, progress), guarded)


def _with_result(values: dict[int, object], progress: Progress, index: int, returned: Returned) -> dict[int, object]:
    """The values with the one of an attempt that succeeded, unless that was merely noted as late."""
    kept = returned.result is not None and progress.slots[index].result is returned.result
    return {**values, index: returned.value} if kept else values


def _history(
    before: OrderState,
    after: OrderState,
    notes: tuple[Note, ...],
    commands: tuple[Command, ...],
    moment: Moment,
) -> tuple[Entry, ...]:
    """The notes as lines of history; the last one names the attempts whose intent is committed with it."""
    slots = after.saga.slots
    begun = " ".join([f"{slots[run.slot].name}/{WORDS[run.work]}/{run.number}" for run in commands if type(run) is Run])
    last = notes[-1] if notes else None
    return tuple(
        [
            Entry(
                moment.now,
                note.event,
                before.status,
                after.status,
                None if note.slot is None else slots[note.slot].name,
                note.attempt,
                None if note.failure is None else str(note.failure),
                note.remark,
                (begun or None) if note is last else None,
            )
            for note in notes
        ]
    )


def _parts(before: Progress, after: Progress) -> tuple[tuple[str, bytes], ...]:
    """New results that are too large for the snapshot."""
    return tuple(
        [
            (str(index), slot.result)
            for index, slot in enumerate(after.slots)
            if slot.result is not None
            and len(slot.result) > snapshot.INLINE
            and slot.result is not before.slots[index].result
        ]
    )


def values(codec: Codec, saga: Saga[Any], progress: Progress) -> dict[int, object]:
    """The decoded results and messages of an order; raises `Undecodable`."""
    found: dict[int, object] = {}
    for index, slot in enumerate(progress.slots):
        if slot.result is not None:
            found[index] = codec.decode(slot.result, value_type(saga, index, slot.kind))
    return found


def value_type(saga: Saga[Any], index: int, kind: str | None) -> Any:
    """What the result of a slot is decoded to."""
    slot = saga.slots[index]
    if isinstance(slot, Receive):
        return slot.type_named(kind)
    return saga.results[index]


def failure(error: BaseException) -> Failure:
    """What an attempt raised, as text that can be stored."""
    try:
        text = str(error).encode(errors="backslashreplace").decode()
    except Exception:  # noqa: BLE001  # the user's exception cannot even be shown
        text = ""
    return Failure(type(error).__name__, text[:TEXT])


def _is_due(state: OrderState, moment: Moment) -> bool:
    time = wake_at(state.saga, state.progress)
    return time is not None and time <= moment.now


def _ask(saga: Saga[Any], index: int, input: object) -> bool | Failure:
    receive = saga.slots[index]
    assert isinstance(receive, Receive)
    assert receive.when is not None
    try:
        return bool(receive.when(input))
    except Exception as error:  # noqa: BLE001  # whatever the user's predicate raises parks the order
        return failure(error)
