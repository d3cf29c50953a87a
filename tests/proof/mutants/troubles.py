"""Faults when the store fails, the memory is full, the clock runs ahead, or the host leaves."""

from __future__ import annotations

import random
from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch

from attrs import evolve

from atone.actors import Actor, Due, Ownership, Supervisor
from atone.actors.actor import Turn
from atone.sagas import plan
from atone.sagas.attempt import Attempt
from atone.sagas.behaviour import OrderBehaviour, OrderState
from atone.sagas.draft import Draft
from atone.sagas.events import Ended, Refused, Unknown
from atone.sagas.progress import Status, StepStatus
from atone.sagas.runner import Runner
from atone.storage import Codec, StoreError, WriteRefused
from atone.storage.disk import Disk

from .mutant import mutant

Planted = AbstractContextManager[object]
_AHEAD = 0.5  #: seconds


@mutant("scenarios", "S9 nothing on the unknown")
def retried_from_memory() -> Planted:
    """A transition whose commit failed is tried again as it is, and the disk is not looked at."""
    real = Actor._refused

    def refused(self: Actor[Any], turn: Turn[Any], result: Any) -> None:
        if isinstance(result, StoreError) and not isinstance(result, WriteRefused):
            self.turn = None
            self.mailbox.put_back(turn.taken)
            self.proceed()
        else:
            real(self, turn, result)

    return patch.object(Actor, "_refused", refused)


@mutant("scenarios", "S10 nothing begins while the store is sick")
def begun_while_sick() -> Planted:
    """A step begins although the commit that announces it has failed."""
    real = Actor._refused

    def refused(self: Actor[Any], turn: Turn[Any], result: Any) -> None:
        if isinstance(result, StoreError) and not isinstance(result, WriteRefused):
            self.host.stage.perform(self.key, turn.decision.state, turn.decision.effects)
        real(self, turn, result)

    return patch.object(Actor, "_refused", refused)


@mutant("scenarios", "S6 one writer")
def stopped_owner_goes_on() -> Planted:
    """An owner that stood still goes on as if it had not, and the disk takes whatever it writes."""
    with ExitStack() as planted:
        planted.enter_context(patch.object(Disk, "apply", lambda self, write: self._apply[type(write)](write)))
        planted.enter_context(patch.object(Ownership, "fresh", lambda self: True))
        return planted.pop_all()


@mutant("scenarios", "S13 time")
def timers_ahead() -> Planted:
    """Timers fire half a second before their time, and are believed."""
    arm, decide = Actor.arm, OrderBehaviour.decide

    def armed(self: Actor[Any], wake_at: float | None) -> None:
        arm(self, None if wake_at is None else wake_at - _AHEAD)

    def decided(self: OrderBehaviour, state: OrderState, event: object, moment: Any) -> Any:
        if isinstance(event, Due):
            moment = evolve(moment, now=moment.now + _AHEAD)
        return decide(self, state, event, moment)

    with ExitStack() as planted:
        planted.enter_context(patch.object(Actor, "arm", armed))
        planted.enter_context(patch.object(OrderBehaviour, "decide", decided))
        return planted.pop_all()


@mutant("scenarios", "S14 a timeout is doubt")
def timeout_is_refusal() -> Planted:
    """A step that did not answer in time counts as refused."""
    real = OrderBehaviour.decide

    def decide(self: OrderBehaviour, state: OrderState, event: Any, moment: Any) -> Any:
        if isinstance(event, Ended) and isinstance(event.how, Unknown) and event.how.lingers is not None:
            event = evolve(event, how=Refused(event.how.failure))
        return real(self, state, event, moment)

    return patch.object(OrderBehaviour, "decide", decide)


@mutant("scenarios", "S16 no undoing is skipped")
def failed_undo_is_abandoned() -> Planted:
    """An order whose compensation used up its attempts is closed, and nobody is asked."""
    real = plan._undo

    def undo(draft: Draft, index: int) -> None:
        slot = draft.progress.slots[index]
        if slot.status is StepStatus.COMPENSATING and slot.work is None:
            draft.end(Status.ABANDONED)
        else:
            real(draft, index)

    return patch.object(plan, "_undo", undo)


@mutant("scenarios", "S17 troubles are no refusal")
def full_memory_is_refusal() -> Planted:
    """A step for which the memory was too small counts as refused."""
    real = Runner._report

    def report(self: Runner, attempt: Attempt, how: Any) -> None:
        full = isinstance(how, Unknown) and how.failure.kind == "MemoryError"
        real(self, attempt, Refused(how.failure) if full else how)

    return patch.object(Runner, "_report", report)


@mutant("scenarios", "S18 pure decisions")
def chance_of_its_own() -> Planted:
    """The planner draws the pauses between attempts itself, instead of being given its luck."""
    real = Draft.delay
    return patch.object(Draft, "delay", lambda *given: real(*given) * random.uniform(0.9, 1))


@mutant("scenarios", "S19 bounds")
def limit_forgotten() -> Planted:
    """A message of any size is accepted."""
    real = Codec.__init__

    def init(self: Codec, *given: Any, **named: Any) -> None:
        real(self, *given, **{**named, "limit": 1 << 30})

    return patch.object(Codec, "__init__", init)


@mutant("scenarios", "S20 shutdown is no cancel")
def leaves_at_work() -> Planted:
    """A host that was asked to leave begins one step after another until it is made to."""
    return patch.object(Supervisor, "drain", lambda self: None)
