"""What users get wrong, found before any crash: each step is tried alone, in the ways that a crash would try it."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any

from attrs import define, field

from ..sagas import PermanentError, Receive, Saga, Step, StepContext
from ..sagas.context import idempotency_key
from ..sagas.inject import resolve_services
from ..sagas.progress import Work
from ..sagas.registry import Registry
from .evidence import Violation
from .loop import SimLoop
from .services import FakeService
from .site import named
from .spy import Flaw, awaiting, spying
from .world import World

_SENTENCES = {
    Flaw.MISSING_COMPENSATION: "A compensation leaves nothing behind of what its action did, whatever is known of it.",
    Flaw.NOT_IDEMPOTENT: "A step that is called twice under one key has its effect once.",
    Flaw.KEY_VARIES: "A step hands out keys made from `ctx.key` alone, the same at each attempt.",
    Flaw.NEEDS_ACTION: "A compensation succeeds, with `None` for the result, when its action never happened.",
    Flaw.RAISES: "A step raises `PermanentError` where it certainly had no effect, and nothing where all is well.",
    Flaw.WAITS: "Every order comes to an end: somebody sends what it waits for, or a timeout ends the wait.",
    Flaw.UNAWAITED: "What a step asks of a service happens when it is awaited: write `await` in front of it.",
    Flaw.BLOCKING: "An `async def` step never blocks the event loop: use `asyncio.sleep`, or make it a `def` step.",
    Flaw.CLOCK: "What a step does depends on its input: take the time from there, or `allow=[Flaw.CLOCK]`.",
    Flaw.CHANCE: "What a step does depends on its input: draw before the order starts, or `allow=[Flaw.CHANCE]`.",
    Flaw.NETWORK: "In a simulation a step talks to fake services only.",
    Flaw.THREAD: "In a simulation a step starts no threads: use a `def` step, or `asyncio.to_thread`.",
}


def rehearse(
    saga: Saga[Any],
    input: object,
    services: Sequence[object] | Mapping[Any, object] = (),
    *,
    messages: Sequence[object] = (),
    allow: Sequence[Flaw] = (),
    seed: int = 0,
) -> list[Violation]:
    """Try every step alone: twice under one key, undone with and without its result, undone without having happened.

    Judged by the ledgers of `FakeService`s. A step that refuses this input, and all that need its result, are left
    out. `messages` stand for those that the saga awaits; `allow` names flaws that are no news. Raises `TypeError`
    for a message that the saga does not await.
    """
    check_messages(saga, messages)
    rehearsal = _Rehearsal(saga, input, services, messages, seed)
    rehearsal.run()
    return [one for one in dict.fromkeys(rehearsal.found) if one.check not in allow]


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
    found: list[Violation] = field(factory=list)
    loops: list[SimLoop] = field(factory=list)

    def run(self) -> None:
        """Each step in its turn, in a world in which those before it succeeded."""
        self._hear()
        try:
            for index, slot in enumerate(self.saga.slots):
                if isinstance(slot, Step) and self._stage(index) is not None:
                    self._twice(index, slot)
                    if slot.undo is not None or slot.read_only:
                        self._undone(index, slot)
        finally:
            for loop in self.loops:
                loop.abandon()

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

    def _stage(self, index: int) -> _Stage | None:
        """A world in which all steps before this one succeeded; `None` where they did not."""
        stage = _Stage(self)
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

    def _undone(self, index: int, step: Step[..., Any]) -> None:
        stage = self._staged(index)
        before = stage.effects()
        if not stage.act(index, quietly=True):
            return
        if step.read_only:
            self._compare(before, stage.effects(), f"step {step.name!r} says read_only=True")
            return
        if stage.undo(index, f"the compensation of {step.name!r}, called after its action"):
            self._compare(before, stage.effects(), f"the compensation of {step.name!r} has run")
            stage.undo(index, f"the compensation of {step.name!r}, called twice")
        stage = self._staged(index)
        if stage.act(index, quietly=True):
            del stage.values[index]
            if stage.undo(index, f"the compensation of {step.name!r}, called with None after its action"):
                what = f"the compensation of {step.name!r} has run with None for the result, as after a lost answer"
                self._compare(before, stage.effects(), what)
        self._staged(index).undo(index, f"the compensation of {step.name!r}, called although it never happened")

    def _staged(self, index: int) -> _Stage:
        stage = self._stage(index)
        assert stage is not None
        return stage

    def _compare(self, before: Counter[tuple[str, str]], after: Counter[tuple[str, str]], what: str) -> None:
        left = ", ".join(sorted(name for name, _ in after - before))
        if left:
            self.note(Flaw.MISSING_COMPENSATION, f"{what}, and {left} stands")


@define(eq=False)
class _Stage:
    """A world of its own for one experiment."""

    rehearsal: _Rehearsal
    values: dict[int, object] = field(factory=dict)
    error: BaseException | None = None
    _fakes: list[FakeService] = field(init=False)
    _services: Mapping[Any, object] = field(init=False)
    _loop: SimLoop = field(init=False)

    def __attrs_post_init__(self) -> None:
        rehearsal = self.rehearsal
        world = World(rehearsal.seed)
        self._loop = SimLoop(Random(rehearsal.seed))  # noqa: S311  # a rehearsal must be reproducible
        rehearsal.loops.append(self._loop)
        world.begin(1, self._loop)
        provided = {
            type_: one() if isinstance(one, type) else one for type_, one in named(copy.deepcopy(rehearsal.services))
        }
        self._fakes = [one for one in provided.values() if isinstance(one, FakeService)]
        for fake in self._fakes:
            fake.world, fake.plans, fake.outcomes = world, {}, None
        self._services = resolve_services(Registry.of([rehearsal.saga]).bindings(), provided)

    def can(self, index: int) -> bool:
        """Whether everything that the action needs is there."""
        binding = self.rehearsal.saga.bindings[index][Work.ACTION]
        return binding is not None and not any(binding.needs(slot) and slot not in self.values for slot in range(index))

    def act(self, index: int, *, attempt: int = 1, quietly: bool = False) -> bool:
        """Call an action and keep its result; whether it succeeded."""
        try:
            self.values[index] = self._call(index, Work.ACTION, attempt)
        except PermanentError as error:
            self.error = error
            return False
        except Exception as error:  # noqa: BLE001  # whatever the user's function raises
            self.error = error
            if not quietly:
                name = self.rehearsal.saga.slots[index].name
                self.rehearsal.note(Flaw.RAISES, f"step {name!r} raised {error!r}")
            return False
        return True

    def undo(self, index: int, what: str) -> bool:
        """Call a compensation, which must not raise."""
        try:
            self._call(index, Work.COMPENSATION, 1)
        except Exception as error:  # noqa: BLE001  # whatever the user's function raises
            self.rehearsal.note(Flaw.NEEDS_ACTION, f"{what}, raised {error!r}")
            return False
        return True

    def effects(self) -> Counter[tuple[str, str]]:
        """What stands, by name and key."""
        found: Counter[tuple[str, str]] = Counter()
        for fake in self._fakes:
            for (action, key), count in fake.ledger.standing.items():
                found[f"{fake.name}.{action}", key] += count
        return +found

    def sent(self) -> list[tuple[str, str]]:
        """Requests so far, by name and key."""
        return [(f"{fake.name}.{name}", key) for fake in self._fakes for name, key in fake.ledger.sent]

    def _call(self, index: int, work: Work, attempt: int) -> object:
        saga = self.rehearsal.saga
        call, binding, name = saga.calls[index][work], saga.bindings[index][work], saga.slots[index].name
        assert call is not None
        assert binding is not None
        action = idempotency_key(saga.name, "rehearsal", name, "action")
        own = action if work is Work.ACTION else idempotency_key(saga.name, "rehearsal", name, work.name.lower())
        context = StepContext(
            key=own, action_key=action, saga=saga.name, order_id="rehearsal", step=name, attempt=attempt, epoch=1
        )
        arguments = binding.arguments(context, self.rehearsal.input, self.values, self._services)

        def note(flaw: Flaw, what: str) -> None:
            self.rehearsal.note(flaw, f"step {name!r} {what}")

        with spying(note, is_async=call.is_async), awaiting(note):
            if call.is_async:
                return self._loop.call(call.function(**arguments))
            return self._loop.call(_plainly(lambda: call.function(**arguments)))


async def _plainly(function: Callable[[], object]) -> object:
    return function()
