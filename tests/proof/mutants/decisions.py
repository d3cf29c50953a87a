"""Faults in the planner: what is decided about the order, its doubts and its debts."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch

from attrs import evolve

from atone.sagas import ladder, plan, verbs
from atone.sagas.behaviour import OrderBehaviour, OrderState
from atone.sagas.draft import Draft
from atone.sagas.events import Control, Ended, Finding, Probed, Refused, Returned, Unknown
from atone.sagas.progress import CauseKind, ParkReason, Reason, Status, StepStatus, Work
from atone.storage import Phase, Snapshot

from ..oracle import END
from .mutant import mutant

Planted = AbstractContextManager[object]


def _debts(draft: Draft) -> list[int]:
    return [index for index in range(len(draft.progress.slots)) if draft.owes(index)]


def _unwinding(draft: Draft, indexes: list[int]) -> None:
    """Undo these, then end, as the real one does."""
    if plan._drop_forward_work(draft):
        return
    for index in indexes:
        plan._undo(draft, index)
    if not indexes:
        draft.end(Status.ABANDONED if draft.progress.unpaid else Status.COMPENSATED)


@mutant("scenarios", "S3 order of undoing")
def undone_in_order() -> Planted:
    """Compensations run in the order of the steps, the first step first."""
    return patch.object(plan, "_unwind", lambda draft: _unwinding(draft, _debts(draft)[:1]))


@mutant("scenarios", "S3 order of undoing")
def undone_at_once() -> Planted:
    """All compensations begin at once, before the later ones were acknowledged."""
    return patch.object(plan, "_unwind", lambda draft: _unwinding(draft, _debts(draft)))


@mutant("scenarios", "S2 no forgotten effect")
def doubt_forgotten() -> Planted:
    """A lost answer, a timeout and a crash count as a refusal: nothing is owed."""
    real = ladder._in_doubt

    def certain(draft: Draft, index: int, failure: Any) -> None:
        real(draft, index, failure)
        draft.slot(index).doubt = False

    return patch.object(ladder, "_in_doubt", certain)


@mutant("machines", "S2 no forgotten effect")
def doubt_forgotten_in_a_machine() -> Planted:
    """The same, in what Hypothesis draws."""
    return doubt_forgotten()


@mutant("scenarios", "S2 no forgotten effect")
def refusal_clears_doubt() -> Planted:
    """A refusal of the second attempt is taken as proof that the first had no effect."""
    real = ladder._not_done

    def trusting(draft: Draft, index: int, how: Any) -> None:
        if isinstance(how, Refused):
            draft.slot(index).doubt = False
        real(draft, index, how)

    return patch.object(ladder, "_not_done", trusting)


@mutant("scenarios", "S2 no forgotten effect")
def probe_clears_doubt() -> Planted:
    """A probe that says "so far not" is believed for ever, although a request may still arrive."""
    real = ladder._probed

    def trusting(draft: Draft, index: int, how: Any) -> None:
        if isinstance(how, Probed) and how.finding is Finding.DID_NOT_HAPPEN:
            how = Probed(Finding.NEVER_WILL_HAPPEN)
        real(draft, index, how)

    return patch.object(ladder, "_probed", trusting)


@mutant("scenarios", "S2 no forgotten effect")
def doubt_not_undone() -> Planted:
    """Only steps that are known to have succeeded are compensated, those in doubt are not."""
    known = {StepStatus.SUCCEEDED, StepStatus.COMPENSATING}
    real = Draft.owes

    def owes(self: Draft, index: int) -> bool:
        return real(self, index) and self.progress.slots[index].status in known

    return patch.object(Draft, "owes", owes)


@mutant("scenarios", "S4 past the pivot")
def pivot_in_doubt_turns_back() -> Planted:
    """An order whose pivot is in doubt is rolled back, although the pivot may have happened."""

    def lose(draft: Draft, index: int) -> None:
        draft.turn_back(Reason(CauseKind.ERROR))

    return patch.object(plan, "_lose", lose)


@mutant("scenarios", "S4 past the pivot")
def cancelled_past_the_pivot() -> Planted:
    """A cancel is accepted although the pivot has begun."""
    return patch.object(Draft, "too_late", property(lambda self: False))


@mutant("scenarios", "S2 no forgotten effect")
def park_goes_on() -> Planted:
    """A parked order goes on by itself, as if a person had skipped what it was parked for."""
    real = Draft.park

    def park(self: Draft, reason: ParkReason, index: int | None, failure: Any) -> None:
        if index is None:
            real(self, reason, index, failure)
        else:
            self.idle(index, StepStatus.SKIPPED)

    return patch.object(Draft, "park", park)


@mutant("scenarios", "S2 no forgotten effect")
def failed_undo_is_done() -> Planted:
    """A compensation that used up its attempts counts as done."""
    real = plan._undo

    def undo(draft: Draft, index: int) -> None:
        slot = draft.progress.slots[index]
        if slot.status is StepStatus.COMPENSATING and slot.work is None:
            draft.idle(index, StepStatus.COMPENSATED)
            plan._unwind(draft)
        else:
            real(draft, index)

    return patch.object(plan, "_undo", undo)


@mutant("scenarios", "S4 one end")
def end_is_no_end() -> Planted:
    """A request that comes behind the end turns the order back, completed or not."""
    real_control, real_encode = verbs.control, OrderBehaviour.encode

    def control(draft: Draft, event: Control) -> None:
        if draft.progress.final is not None:
            draft.progress.final = None
            draft.progress.reason = draft.progress.reason or Reason(CauseKind.CANCEL, event.why, event.by)
        real_control(draft, event)

    def encode(self: OrderBehaviour, state: OrderState) -> Snapshot:
        snapshot = real_encode(self, state)
        return evolve(snapshot, phase=Phase.IDLE) if snapshot.phase is Phase.FINAL else snapshot

    with ExitStack() as planted:
        planted.enter_context(patch.dict(plan._RECORD, {Control: control}))
        planted.enter_context(patch.object(OrderBehaviour, "encode", encode))
        return planted.pop_all()


@mutant("scenarios", "L1 bounded retries")
def retries_without_end() -> Planted:
    """An action is sent again and again, whatever its retry policy says."""
    return patch.object(Draft, "may_retry", lambda self, index: self.saga.step(index).repeatable)


@mutant("scenarios", END)
def cut_off_is_failed() -> Planted:
    """An attempt that a crash or a shutdown cut off is given up, and its order undone."""
    real = ladder._cut_off

    def cut_off(draft: Draft, index: int, work: Work) -> None:
        if work is Work.ACTION:
            ladder._in_doubt(draft, index, ladder._CUT_OFF)
            ladder.give_up(draft, index)
        else:
            real(draft, index, work)

    return patch.object(ladder, "_cut_off", cut_off)


@mutant("scenarios", "S4 exactly once")
def timeout_is_done() -> Planted:
    """A step that did not answer in time counts as done."""
    real = OrderBehaviour.decide

    def decide(self: OrderBehaviour, state: OrderState, event: Any, moment: Any) -> Any:
        unanswered = isinstance(event, Ended) and isinstance(event.how, Unknown) and event.how.lingers is not None
        if unanswered and event.work is Work.ACTION:
            event = evolve(event, how=Returned(b'"done"', "done"))
        return real(self, state, event, moment)

    return patch.object(OrderBehaviour, "decide", decide)
