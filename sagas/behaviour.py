"""An order as an actor: the planner, with messages decoded on the way in and snapshots encoded on the way out."""

from __future__ import annotations

from typing import Any

from attrs import evolve, field, frozen

from ..actors import Begin, Decision, Due, Moment, Resumed
from ..storage import Codec, Entry, Lane, Message, Record, Snapshot
from . import snapshot
from .events import Arrived, Control, Ended, Evaluate, Evaluated, Event, Late, Returned, Run
from .plan import plan
from .progress import Failure, Progress
from .receive import Receive
from .registry import Registry
from .saga import Saga
from .standing import expected, phase, status, wake_at

#: Characters of an exception's text that are kept.
TEXT = 500


@frozen(eq=False)
class OrderState:
    """An order in memory: its progress, and the decoded values that its steps ask for."""

    id: str
    saga: Saga[Any]
    input: object
    progress: Progress
    values: dict[int, object] = field(factory=dict)


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
            status(saga, progress),
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
        if isinstance(event, Due) and not _is_due(state, moment):
            return Decision(state)
        if isinstance(event, Message):
            return self._receive(state, event, moment)
        assert isinstance(event, (Begin, Due, Resumed, Ended, Late, Control))
        values = state.values
        if isinstance(event, Ended) and isinstance(event.how, Returned) and event.how.result is not None:
            values = {**values, event.slot: event.how.value}
        return self._decide(evolve(state, values=values), event, moment)

    def _receive(self, state: OrderState, message: Message, moment: Moment) -> Decision[OrderState]:
        """Decode a message; what this raises sets the message aside."""
        if message.lane is Lane.CONTROL:
            control = self.codec.decode(message.body, Control)
            event = evolve(control, seq=message.seq)
            decision = self._decide(state, event, moment)
            if control.result is None:
                return decision
            state = decision.state
            resolved = values(self.codec, state.saga, state.progress)
            return evolve(decision, state=evolve(state, values=resolved))
        receive = expected(state.saga, state.progress)
        assert receive is not None, "only accepted messages are offered"
        type_ = next(one for one in receive.types if one.__name__ == message.kind)
        value = self.codec.decode(message.body, type_)
        state = evolve(state, values={**state.values, state.saga.index(receive): value})
        return self._decide(state, Arrived(message.seq, message.kind, message.body), moment)

    def _decide(self, state: OrderState, event: Event, moment: Moment) -> Decision[OrderState]:
        saga, before = state.saga, state.progress
        decided = plan(saga, before, event, moment)
        commands, notes, answers = list(decided.commands), list(decided.notes), list(decided.answers)
        guarded = decided.guarded
        while commands and isinstance(question := commands[-1], Evaluate):
            commands.pop()
            answer = Evaluated(question.slot, _ask(saga, question.slot, state.input))
            decided = plan(saga, decided.progress, answer, moment)
            commands += decided.commands
            notes += decided.notes
            guarded = guarded or decided.guarded
        after = decided.progress
        begun = " ".join(f"{saga.slots[one.slot].name}/{one.work.name.lower()}/{one.number}" for one in commands if isinstance(one, Run))
        source, target = status(saga, before), status(saga, after)
        history = tuple(
            Entry(
                moment.now,
                note.event,
                source,
                target,
                None if note.slot is None else saga.slots[note.slot].name,
                note.attempt,
                None if note.failure is None else str(note.failure),
                note.remark,
                begun or None if place == len(notes) - 1 else None,
            )
            for place, note in enumerate(notes)
        )
        parts = tuple(
            (str(index), slot.result)
            for index, (slot, old) in enumerate(zip(after.slots, before.slots, strict=True))
            if slot.result is not None and slot.result is not old.result and len(slot.result) > snapshot.INLINE
        )
        return Decision(evolve(state, progress=after), tuple(commands), history, tuple(answers), parts, guarded)


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
        return next(one for one in slot.types if one.__name__ == kind)
    return saga.results[index]


def failure(error: BaseException) -> Failure:
    """What an attempt raised, as text that can be stored."""
    text = str(error).encode(errors="replace").decode()
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
