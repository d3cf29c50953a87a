"""Faults around the attempts: their intents, numbers, budgets and keys."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch
from weakref import WeakKeyDictionary

from attrs import evolve

from atone import Coordinator, StepContext
from atone.actors import Actor
from atone.actors.actor import Turn
from atone.sagas import snapshot
from atone.sagas.attempt import Attempt
from atone.sagas.events import Run
from atone.sagas.progress import Progress, Slot
from atone.sagas.runner import Runner
from atone.storage import Advance, Exists

from .mutant import mutant

Planted = AbstractContextManager[object]


@mutant("scenarios", "S1 intent first")
def effect_before_intent() -> Planted:
    """A step is called while the commit that announces it is still on its way."""
    real_advance, real_perform = Actor._advance, Runner.perform
    of: WeakKeyDictionary[Runner, set[tuple[int, Run]]] = WeakKeyDictionary()  # orders of another case have these keys

    def advance(self: Actor[Any], turn: Turn[Any]) -> Advance:
        self.host.stage.perform(self.key, turn.decision.state, turn.decision.effects)
        return real_advance(self, turn)

    def perform(self: Runner, key: int, state: Any, effects: tuple[Any, ...]) -> None:
        begun = of.setdefault(self, set())
        new = tuple(run for run in effects if (key, run) not in begun)
        begun.update((key, run) for run in new)
        real_perform(self, key, state, new)

    with ExitStack() as planted:
        planted.enter_context(patch.object(Actor, "_advance", advance))
        planted.enter_context(patch.object(Runner, "perform", perform))
        return planted.pop_all()


def _remembered(**forgotten: Any) -> Planted:
    """Slots are read from disk without some of what they say."""
    real = snapshot._unpack

    def unpack(*packed: Any) -> Slot:
        slot = real(*packed)
        return evolve(slot, **{name: getattr(slot, name) if slot.running else new for name, new in forgotten.items()})

    return patch.object(snapshot, "_unpack", unpack)


@mutant("scenarios", "S1 intent first")
def attempts_begin_anew() -> Planted:
    """The number of an attempt begins at 1 again when the order is read from disk."""
    real = snapshot.decode

    def decode(*stored: Any) -> tuple[Progress, snapshot.Results]:
        progress, results = real(*stored)
        progress.slots = [
            slot if slot.running else evolve(slot, sent=(0, *slot.sent[1:])) if slot.work is not None else slot
            for slot in progress.slots
        ]  # fmt: skip
        return progress, results

    return patch.object(snapshot, "decode", decode)


@mutant("exhaustive", "S1 intent first")
def attempts_begin_anew_everywhere() -> Planted:
    """The same, wherever a life may begin."""
    return attempts_begin_anew()


@mutant("scenarios", "L1 bounded retries")
def budget_begins_anew() -> Planted:
    """The tries that a step has used up are forgotten when the order is read from disk."""
    return _remembered(spent=(0, 0, 0))


@mutant("scenarios", "S2 net zero")
def key_of_an_attempt() -> Planted:
    """Each attempt of a step goes out under a key of its own."""
    real = Runner._context

    def context(self: Runner, attempt: Attempt) -> StepContext:
        told = real(self, attempt)
        return evolve(told, key=f"{told.key}-{told.attempt}")

    return patch.object(Runner, "_context", context)


@mutant("scenarios", "S11 once")
def started_twice() -> Planted:
    """A repeated start begins a second order."""
    real = Coordinator._begin

    async def begin(self: Coordinator, saga: Any, id: str, *rest: Any) -> Any:
        result = await real(self, saga, id, *rest)
        return await real(self, saga, f"{id}-again", *rest) if isinstance(result, Exists) else result

    return patch.object(Coordinator, "_begin", begin)


@mutant("power_loss", "S7 an answer is durable")
def outcome_told_early() -> Planted:
    """Whoever waits for the end of an order is told before it is on disk."""
    real = Actor._advance

    def advance(self: Actor[Any], turn: Turn[Any]) -> Advance:
        before = self.state, self.snapshot
        self.state, self.snapshot = turn.decision.state, turn.snapshot
        self.host.committed(self, turn.decision.answers, before[1].status)
        self.state, self.snapshot = before
        return real(self, turn)

    return patch.object(Actor, "_advance", advance)
