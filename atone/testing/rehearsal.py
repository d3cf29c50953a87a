"""What users get wrong, found before any crash: each step is tried alone, in the ways that a crash would try it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from attrs import define, field
from cattrs import Converter

from ..sagas import Receive, Saga, Step
from ..storage import Codec, Undecodable
from .evidence import Violation
from .spy import Flaw
from .stage import Stage
from .trials import ActionTrial, ProbeTrial, UndoTrial

_SENTENCES = {
    Flaw.MISSING_COMPENSATION: "A compensation leaves nothing behind of what its action did, whatever is known of it.",
    Flaw.NOT_IDEMPOTENT: "A step that is called twice under one key has its effect once.",
    Flaw.KEY_VARIES: "A step hands out keys made from `ctx.key` alone, the same at each attempt.",
    Flaw.REQUEST_VARIES: "A step asks for the same under one key: who knows the key gives the answer to the first.",
    Flaw.NEEDS_ACTION: "A compensation succeeds, with `None` for the result, when its action never happened.",
    Flaw.SWALLOWS: "A compensation that could not undo everything raises, so that it is called again.",
    Flaw.LINGERS: "A step begins nothing more once its timeout has come: others act in its place then.",
    Flaw.PROBE: "A probe says what the participant knows of the action: `Happened` after it, and never before it.",
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

    Its requests, and those of its compensation, fail in turn; its probe is called before it and after it. Judged by
    the ledgers of `FakeService`s. A step that refuses this input, all that need its result, and all that stands
    behind a message that declines are left out. `messages` stand for those that the saga awaits; `allow` names flaws
    that are no news. Raises `TypeError` for a message that the saga does not await, and for an input that is not what
    the saga says.
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
    heard: dict[int, object] = field(factory=dict[int, object])  #: the message that each place takes

    def run(self) -> None:
        """Each step in its turn, in a world in which those before it succeeded."""
        reached = self._hear()
        try:
            for index, slot in enumerate(self.saga.slots[:reached]):
                if isinstance(slot, Step) and self._stage(index).can(index):
                    self._try(index, slot)
        finally:
            for stage in self.stages:
                stage.close()

    def _try(self, index: int, step: Step[..., Any]) -> None:
        ActionTrial(index, step, partial(self._stage, index), self.note).run()
        if step.undo is not None or step.read_only:
            UndoTrial(index, step, partial(self._stage, index), self.note).run()
        if step.ask is not None and not step.read_only:
            ProbeTrial(index, step, partial(self._stage, index), self.note).run()

    def note(self, flaw: Flaw, detail: str) -> None:
        """Remember a flaw."""
        self.found.append(Violation(flaw, _SENTENCES[flaw], None, detail))

    def _hear(self) -> int:
        """Give each message to the place that takes it; how many slots come before one that declines, or all.

        Where something is not said that the order waits for, the rest of the saga would never be tried.
        """
        left = list(self.messages)
        for index, slot in enumerate(self.saga.slots):
            if not isinstance(slot, Receive):
                continue
            if not self._reached(slot):
                self.heard[index] = None
                continue
            heard = next((one for one in left if isinstance(one, slot.types)), None)
            if heard is not None:
                left.remove(heard)
                self.heard[index] = heard
                if type(heard).__name__ in slot.declines:
                    return index
            elif slot.timeout is None and self.saga.deadline is None:
                names = [kind.__name__ for kind in slot.types]
                self.note(
                    Flaw.WAITS,
                    f"{slot.name!r} waits for {' or '.join(names)} without a timeout, and nobody sends one: "
                    f"messages=[{names[0]}(...)], or allow=[Flaw.WAITS]",
                )
        return len(self.saga.slots)

    def _reached(self, slot: Receive) -> bool:
        """Whether an order with this input waits there."""
        try:
            return slot.when is None or bool(slot.when(self.input))
        except Exception:  # noqa: BLE001  # whatever the user's function raises: the order is parked there
            return False

    def _stage(self, index: int) -> Stage:
        """A world in which all steps before this one were called."""
        stage = Stage(self.saga, self.input, self.services, self.seed, self.codec, self.note)
        self.stages.append(stage)
        for before in range(index):
            slot = self.saga.slots[before]
            if isinstance(slot, Receive):
                if before in self.heard:
                    stage.values[before] = self.heard[before]
            elif stage.can(before):
                stage.act(before, quietly=True)
        return stage
