"""What people may ask of an order, and what they are answered: the rows of the table state x verb -> answer."""

from __future__ import annotations

from collections.abc import Callable

from .answers import CancelAnswer, VerbAnswer
from .draft import Draft
from .events import Control, Verb
from .progress import CauseKind, Park, ParkReason, Reason, Status, StepStatus, Work
from .saga import Zone

_YES, _NO = VerbAnswer.ACCEPTED, VerbAnswer.NOT_APPLICABLE


def control(draft: Draft, event: Control) -> None:
    """Decide a person's request; request, answer, who and why all stand in the history."""
    answer = _VERBS[event.verb](draft, event) if draft.progress.final is None else VerbAnswer.ALREADY_FINISHED
    draft.answers += ((event.seq, answer),)
    draft.note(event.verb, remark=f"{answer}; by {event.by}: {event.why}")


def _cancel(draft: Draft, event: Control) -> str:
    if draft.progress.reason is not None:
        return CancelAnswer.ALREADY_CANCELLING
    if draft.too_late:
        return CancelAnswer.TOO_LATE
    draft.turn_back(Reason(CauseKind.CANCEL, event.why, event.by))
    return CancelAnswer.ACCEPTED


def _suspend(draft: Draft, _event: Control) -> str:
    if draft.progress.suspended:
        return _NO
    draft.progress.suspended = True
    return _YES


def _resume(draft: Draft, _event: Control) -> str:
    if not draft.progress.suspended:
        return _NO
    draft.progress.suspended = False
    return _YES


def _abandon(draft: Draft, event: Control) -> str:
    if event.park != (draft.progress.park.number if draft.progress.park else None):
        return VerbAnswer.STALE
    if not draft.progress.held or any(slot.running for slot in draft.progress.slots):
        return _NO
    draft.progress.reason = draft.progress.reason or Reason(CauseKind.OPERATOR, event.why, event.by)
    draft.progress.park = None
    draft.end(Status.ABANDONED)
    return _YES


def _on_park(decide: Callable[[Draft, Control, Park], str]) -> Callable[[Draft, Control], str]:
    """A verb that speaks of one park: it is stale where the order has moved on, and lifts the park where it applies."""

    def verb(draft: Draft, event: Control) -> str:
        park = draft.progress.park
        if park is None or park.number != event.park:
            return VerbAnswer.STALE
        answer = decide(draft, event, park)
        if answer == _YES:
            draft.progress.park = None
        return answer

    return verb


def _retry(draft: Draft, _event: Control, park: Park) -> str:
    match park.reason:
        case ParkReason.CRASH_LOOP:
            draft.progress.deaths = 0
        case ParkReason.COMPENSATION:
            index = _parked(draft, park)
            draft.spend(index, Work.COMPENSATION, 0)
            draft.schedule(index, Work.COMPENSATION)
        case ParkReason.IN_DOUBT | ParkReason.STEP:
            return _retry_action(draft, _parked(draft, park))
        case _:
            pass  # the predicate is asked again when the order goes on
    return _YES


def _retry_action(draft: Draft, index: int) -> str:
    """Begin the ladder anew: the probe first where there is one, since it can do no harm."""
    step, slot = draft.saga.step(index), draft.slot(index)
    probes = slot.doubt and draft.saga.calls[index][Work.PROBE] is not None
    if not probes and not step.repeatable:
        return _NO
    slot.spent = (0, 0, slot.spent[Work.COMPENSATION])
    slot.status = StepStatus.IN_DOUBT if slot.doubt else StepStatus.PENDING
    draft.schedule(index, Work.PROBE if probes else Work.ACTION)
    return _YES


def _resolve(draft: Draft, event: Control, park: Park) -> str:
    if park.reason is ParkReason.COMPENSATION and event.happened:
        draft.idle(_parked(draft, park), StepStatus.COMPENSATED)
        return _YES
    if park.reason not in {ParkReason.IN_DOUBT, ParkReason.STEP}:
        return _NO
    index = _parked(draft, park)
    if event.happened:
        slot = draft.idle(index, StepStatus.SUCCEEDED)
        slot.error, slot.doubt = None, False
        draft.keeps = index if event.result is not None else None
        return _YES
    if draft.saga.zone(index) is not Zone.PIVOT:
        return _NO  # after the pivot nothing turns back: only retry, skip or a result lead on
    draft.idle(index, StepStatus.FAILED).doubt = False
    draft.turn_back(Reason(CauseKind.OPERATOR, event.why, event.by))
    return _YES


def _skip(draft: Draft, _event: Control, park: Park) -> str:
    if park.reason not in {ParkReason.STEP, ParkReason.COMPENSATION, ParkReason.PREDICATE}:
        return _NO
    index = _parked(draft, park)
    if park.reason is ParkReason.COMPENSATION:
        draft.progress.unpaid = True
    elif not draft.saga.skippable(index):
        return _NO
    draft.idle(index, StepStatus.SKIPPED)
    return _YES


def _parked(draft: Draft, park: Park) -> int:
    """The slot that a park speaks of."""
    return next(index for index, slot in enumerate(draft.saga.slots) if slot.name == park.step)


_VERBS: dict[Verb, Callable[[Draft, Control], str]] = {
    Verb.CANCEL: _cancel,
    Verb.SUSPEND: _suspend,
    Verb.RESUME: _resume,
    Verb.ABANDON: _abandon,
    Verb.RETRY: _on_park(_retry),
    Verb.RESOLVE: _on_park(_resolve),
    Verb.SKIP: _on_park(_skip),
}
