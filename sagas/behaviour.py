"""An order as an actor: the planner, with messages decoded on the way in and snapshots encoded on the way out."""

from __future__ import annotations

from functools import cache
from typing import Any

from attrs import define, evolve, field

from ..actors import Decision, Due, Moment, storable
from ..storage import Codec, Entry, Lane, Message, Record, Snapshot, Undecodable, frozen
from . import snapshot
from .draft import Note, Plan
from .events import Arrived, Command, Control, Ended, Evaluate, Evaluated, Returned, Run
from .place import Move, Place, Places, recurring
from .plan import plan
from .progress import Failure, Progress, Status, Work
from .receive import Receive
from .registry import Registry
from .saga import Saga
from .snapshot import Results
from .standing import expected

#: How the history names the kinds of work.
WORDS = {Work.ACTION: "action", Work.PROBE: "probe", Work.COMPENSATION: "compensation"}
#: Characters of an exception's text that are kept.
TEXT = 500


@cache
def requests() -> Codec:
    """Requests are the engine's own, whatever converter the user's classes need."""
    return Codec()


@define(eq=False, repr=False)
class OrderState:
    """An order in memory: where it stands, and what its steps returned, as stored and decoded."""

    id: str
    saga: Saga[Any]
    input: object
    place: Place
    results: Results
    values: dict[int, object]

    @property
    def progress(self) -> Progress:
        """Where it stands, for the planner."""
        return self.place.progress


@frozen
class OrderBehaviour:
    """The behaviour of all orders, whatever their saga."""

    registry: Registry
    codec: Codec
    places: Places = field(factory=Places, eq=False)

    def handles(self, record: Record) -> bool:
        """Whether the saga of this order is registered, unchanged, in this process."""
        return self.registry.find(record.definition) is not None

    def begin(self, id: str, saga: Saga[Any], input: object) -> OrderState:
        """A new order, that nothing has happened to."""
        return OrderState(id, saga, input, self.places.start(saga), (None,) * len(saga.slots), {})

    def decode(self, record: Record) -> OrderState:
        """The state of an order on disk; raises `Undecodable`."""
        saga = self.registry.saga(record.definition)
        progress, results = snapshot.restore(record, len(saga.slots))
        try:
            input = self.codec.decode(record.input, saga.input)
            found = values(self.codec, saga, progress, results)
        except MemoryError:  # it must harm no other order
            raise Undecodable("there is too little memory to read it") from None
        try:
            place = self.places.find(saga, progress)
        except Exception as error:  # a progress that no planner made may be anything, and must harm no other order
            what = f"the snapshot is none of saga {saga.name!r} ({type(error).__name__})"
            raise Undecodable(f"{what}: restore it from a backup") from error
        return OrderState(record.id, saga, input, place, results, found)

    def encode(self, state: OrderState) -> Snapshot:
        """The snapshot of an order."""
        place = state.place
        body = snapshot.complete(place.packed, state.results)
        return Snapshot(place.status, place.phase, body, place.wake_at, place.progress.deaths)

    def accepts(self, state: OrderState, message: Message) -> bool:
        """Whether the order waits for such a message."""
        receive = expected(state.saga, state.progress)
        return receive is not None and receive.expects(message.kind)

    def decide(self, state: OrderState, event: object, moment: Moment) -> Decision[OrderState]:
        """Ask the planner, and answer its own questions on the way."""
        if isinstance(event, Due) and (moment.draining or not _is_due(state, moment)):
            return Decision(state)
        if isinstance(event, Message):
            event = self._opened(state, event)
        move = self._move(state, event, moment)
        after = OrderState(state.id, state.saga, state.input, move.to, state.results, state.values)
        parts = () if move.keeps is None else self._keep(after, move.keeps, event)
        return Decision(after, move.commands, move.history, move.answers, parts, move.guarded)

    def _opened(self, state: OrderState, message: Message) -> Control | Arrived:
        """What a message says; what this raises sets the message aside."""
        if message.lane is Lane.CONTROL:
            return evolve(requests().decode(message.body, Control), seq=message.seq)
        receive = expected(state.saga, state.progress)
        assert receive is not None, "only accepted messages are offered"
        value = self.codec.decode(message.body, receive.type_named(message.kind))
        return Arrived(message.seq, message.kind, message.body, value)

    def _move(self, state: OrderState, event: Any, moment: Moment) -> Move:
        """What the planner decides, or what it has decided about the same before."""
        here = state.place
        key = recurring(event) if here.shared and not moment.draining else None
        move = here.moves.get(key) if key is not None else None
        if move is None:
            decided = plan(state.saga, here.progress, event, moment)
            asks = any(isinstance(command, Evaluate) for command in decided.commands)
            move = self._moved(state, decided, moment)
            if key is not None and move.to.shared and not asks:
                here.moves[key] = move
        return move

    def _moved(self, state: OrderState, decided: Plan, moment: Moment) -> Move:
        saga = state.saga
        commands, notes, answers, guarded = decided.commands, decided.notes, decided.answers, decided.guarded
        progress = decided.progress
        while commands and isinstance(question := commands[-1], Evaluate):
            answer = Evaluated(question.slot, _ask(saga, question.slot, state.input))
            more = plan(saga, progress, answer, moment)
            commands = commands[:-1] + more.commands
            notes += more.notes
            guarded = guarded or more.guarded
            progress = more.progress
        to = self.places.find(saga, progress)
        history = _history(saga, state.place.status, to.status, notes, commands)
        return Move(to, commands, history, answers, decided.keeps, guarded)

    def _keep(self, state: OrderState, index: int, event: object) -> tuple[tuple[str, bytes], ...]:
        """Put the result that came with an event into a state; one too large for the snapshot is returned as a part."""
        match event:
            case Ended(how=Returned(result=body, value=value)):
                pass
            case Arrived(body=body, value=value):
                pass
            case Control(result=body):
                value = None if body is None else self.codec.decode(body, value_type(state.saga, index, None))
            case _:
                raise AssertionError
        assert body is not None, "there was something to be kept"
        state.results = (*state.results[:index], body, *state.results[index + 1 :])
        state.values = {**state.values, index: value}
        return ((str(index), body),) if len(body) > snapshot.INLINE else ()


