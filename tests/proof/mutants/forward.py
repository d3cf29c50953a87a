"""Faults on the way forward: steps and messages that are passed over, repeated, or begun beside another."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from atone.actors import Resumed
from atone.sagas import Receive, ladder, plan
from atone.sagas.draft import Draft
from atone.sagas.events import Arrived, Refused, Unknown
from atone.sagas.progress import Progress, StepStatus, Work

from .mutant import mutant

Planted = AbstractContextManager[object]


@mutant("scenarios", "S4 in order")
def approval_skipped() -> Planted:
    """An order does not wait for the message that it should wait for."""

    def wait(draft: Draft, index: int, _receive: Receive) -> bool:
        draft.idle(index, StepStatus.SKIPPED)
        return True

    return patch.object(plan, "_wait", wait)


@mutant("scenarios", "S4 in order")
def begun_together() -> Planted:
    """A step begins together with the one before it."""
    real = plan._perform

    def perform(draft: Draft, node: tuple[int, ...]) -> bool:
        done = real(draft, node)
        slots, following = draft.saga.slots, node[-1] + 1
        is_step = following < len(slots) and not isinstance(slots[following], Receive)
        if is_step and not done and draft.progress.slots[following].status is StepStatus.PENDING:
            draft.run(following, Work.ACTION)
        return done

    return patch.object(plan, "_perform", perform)


@mutant("scenarios", "S12 cancel means stop")
def decline_ignored() -> Planted:
    """A message that declines the order is taken for one that lets it pass."""
    real = plan._RECORD[Arrived]

    def arrived(draft: Draft, event: Arrived) -> None:
        real(draft, event)
        draft.progress.reason = None

    return patch.dict(plan._RECORD, {Arrived: arrived})


@mutant("scenarios", "S4 no repeat")
def refused_again() -> Planted:
    """A step that refused is sent again while it has tries left."""
    real = ladder._not_done

    def not_done(draft: Draft, index: int, how: Any) -> None:
        real(draft, index, Unknown(how.failure) if isinstance(how, Refused) else how)

    return patch.object(ladder, "_not_done", not_done)


@mutant("scenarios", "S4 no repeat")
def sent_after_success() -> Planted:
    """The step that succeeded last is sent once more by the next host."""
    real = plan._RECORD[Resumed]

    def resumed(draft: Draft, event: Resumed) -> None:
        real(draft, event)
        now = draft.progress
        last = draft.saga.nodes[now.cursor - 1][0] if now.cursor else 0
        done = now.slots[last].status is StepStatus.SUCCEEDED and not isinstance(draft.saga.slots[last], Receive)
        if done and now.reason is None and now.final is None and not draft.moment.draining:
            draft.run(last, Work.ACTION)

    return patch.dict(plan._RECORD, {Resumed: resumed})


@mutant("scenarios", "S4 turning back")
def first_doubt_turns_back() -> Planted:
    """The first answer that is lost ends the retries."""
    return patch.object(Draft, "may_retry", lambda self, index: False)


@mutant("scenarios", "S1 one at a time")
def undone_beside_a_step() -> Planted:
    """A compensation begins while a step still runs."""
    real = plan._drop_forward_work

    def drop(draft: Draft) -> bool:
        real(draft)
        return False

    return patch.object(plan, "_drop_forward_work", drop)


@mutant("scenarios", "S12 held means still")
def suspend_ignored() -> Planted:
    """An order that was suspended goes on."""
    return patch.object(Progress, "held", property(lambda self: self.park is not None))
