"""What must hold of every decision of the planner, judged by a ledger that the planner does not know.

`follow` lets the planner decide about one event and checks the promises against that ledger. The explorer
and the random histories share it, so that a gap in it shows once.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from attrs import evolve, frozen

from atone import CancelAnswer, CauseKind, Status, StepStatus, VerbAnswer
from atone.actors import Due, Moment, Resumed
from atone.sagas.draft import Plan
from atone.sagas.events import (
    Control,
    Ended,
    Evaluate,
    Evaluated,
    Event,
    Finding,
    Late,
    Probed,
    Refused,
    Returned,
    Run,
    Unknown,
    Verb,
)
from atone.sagas.plan import plan
from atone.sagas.progress import Failure, Progress, Slot, Work
from atone.sagas.receive import Receive
from atone.sagas.saga import Saga
from atone.sagas.standing import expected, phase, status, too_late, wake_at
from atone.storage import Phase

#: What the ledger says of a slot: nothing may have happened; it may have, and is owed; its undoing was acknowledged;
#: or an operator took it on himself that it is not undone.
CLEAR, OWED, PAID, WAIVED = range(4)


@frozen
class Overlap:
    """An attempt that timed out and is still running, and how long it is waited for."""

    work: Work
    until: float


@frozen
class World:
    """An order, and what an honest bookkeeper knows of it."""

    saga: Saga[Any]
    progress: Progress
    ledger: tuple[int, ...]
    overlaps: tuple[Overlap | None, ...]  #: of each slot

    @cached_property
    def shape(self) -> tuple[Any, ...]:
        """The shape of its progress."""
        return shape(self.progress)

    @cached_property
    def running(self) -> list[Run]:
        """The attempts under way."""
        slots = self.progress.slots
        return [
            Run(i, one.work, one.sent[one.work]) for i, one in enumerate(slots) if one.running and one.work is not None
        ]

    @property
    def status(self) -> Status:
        """The status of the order."""
        return status(self.saga, self.progress)

    @property
    def park(self) -> int | None:
        """The number of the park, as a person sees it."""
        return self.progress.park.number if self.progress.park else None


def opening(saga: Saga[Any]) -> World:
    """An order that has not begun."""
    count = len(saga.slots)
    return World(saga, Progress(slots=[Slot() for _ in saga.slots]), (CLEAR,) * count, (None,) * count)


def follow(
    world: World, event: Event, now: float = 0.0, *, verdict: bool | Failure = True, draining: bool = False
) -> tuple[World, Plan]:
    """The world after an event. Raises `AssertionError` where a promise is broken."""
    moment = Moment(now, draining=draining)
    before = world.shape
    decided = _decide(world, event, moment, verdict)
    assert shape(world.progress) == before, "the planner changed what it was given"
    ledger, overlaps = _booked(world, event, decided), _overlaps(world, event, decided)
    after = World(world.saga, decided.progress, ledger, overlaps)
    _check_intents(world, after, decided, moment)
    _check_unwinding(after, decided)
    _check_ends(world, after, decided)
    if isinstance(event, Control):
        _check_answers(world, after, event, decided, lambda: _decide(world, Due(), moment, verdict))
    if draining:
        _check_left(after, moment)
    else:
        _check_alive(after, now, due_follows=isinstance(event, Control))
    return after, decided


def _decide(world: World, event: Event, moment: Moment, verdict: bool | Failure) -> Plan:
    """The decision, with the planner's own question answered as the shell does: in the same commit."""
    decided = plan(world.saga, world.progress, event, moment)
    while decided.commands and isinstance(question := decided.commands[-1], Evaluate):
        answered = plan(world.saga, decided.progress, Evaluated(question.slot, verdict), moment)
        decided = evolve(
            answered,
            commands=decided.commands[:-1] + answered.commands,
            notes=decided.notes + answered.notes,
            answers=decided.answers + answered.answers,
            guarded=decided.guarded or answered.guarded,
            keeps=decided.keeps,
        )
    return decided


def shape(progress: Progress) -> tuple[Any, ...]:
    """All that later decisions depend on: two orders of one shape have the same future.

    Numbers of attempts and parks only name things, and a budget is of use only to work that is not done yet:
    so they are left out, and the shapes of a small saga are finitely many.
    """
    reason, park = progress.reason, progress.park
    if progress.final is not None:
        return progress.final, reason and reason.kind, progress.suspended, progress.unpaid
    return (
        tuple(map(_slot_shape, progress.slots)), progress.cursor, progress.begun, reason and reason.kind,
        park and (park.reason, park.step), progress.suspended, progress.deadline, progress.deaths, progress.unpaid,
    )  # fmt: skip