def _history(
    saga: Saga[Any], before: Status, after: Status, notes: tuple[Note, ...], commands: tuple[Command, ...]
) -> tuple[Entry, ...]:
    """The notes as lines of history; the last one names the attempts whose intent is committed with it."""
    slots = saga.slots
    begun = " ".join([f"{slots[run.slot].name}/{WORDS[run.work]}/{run.number}" for run in commands if type(run) is Run])
    last = notes[-1] if notes else None
    return tuple(
        [
            Entry(
                note.event,
                before,
                after,
                None if note.slot is None else slots[note.slot].name,
                note.attempt,
                None if note.failure is None else str(note.failure),
                note.remark,
                (begun or None) if note is last else None,
            )
            for note in notes
        ]
    )


def values(codec: Codec, saga: Saga[Any], progress: Progress, results: Results) -> dict[int, object]:
    """The decoded results and messages of an order; raises `Undecodable`."""
    return {
        index: codec.decode(body, value_type(saga, index, progress.slots[index].kind))
        for index, body in enumerate(results)
        if body is not None
    }


def value_type(saga: Saga[Any], index: int, kind: str | None) -> Any:
    """What the result of a slot is decoded to."""
    slot = saga.slots[index]
    if isinstance(slot, Receive):
        return slot.type_named(kind)
    return saga.results[index]


def failure(error: BaseException) -> Failure:
    """What an attempt raised, as text that can be stored."""
    try:
        text = storable(str(error))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001  # the user's exception cannot even be shown
        text = ""
    return Failure(type(error).__name__, text[:TEXT])


def _is_due(state: OrderState, moment: Moment) -> bool:
    time = state.place.wake_at
    return time is not None and time <= moment.now


def _ask(saga: Saga[Any], index: int, input: object) -> bool | Failure:
    receive = saga.slots[index]
    assert isinstance(receive, Receive)
    assert receive.when is not None
    try:
        return bool(receive.when(input))
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  # whatever the user's predicate raises parks the order
        return failure(error)
