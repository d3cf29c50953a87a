"""What users get wrong, found before any crash: each step is tried alone, in the ways that a crash would try it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from attrs import define, field
from cattrs import Converter

from ..sagas import PermanentError, Receive, Saga, Step
from ..storage import Codec, Undecodable
from .evidence import Violation
from .spy import Flaw
from .stage import Stage

_SENTENCES = {
    Flaw.MISSING_COMPENSATION: "A compensation leaves nothing behind of what its action did, whatever is known of it.",
    Flaw.NOT_IDEMPOTENT: "A step that is called twice under one key has its effect once.",
    Flaw.KEY_VARIES: "A step hands out keys made from `ctx.key` alone, the same at each attempt.",
    Flaw.NEEDS_ACTION: "A compensation succeeds, with `None` for the result, when its action never happened.",
    Flaw.RAISES: "A step raises `PermanentError` where it certainly had no effect, and nothing where all is well.",
    Flaw.RESULT: "What a step returns can be stored and fits its annotation: otherwise nobody knows what it did.",
    Flaw.MEMORY: "What a process remembers is gone when it dies: keep it in the result, or at a participant.",
    Flaw.WAITS: "Every order comes to an end: somebody sends what it waits for, or a timeout ends the wait.",
    Flaw.UNAWAITED: "What a step asks of a service happens when it is awaited: write `await` in front of it.",
    Flaw.TIMEOUT: "A step answers within its timeout: wait for less in it, or `@step(timeout=...)` gives it longer.",
    Flaw.BLOCKING: "An `async def` step never blocks the event loop: it waits with `asyncio.sleep`.",
    Flaw.SLEEP: "In a simulation nobody waits for real: let a fake service take the time, or `allow=[Flaw.SLEEP]`.",
    Flaw.CLOCK: "What a step does depends on its input: take the time from there, or `allow=[Flaw.CLOCK]`.",
    Flaw.CHANCE: "What a step does depends on its input: draw before the order starts, or `allow=[Flaw.CHANCE]`.",
    Flaw.NETWORK: "In a simulation a step talks to fake services only.",
    Flaw.THREAD: "In a simulation a step starts no threads: use a `def` step, or `asyncio.to_thread`.",
    Flaw.PROCESS: "In a simulation a step starts no processes: give it a fake service that stands for what they do.",
}


def rehearse(
    saga: Saga[Any],
    input: object,
    services: Sequence[object] | Mapping[Any, object] = (),
    *,
    messages: Sequence[object] = (),
    allow: Sequence[Flaw] = (),
    seed: int = 0,
    converter: Converter | None = None,
) -> list[Violation]:
    """Try every step alone: twice under one key, undone with and without its result, undone without having happened.

    Judged by the ledgers of `FakeService`s. A step that refuses this input, and all that need its result, are left
    out. `messages` stand for those that the saga awaits; `allow` names flaws that are no news. Raises `TypeError`
    for a message that the saga does not await, and for an input that is not what the saga says.
    """
    check_messages(saga, messages)
    codec = Codec(converter)
    rehearsal = _Rehearsal(saga, _as_stored(saga, input, codec), services, messages, seed, codec)
    rehearsal.run()
    return [one for one in dict.fromkeys(rehearsal.found) if one.check not in allow]


def _as_stored(saga: Saga[Any], input: object, codec: Codec) -> object:
    """The input as steps get it."""
    if not isinstance(input, saga.input):
        raise TypeError(f"saga {saga.name!r} needs a {saga.input.__name__} as input, and got a {type(input).__name__}")
    try:
        _, value = codec.round_trip(input, saga.input, "the input")
    except Undecodable as error:
        raise TypeError(f"{input!r} is not what its type hints say, and could not be read again: {error}") from None
    return value


def check_messages(saga: Saga[Any], messages: Sequence[object]) -> None:
    """Raise `TypeError` for what the saga does not await: it would wait for ever, and no test would fail."""
    given: object = messages
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise TypeError(f"messages are given as a list: [{messages!r}]")
    awaited = tuple(kind for slot in saga.slots if isinstance(slot, Receive) for kind in slot.types)
    for one in messages:
        if not isinstance(one, awaited):
            what = f"the class {one.__name__}, but its messages" if isinstance(one, type) else f"{type(one).__name__}"
            names = ", ".join(kind.__name__ for kind in awaited) or "no message at all"
            raise TypeError(f"saga {saga.name!r} does not await {what}; it awaits: {names}")


@define(eq=False)
class _Rehearsal:
    saga: Saga[Any]
    input: object
    services: Sequence[object] | Mapping[Any, object]
    messages: Sequence[object]
    seed: int
    codec: Codec
    found: list[Violation] = field(factory=list)
    stages: list[Stage] = field(factory=list[Stage])

    def run(self) -> None:
        """Each step in its turn, in a world in which those before it succeeded."""
        self._hear()
        try:
            for index, slot in enumerate(self.saga.slots):
                if isinstance(slot, Step) and self._stage(index) is not None:
                    self._twice(index, slot)
                    self._unanswered(index, slot)
                    if slot.undo is not None or slot.read_only:
                        self._undone(index, slot)
        finally:
            for stage in self.stages:
                stage.close()

    def note(self, flaw: Flaw, detail: str) -> None:
        """Remember a flaw."""
        self.found.append(Violation(flaw, _SENTENCES[flaw], None, detail))

    def _hear(self) -> None:
        """Whether everything is said that the order waits for: the rest of the saga would never be tried."""
        left = list(self.messages)
        for slot in self.saga.slots:
            if not isinstance(slot, Receive) or not self._reached(slot):
                continue
            heard = next((one for one in left if isinstance(one, slot.types)), None)
            if heard is not None:
                left.remove(heard)
            elif slot.timeout is None and self.saga.deadline is None:
                names = [kind.__name__ for kind in slot.types]
                self.note(
                    Flaw.WAITS,
                    f"{slot.name!r} waits for {' or '.join(names)} without a timeout, and nobody sends one: "
                    f"messages=[{names[0]}(...)], or allow=[Flaw.WAITS]",
                )

    def _reached(self, slot: Receive) -> bool:
        """Whether an order with this input waits there."""
        try:
            return slot.when is None or bool(slot.when(self.input))
        except Exception:  # noqa: BLE001  # whatever the user's function raises: the order is parked there
            return False

    def _stage(self, index: int) -> Stage | None:
        """A world in which all steps before this one succeeded; `None` where they did not."""
        stage = Stage(self.saga, self.input, self.services, self.seed, self.codec, self.note)
        self.stages.append(stage)
        for before in range(index):
            slot = self.saga.slots[before]
            if isinstance(slot, Receive):
                wanted = [one for one in self.messages if isinstance(one, slot.types)]
                if wanted:
                    stage.values[before] = wanted[0]
            elif stage.can(before) and stage.act(before, quietly=True):
                continue
        return stage if stage.can(index) else None

    def _twice(self, index: int, step: Step[..., Any]) -> None:
        stage = self._staged(index)
        if not stage.act(index):
            return
        effects, keys = stage.effects(), stage.sent()
        if not stage.act(index, attempt=2, quietly=True):
            self.note(Flaw.NOT_IDEMPOTENT, f"step {step.name!r} raised {stage.error!r} when it was called again")
            return
        again = [one for one in stage.sent()[len(keys) :] if one not in keys]
        if again:
            first = [one for one in keys if one[0] == again[0][0]] or keys
            used = f" under {first[-1][1]!r}" if first else " not at all"
            self.note(
                Flaw.KEY_VARIES,
                f"step {step.name!r} called {again[0][0]}{used}, and at attempt 2 under {again[0][1]!r}",
            )
        elif stage.effects() != effects:
            more = ", ".join(sorted(name for name, _ in stage.effects() - effects))
            self.note(Flaw.NOT_IDEMPOTENT, f"step {step.name!r} was called twice under one key: {more} twice")

    def _unanswered(self, index: int, step: Step[..., Any]) -> None:
        """Lose the answer to each of its requests in turn: a step must not say then that nothing happened."""
        asked = self._staged(index)
        before, first = asked.effects(), len(asked.sent())
        asked.act(index, quietly=True)
        for call in dict.fromkeys(asked.sent()[first:]):
            stage = self._staged(index)
            stage.lose(call[0])
            if not stage.act(index, quietly=True) and isinstance(stage.error, PermanentError):
                left = ", ".join(sorted(name for name, _ in stage.effects() - before))
                what = f"when the answer of {call[0]} was lost, and {left} stands"
                if left:
                    self.note(Flaw.RAISES, f"step {step.name!r} raised {stage.error!r} {what}")

    def _undone(self, index: int, step: Step[..., Any]) -> None:
        stage = self._staged(index)
        before = stage.effects()
        if not stage.act(index, quietly=True):
            return
        if step.read_only:
            self._compare(before, stage, f"step {step.name!r} says read_only=True")
            return
        what = f"the compensation of {step.name!r}"
        if not stage.undo(index, what, Flaw.RAISES):
            return
        sound = self._compare(before, stage, f"{what} has run")
        stage.undo(index, f"{what}, called twice,")
        stage = self._staged(index)
        if stage.act(index, quietly=True):
            stage.values.pop(index, None)
            if stage.undo(index, f"{what}, called with None after its action,") and sound:
                self._compare(before, stage, f"{what} has run with None for the result, as after a lost answer")
        self._staged(index).undo(index, f"{what}, called although it never happened,")

    def _staged(self, index: int) -> Stage:
        stage = self._stage(index)
        assert stage is not None
        return stage

    def _compare(self, before: Counter[tuple[str, str]], stage: Stage, what: str) -> bool:
        """Whether nothing stands that did not stand before."""
        left = ", ".join(sorted(name for name, _ in stage.effects() - before))
        if left:
            self.note(Flaw.MISSING_COMPENSATION, f"{what}, and {left} stands{stage.astray()}")
        return not left