def _slot_shape(one: Slot) -> tuple[Any, ...]:
    doubt = one.doubt and one.status not in _DONE
    spent = (
        None
        if one.work is None
        else (one.spent[Work.COMPENSATION] if one.work is Work.COMPENSATION else tuple(one.spent[:2]))
    )
    undoing = one.lingers is not None and one.sent[Work.COMPENSATION] > 0
    sent = one.sent[Work.ACTION] > 0
    return one.status, doubt, one.work, one.running, one.due, one.lingers, spent, sent, undoing


_DONE = frozenset({StepStatus.SUCCEEDED, StepStatus.COMPENSATED, StepStatus.SKIPPED})


def _booked(world: World, event: Event, decided: Plan) -> tuple[int, ...]:
    """The ledger after an event, told from the event alone and from what an operator was answered."""
    ledger = list(world.ledger)
    running = world.running
    match event:
        case Ended(slot, work, number, how) if Run(slot, work, number) in running:
            ledger[slot] = _entry(ledger[slot], work, how)
        case Resumed(alive=alive):
            for run in running:
                if run not in alive and run.work is Work.ACTION:
                    ledger[run.slot] = OWED
        case Control(Verb.SKIP) if _accepted(decided) and OWED in ledger and world.progress.reason is not None:
            park = world.progress.park
            assert park is not None
            ledger[[one.name for one in world.saga.slots].index(str(park.step))] = WAIVED
        case Control(Verb.RESOLVE, happened=happened) if _accepted(decided):
            park = world.progress.park
            assert park is not None
            slot = [one.name for one in world.saga.slots].index(str(park.step))
            undoing = world.progress.slots[slot].status is StepStatus.COMPENSATING
            ledger[slot] = PAID if undoing else OWED if happened else CLEAR
        case _:
            pass
    return tuple(entry if not _without_effect(world.saga, index) else CLEAR for index, entry in enumerate(ledger))


def _entry(entry: int, work: Work, how: object) -> int:
    if work is Work.COMPENSATION:
        return PAID if isinstance(how, Returned) else entry
    if isinstance(how, Probed):
        return CLEAR if how.finding is Finding.NEVER_WILL_HAPPEN else entry
    if work is Work.PROBE:
        return OWED if isinstance(how, Returned) else entry
    return entry if isinstance(how, Refused) else OWED


def _without_effect(saga: Saga[Any], index: int) -> bool:
    slot = saga.slots[index]
    return isinstance(slot, Receive) or slot.read_only


def _accepted(decided: Plan) -> bool:
    return any(answer == VerbAnswer.ACCEPTED for _, answer in decided.answers)


def _overlaps(world: World, event: Event, decided: Plan) -> tuple[Overlap | None, ...]:
    """Which attempts that timed out are really still running after an event."""
    overlaps = list(world.overlaps)
    match event:
        case Ended(slot, work, number, Unknown(lingers=until)) if Run(slot, work, number) in world.running:
            overlaps[slot] = _overlap(work, until)
        case Late(slot, work):
            overlap = overlaps[slot]
            overlaps[slot] = None if overlap is not None and overlap.work is work else overlap
        case Resumed(alive=alive):
            timed_out = {
                one.slot: _overlap(one.work, one.how.lingers)
                for one in alive
                if isinstance(one, Ended) and isinstance(one.how, Unknown)
            }
            overlaps = [timed_out.get(slot) for slot in range(len(overlaps))]
        case _:
            pass
    return tuple(overlaps)


def _overlap(work: Work, until: float | None) -> Overlap | None:
    return None if until is None or work is Work.PROBE else Overlap(work, until)


def _check_intents(world: World, after: World, decided: Plan, moment: Moment) -> None:
    """S1: what is asked for is exactly what is newly committed as under way, under rising numbers."""
    runs = [one for one in decided.commands if isinstance(one, Run)]
    assert len(runs) == len(decided.commands)
    assert set(runs) == set(after.running) - set(world.running), "an intent without its commit, or the reverse"
    idle = world.progress.final or after.progress.held or moment.draining
    assert not (runs and idle), "an order that is held, over or left alone began something"
    for run in runs:
        assert run.number == world.progress.slots[run.slot].sent[run.work] + 1, "a number did not rise by one"
        assert world.saga.calls[run.slot][run.work] is not None, "work that the step does not have"
        overlap = after.overlaps[run.slot]
        assert overlap is None or overlap.until <= moment.now, "two attempts of one step at the same time"
        if run.work is Work.ACTION:
            _check_action(after, run)


