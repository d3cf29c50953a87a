"""The heart: a pure function from an order's progress and an event to its next progress.

`plan` knows no clock, no disk and no chance; time and luck come in with the event. It first *records* what
happened (`ladder` for the ends of attempts, `verbs` for what people ask), then *advances*: it looks at where
the order stands, and commits the next intents as far as nothing stands in the way. Because advancing looks
at the state alone and never at the event, it makes no difference how an order came to where it is: by a
result, by a restart, or by an operator's hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..actors import Begin, Due, Moment, Resumed
from .draft import Draft, Plan
from .events import Arrived, Control, Ended, Evaluate, Evaluated, Event, Late, Overlap
from .ladder import climb, ended, late, resumed
from .progress import CauseKind, Failure, ParkReason, Progress, Reason, Status, StepStatus, Work
from .receive import Receive
from .saga import Saga, Zone
from .standing import lost
from .verbs import control


def plan(saga: Saga[Any], progress: Progress, event: Event, moment: Moment) -> Plan:
    """Decide what an event changes and what is to be done next."""
    draft = Draft.of(saga, progress, moment)
    _RECORD[type(event)](draft, event)
    # A request overtakes messages, and must not let a wait run out before a message that was accepted in time: the
    # timer, which is due by then, comes right behind the messages.
    draft.expires = not isinstance(event, Control)
    if draft.progress.final is None and not moment.draining:
        _advance(draft)
    return draft.plan()


def _advance(draft: Draft) -> None:
    """Commit the next intents, as far as nothing stands in the way."""
    _expire(draft)
    if draft.progress.reason is None and not draft.progress.held:
        _proceed(draft)
    if draft.progress.reason is not None and not draft.progress.held:
        _unwind(draft)


def _expire(draft: Draft) -> None:
    """Turn back an order whose deadline has passed, under the rules of a cancel."""
    progress = draft.progress
    if progress.deadline is None or progress.suspended or draft.moment.now < progress.deadline:
        return
    if progress.reason is None and not draft.too_late:
        draft.guarded = True
        draft.note("DEADLINE")
        draft.turn_back(Reason(CauseKind.DEADLINE, "the order took longer than its deadline"))


def _proceed(draft: Draft) -> None:
    """Go forward, node by node, as far as possible."""
    nodes = draft.saga.nodes
    while draft.progress.cursor < len(nodes):
        node = nodes[draft.progress.cursor]
        receive = draft.saga.slots[node[0]]
        passed = _wait(draft, node[0], receive) if isinstance(receive, Receive) else _perform(draft, node)
        if not passed:
            return
        draft.progress.cursor += 1
    draft.end(Status.COMPLETED)


def _perform(draft: Draft, node: tuple[int, ...]) -> bool:
    """Run the members of a node; whether all of them have succeeded."""
    slots = draft.progress.slots
    waiting = [index for index in node if slots[index].status not in _PASSED]
    for index in waiting:
        if _is_spent(draft, index):
            climb(draft, index, ask=True, delay=0.0)
        if lost(slots[index]):
            _lose(draft, index)
            return False
    for index in waiting:
        slot = slots[index]
        if slot.status is StepStatus.PENDING or draft.ready(slot):
            draft.run(index, slot.work or Work.ACTION)
    return not waiting


def _is_spent(draft: Draft, index: int) -> bool:
    """Whether a retry was scheduled by a release in which the step was still repeatable."""
    slot = draft.progress.slots[index]
    scheduled = slot.work is Work.ACTION and not slot.running and slot.sent[Work.ACTION] > 0
    return scheduled and not draft.saga.step(index).repeatable


def _lose(draft: Draft, index: int) -> None:
    """A step was given up: before the pivot the order turns back, afterwards a person must help it on."""
    zone, slot = draft.saga.zone(index), draft.progress.slots[index]
    if zone is Zone.RETRIABLE:
        draft.park(ParkReason.STEP, index, slot.error)
    elif zone is Zone.PIVOT and slot.doubt:
        draft.park(ParkReason.IN_DOUBT, index, slot.error)
    else:
        draft.turn_back(Reason(CauseKind.ERROR))


_PASSED = frozenset({StepStatus.SUCCEEDED, StepStatus.SKIPPED})


def _wait(draft: Draft, index: int, receive: Receive) -> bool:
    """Await a message; whether it has come, or is not wanted."""
    slot = draft.progress.slots[index]
    if slot.status is StepStatus.PENDING:
        if receive.when is not None:
            draft.commands += (Evaluate(index),)
        else:
            _listen(draft, index, receive)
    elif slot.status is StepStatus.STARTED and slot.due is not None and slot.due <= draft.moment.now and draft.expires:
        draft.guarded = True
        draft.idle(index, StepStatus.FAILED)
        draft.note("TIMEOUT", index)
        draft.turn_back(Reason(CauseKind.DEADLINE, f"no message came for {receive.name!r} in time"))
    return slot.status in _PASSED


def _listen(draft: Draft, index: int, receive: Receive) -> None:
    slot = draft.slot(index)
    slot.status = StepStatus.STARTED
    slot.due = None if receive.timeout is None else draft.moment.now + receive.timeout


def _unwind(draft: Draft) -> None:
    """Undo what is owed: in reverse order of definition, one acknowledged before the next begins."""
    slots = draft.progress.slots
    if _drop_forward_work(draft):
        return  # an attempt still runs, and its outcome matters: what succeeds now is undone with its result
    for index in reversed(range(len(slots))):
        if draft.owes(index):
            _undo(draft, index)
            return
    draft.end(Status.ABANDONED if draft.progress.unpaid else Status.COMPENSATED)


def _drop_forward_work(draft: Draft) -> bool:
    """End waits and backoffs of the way forward; whether an attempt is still running."""
    running = False
    for index, slot in enumerate(draft.progress.slots):
        if isinstance(draft.saga.slots[index], Receive):
            if slot.status is StepStatus.STARTED:
                draft.idle(index, StepStatus.SKIPPED)
        elif slot.work is not None and slot.work is not Work.COMPENSATION:
            running = running or slot.running
            if not slot.running:
                draft.idle(index, StepStatus.IN_DOUBT if slot.doubt else StepStatus.FAILED)
    return running


def _undo(draft: Draft, index: int) -> None:
    slot = draft.progress.slots[index]
    if slot.status is StepStatus.COMPENSATING and slot.work is None:
        draft.park(ParkReason.COMPENSATION, index, slot.undo_error)
        return
    if slot.work is None:
        draft.schedule(index, Work.COMPENSATION)
    if draft.ready(draft.progress.slots[index]):
        draft.run(index, Work.COMPENSATION)


# ── recording what happened ───────────────────────────────────────────────────────────────────────


def _begun(draft: Draft, _event: Begin) -> None:
    draft.progress.begun = True
    if draft.saga.deadline is not None:
        draft.progress.deadline = draft.moment.now + draft.saga.deadline
    draft.note("BEGUN")


def _due(draft: Draft, _event: Due) -> None:
    draft.note("DUE")


def _overlap(draft: Draft, event: Overlap) -> None:
    draft.overlap(event.slot, event.number)


def _evaluated(draft: Draft, event: Evaluated) -> None:
    receive = draft.saga.slots[event.slot]
    assert isinstance(receive, Receive)
    if isinstance(event.verdict, Failure):
        draft.park(ParkReason.PREDICATE, event.slot, event.verdict)
    elif event.verdict:
        _listen(draft, event.slot, receive)
    else:
        draft.idle(event.slot, StepStatus.SKIPPED)


def _arrived(draft: Draft, event: Arrived) -> None:
    """Take the message that the order waits for: the caller has asked `expected` first."""
    index = draft.saga.nodes[draft.progress.cursor][0]
    receive = draft.saga.slots[index]
    assert isinstance(receive, Receive)
    draft.idle(index, StepStatus.SUCCEEDED).kind = event.kind
    draft.keeps = index
    draft.guarded = True  # one that was accepted earlier, by another process, comes first
    draft.answers += ((event.seq, "CONSUMED"),)
    draft.note("RECEIVED", index, remark=event.kind)
    if event.kind in receive.declines:
        draft.turn_back(Reason(CauseKind.CANCEL, f"{event.kind} was received", slot=index))


_RECORD: dict[type, Callable[[Draft, Any], None]] = {
    Begin: _begun,
    Due: _due,
    Resumed: resumed,
    Ended: ended,
    Late: late,
    Overlap: _overlap,
    Evaluated: _evaluated,
    Arrived: _arrived,
    Control: control,
}