def _check_action(after: World, run: Run) -> None:
    node = next(node for node in after.saga.nodes if run.slot in node)
    assert after.saga.step(run.slot).repeatable or run.number == 1, "an unrepeatable action was sent twice"
    assert after.progress.reason is None, "an order that turns back sent an action"
    assert not any(_given_up(after.progress.slots[i]) for i in node), "a group with a loss sent an action"


def _given_up(slot: Slot) -> bool:
    return slot.work is None and slot.status in {StepStatus.FAILED, StepStatus.IN_DOUBT}


def _check_unwinding(after: World, decided: Plan) -> None:
    """S3: compensations run alone, for debts only, and in reverse: one acknowledged before the next."""
    undoing = [one for one in decided.commands if isinstance(one, Run) and one.work is Work.COMPENSATION]
    for run in undoing:
        assert after.running == [run], "a compensation beside other work"
        assert after.ledger[run.slot] == OWED, "a compensation of what is not owed"
        assert OWED not in after.ledger[run.slot + 1 :], "a compensation before that of a later step"


def _check_ends(world: World, after: World, decided: Plan) -> None:
    """S2 and S4: what each end says is true by the ledger, and no end is ever left."""
    if world.progress.final is not None:
        assert _result(after.progress) == _result(world.progress), "an end was left"
        return
    if after.progress.final is None:
        return
    slots = after.progress.slots
    assert not after.running
    assert decided.guarded, "an end that messages could slip past"
    match after.progress.final:
        case Status.COMPENSATED:
            assert not {OWED, WAIVED} & {*after.ledger}, "something that may have happened was forgotten"
            assert after.progress.reason is not None
        case Status.COMPLETED:
            assert all(one.status in {StepStatus.SUCCEEDED, StepStatus.SKIPPED} for one in slots)
            assert after.progress.reason is None, "an order that turned back was completed"
        case Status.ABANDONED:
            assert after.progress.unpaid or world.progress.held, "abandoned, and nobody asked for it"
        case other:
            raise AssertionError(other)


def _result(progress: Progress) -> tuple[Any, ...]:
    statuses = [one.status for one in progress.slots]
    return progress.final, progress.reason, progress.park, progress.suspended, progress.unpaid, statuses


def _check_answers(world: World, after: World, event: Control, decided: Plan, woken: Callable[[], Plan]) -> None:
    """S12: every request is answered once, a refused one changes nothing, and cancels are told the truth."""
    [(seq, answer)] = decided.answers
    assert seq == event.seq
    if world.progress.final is not None:
        assert answer == VerbAnswer.ALREADY_FINISHED
    elif event.verb is not Verb.CANCEL:
        assert answer in set(VerbAnswer)
    elif world.progress.reason is not None:
        assert answer == CancelAnswer.ALREADY_CANCELLING
    elif too_late(world.saga, world.progress):
        assert answer == CancelAnswer.TOO_LATE
    else:
        assert answer == CancelAnswer.ACCEPTED
        assert after.progress.reason is not None
        assert after.progress.reason.kind is CauseKind.CANCEL
    if answer != VerbAnswer.ACCEPTED and after.shape != world.shape:
        assert after.shape == shape(woken().progress), "a request was refused, and yet obeyed"


def _check_alive(after: World, now: float, *, due_follows: bool) -> None:
    """L: no live order is stuck, none spins, and only what is under way asks to be taken up again."""
    saga, progress = after.saga, after.progress
    wake = wake_at(saga, progress)
    assert wake is None or wake > now or due_follows, "an order that is woken for ever"
    if progress.final is not None:
        assert phase(saga, progress) is Phase.FINAL
        assert wake is None
        return
    waits = progress.held or wake is not None or expected(saga, progress) is not None
    assert after.running or waits, "a dead end"
    assert (phase(saga, progress) is Phase.ACTIVE) == bool(after.running)


def _check_left(after: World, moment: Moment) -> None:
    """L: what a leaving host has left is taken up by the next one as soon as there is anything to do."""
    saga, progress = after.saga, after.progress
    wake = wake_at(saga, progress)
    if phase(saga, progress) is not Phase.IDLE or progress.held or (wake is not None and wake <= moment.now):
        return
    woken = _decide(after, Due(), evolve(moment, draining=False), verdict=True)
    assert shape(woken.progress) == after.shape, "there was something to do, and it was left until a timer"
