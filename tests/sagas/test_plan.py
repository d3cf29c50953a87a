"""The planner's promises, told as short stories. The oracle reads along."""

from datetime import timedelta
from typing import Any

import pytest

from atone import CauseKind, ParkReason, Status, StepStatus, parallel, receive
from atone.actors import Due, Resumed
from atone.sagas.events import Arrived, Control, Ended, Event, Finding, Late, Probed, Refused, Run, Unknown, Verb
from atone.sagas.progress import Failure, Work
from atone.sagas.standing import expected, wake_at
from tests.sagas.shapes import DONE, DOUBT, ERROR, Approve, Decline, compensatable, plain
from tests.sagas.story import tell

ACTION, PROBE, UNDO = Work.ACTION, Work.PROBE, Work.COMPENSATION
REFUSED = Refused(ERROR)


# ── forward ───────────────────────────────────────────────────────────────────────────────────────


def test_the_result_of_one_step_and_the_intent_of_the_next_are_one_commit() -> None:
    """A straight run of n steps costs n + 1 commits."""
    story = tell(compensatable("a"), compensatable("b"), plain("ship", pivot=True), plain("mail"))

    assert [("b", ACTION, 1)] == story.end("a")
    assert [("ship", ACTION, 1)] == story.end("b")
    assert [("mail", ACTION, 1)] == story.end("ship")
    assert [] == story.end("mail")
    assert story.world.status is Status.COMPLETED


def test_a_group_begins_in_one_commit_and_goes_on_when_all_succeeded() -> None:
    """All intents of a group are one commit; the next node waits for the last member."""
    story = tell(parallel(compensatable("a"), compensatable("b")), plain("ship", pivot=True))

    assert [0, 1] == [run.slot for run in story.world.running]
    assert [] == story.end("b")
    assert [("ship", ACTION, 1)] == story.end("a")


def test_a_late_answer_changes_nothing() -> None:
    """An end that the order does not wait for any more is noted as late, and that is all."""
    story = tell(compensatable("a"))
    story.end("a", Unknown(ERROR, lingers=9.0))
    before = story.world

    story.hear(Ended(0, ACTION, 1, DONE))

    assert ["LATE"] == story.notes
    assert story.world == before


def test_a_leaving_host_records_and_begins_nothing() -> None:
    """While draining, results are kept and no intent follows; the next host goes on from there."""
    story = tell(compensatable("a"), compensatable("b"))

    assert [] == story.end("a", draining=True)
    assert story.status("a") is StepStatus.SUCCEEDED
    assert [Run(1, ACTION, 1)] == story.hear(Resumed())


# ── doubt and the way back ────────────────────────────────────────────────────────────────────────


def test_what_is_done_is_undone_in_reverse() -> None:
    """One compensation is acknowledged before the next begins."""
    story = tell(compensatable("a"), compensatable("b"), plain("ship", pivot=True))
    story.end("a")
    story.end("b")

    assert [("b", UNDO, 1)] == story.end("ship", REFUSED)
    assert [("a", UNDO, 1)] == story.end("b")
    assert [] == story.end("a")
    assert story.world.status is Status.COMPENSATED
    assert story.world.progress.reason is not None
    assert story.world.progress.reason.kind is CauseKind.ERROR


def test_a_refusal_of_the_first_attempt_owes_nothing() -> None:
    """`PermanentError` on attempt 1 proves that nothing happened."""
    story = tell(compensatable("a"))
    story.end("a", REFUSED)

    assert story.status("a") is StepStatus.FAILED
    assert story.world.status is Status.COMPENSATED


def test_a_refusal_of_the_second_attempt_clears_nothing() -> None:
    """It ends the retries, and what attempt 1 may have done is undone all the same."""
    story = tell(compensatable("a", attempts=5))
    story.end("a", DOUBT)
    story.hear(Due(), 1.0)

    assert [("a", UNDO, 1)] == story.end("a", REFUSED, 1.0)


def test_a_read_only_step_is_never_owed() -> None:
    """Its doubt ends in failure, and the order turns back without it."""
    story = tell(compensatable("a"), plain("look", read_only=True, attempts=1))
    story.end("a")

    assert [("a", UNDO, 1)] == story.end("look", DOUBT)
    assert story.status("look") is StepStatus.FAILED


def test_the_members_of_a_group_finish_before_it_is_undone() -> None:
    """When one fails, the others' attempts end first; then what they did is undone with its result."""
    story = tell(parallel(compensatable("a"), compensatable("b"), compensatable("c")))

    assert [] == story.end("b", REFUSED)
    assert [] == story.end("a")
    assert [("c", UNDO, 1)] == story.end("c", DOUBT)
    assert [("a", UNDO, 1)] == story.end("c")


def test_a_loss_ends_the_pauses_of_its_group() -> None:
    """A member between two attempts is not sent again; it is in doubt, and owed."""
    story = tell(parallel(compensatable("a"), compensatable("b")))
    story.end("a", DOUBT)

    assert [("a", UNDO, 1)] == story.end("b", REFUSED)


def test_an_order_whose_pivot_is_in_doubt_is_parked() -> None:
    """It neither rolls back nor goes on until somebody says what happened."""
    story = tell(compensatable("a"), plain("ship", pivot=True, attempts=1))
    story.end("a")

    assert [] == story.end("ship", DOUBT)
    assert story.world.progress.park is not None
    assert story.world.progress.park.reason is ParkReason.IN_DOUBT
    assert "TOO_LATE" == story.ask(Verb.CANCEL)


def test_a_compensation_that_is_refused_parks_and_is_not_skipped() -> None:
    """The steps before it wait: nothing is undone out of order."""
    story = tell(compensatable("a"), compensatable("b"))
    story.end("a")
    story.ask(Verb.CANCEL)
    story.end("b")

    assert [] == story.end("b", REFUSED)
    assert story.world.progress.park is not None
    assert (ParkReason.COMPENSATION, "b") == (story.world.progress.park.reason, story.world.progress.park.step)
    assert "ACCEPTED" == story.ask(Verb.RETRY)
    assert [("a", UNDO, 1)] == story.end("b")


# ── attempts that do not end ──────────────────────────────────────────────────────────────────────


def test_a_retry_waits_for_the_attempt_that_timed_out() -> None:
    """Two attempts under one key do not run at the same time, as long as the first may still end."""
    story = tell(compensatable("a"))
    story.end("a", Unknown(ERROR, lingers=30.0))

    assert 30.0 == wake_at(story.saga, story.world.progress)
    assert [] == story.hear(Due(), 1.0)
    assert [Run(0, ACTION, 2)] == story.hear(Late(0, ACTION, 1, "returned"), 2.0)


def test_a_retry_goes_on_when_the_grace_is_over_and_says_so() -> None:
    """After the grace the next attempt begins beside the old one, and the history tells."""
    story = tell(compensatable("a"))
    story.end("a", Unknown(ERROR, lingers=30.0))

    assert [Run(0, ACTION, 2)] == story.hear(Due(), 30.0)
    assert "OVERLAP" in story.notes


def test_the_end_of_an_old_action_does_not_stand_for_that_of_its_compensation() -> None:
    """A compensation that timed out is waited for, whatever attempt of the action ends meanwhile."""
    story = tell(compensatable("a", attempts=1))
    story.end("a", Unknown(ERROR, lingers=30.0))
    story.hear(Due(), 30.0)
    story.end("a", Unknown(ERROR, lingers=60.0), 30.0)

    assert [] == story.hear(Late(0, ACTION, 1), 40.0)
    assert [Run(0, UNDO, 2)] == story.hear(Late(0, UNDO, 1), 41.0)


# ── crashes ───────────────────────────────────────────────────────────────────────────────────────


def test_an_attempt_cut_off_costs_no_budget_and_leaves_doubt() -> None:
    """The number rises, the budget does not shrink, and a later refusal clears nothing."""
    story = tell(compensatable("a", attempts=1))
    for number in range(2, 6):
        assert [Run(0, ACTION, number)] == story.hear(Resumed())

    assert [("a", UNDO, 1)] == story.end("a", REFUSED)


def test_an_attempt_that_lives_on_is_left_alone() -> None:
    """A reloaded order waits for what still runs."""
    story = tell(compensatable("a"))

    assert [] == story.hear(Resumed(alive=frozenset({Run(0, ACTION, 1)})))
    assert [Run(0, ACTION, 1)] == story.world.running


def test_an_attempt_that_lives_on_past_its_timeout_is_waited_for_no_longer_than_the_grace() -> None:
    """The report of its timeout was lost: that it lives on tells the same, and it costs budget as ever."""
    story = tell(compensatable("a", attempts=2))
    lost = Ended(0, ACTION, 1, Unknown(ERROR, lingers=30.0))

    assert [] == story.hear(Resumed(alive=frozenset({lost})))
    assert [] == story.world.running
    assert 30.0 == wake_at(story.saga, story.world.progress)
    assert [Run(0, ACTION, 2)] == story.hear(Due(), 30.0)
    assert [("a", UNDO, 1)] == story.end("a", DOUBT)


def test_a_timeout_that_is_still_to_be_told_is_not_told_twice() -> None:
    """The report was kept, and follows."""
    story = tell(compensatable("a"))
    kept = Ended(0, ACTION, 1, Unknown(ERROR, lingers=30.0))

    assert [] == story.hear(Resumed(alive=frozenset({kept}), kept=(kept,)))
    assert [Run(0, ACTION, 1)] == story.world.running


def test_ten_deaths_in_a_row_park_an_order() -> None:
    """A result in between starts the count anew."""
    story = tell(compensatable("a"), compensatable("b"))
    for _ in range(9):
        story.hear(Resumed(died=True))
    story.end("a")
    for _ in range(9):
        story.hear(Resumed(died=True))
    assert story.world.progress.park is None

    story.hear(Resumed(died=True))

    assert story.world.progress.park is not None
    assert story.world.progress.park.reason is ParkReason.CRASH_LOOP
    assert "ACCEPTED" == story.ask(Verb.RETRY)
    assert story.world.running


# ── messages, deadlines and cancels ───────────────────────────────────────────────────────────────


def approval(**options: Any) -> Any:
    """A place that may be declined."""
    return receive(Approve | Decline, decline=Decline, **options)


def test_a_message_lets_the_order_go_on() -> None:
    """Consuming it and the intent of the next step are one commit."""
    story = tell(approval(), compensatable("a"))
    assert story.world.status is Status.WAITING

    assert [Run(1, ACTION, 1)] == story.hear(Arrived(3, "Approve", b"{}"))
    assert ((3, "CONSUMED"),) == story.last.answers


def test_a_declining_message_is_the_cause() -> None:
    """The order turns back, and remembers which message did it."""
    story = tell(compensatable("a"), approval(name="verdict"))
    story.end("a")

    assert [Run(0, UNDO, 1)] == story.hear(Arrived(3, "Decline", b"{}"))
    reason = story.world.progress.reason
    assert reason is not None
    assert (CauseKind.CANCEL, 1) == (reason.kind, reason.slot)


def test_a_timeout_counts_only_if_no_message_came() -> None:
    """Its commit is guarded: a message that was accepted before wins, however late the host."""
    story = tell(approval(timeout=timedelta(seconds=5)))

    story.hear(Due(), 5.0)

    assert story.last.guarded
    assert story.world.progress.reason is not None
    assert story.world.progress.reason.kind is CauseKind.DEADLINE


@pytest.mark.parametrize(
    ("verdict", "status"), [(True, Status.WAITING), (False, Status.RUNNING), (ERROR, Status.PARKED)]
)
def test_a_message_may_not_be_wanted(verdict: bool | Failure, status: Status) -> None:
    """`when` decides whether to wait; if it raises, the order is parked."""
    story = tell(compensatable("a"), approval(when=lambda _: True), compensatable("b"))

    story.end("a", verdict=verdict)

    assert story.world.status is status
    if status is Status.PARKED:
        assert story.world.progress.park is not None
        assert story.world.progress.park.reason is ParkReason.PREDICATE
        assert str(ERROR) == story.world.progress.park.error


def test_a_parked_predicate_does_not_hold_a_cancel_up() -> None:
    """The park only held the order from going forward, so that the way back lifts it."""
    story = tell(compensatable("a"), approval(when=lambda _: True))
    story.end("a", verdict=ERROR)

    assert "ACCEPTED" == story.ask(Verb.CANCEL)
    assert [Run(0, UNDO, 1)] == story.world.running


def test_several_places_of_one_type_take_their_messages_in_turn() -> None:
    """Each message moves the order on by one place."""
    story = tell(receive(Approve, name="one"), receive(Approve, name="two"))

    story.hear(Arrived(1, "Approve", b'"x"'))

    assert 0 == story.last.keeps
    assert expected(story.saga, story.world.progress) is story.saga.slots[1]
    story.hear(Arrived(2, "Approve", b'"y"'))
    assert 1 == story.last.keeps
    assert story.world.status is Status.COMPLETED


def test_a_cancel_lets_the_running_attempt_finish_first() -> None:
    """Its outcome matters: what succeeds after the cancel is undone with its result."""
    story = tell(compensatable("a"), compensatable("b"))

    assert "ACCEPTED" == story.ask(Verb.CANCEL)
    assert [] == list(story.last.commands)
    assert "ALREADY_CANCELLING" == story.ask(Verb.CANCEL)
    assert [("a", UNDO, 1)] == story.end("a")


def test_a_cancel_ends_a_pause_at_once() -> None:
    """An order between two attempts does not wait for the next one."""
    story = tell(compensatable("a"))
    story.end("a", DOUBT)

    story.ask(Verb.CANCEL)

    assert [Run(0, UNDO, 1)] == story.world.running


def test_a_cancel_while_a_probe_runs_waits_for_what_it_finds() -> None:
    """The probe may say that nothing is owed; but it permits no further attempt."""
    story = tell(compensatable("a", probe=True))
    story.end("a", DOUBT)
    story.ask(Verb.CANCEL)

    assert [("a", UNDO, 1)] == story.end("a", Probed(Finding.DID_NOT_HAPPEN))


def test_a_cancel_is_too_late_from_the_pivots_intent_on() -> None:
    """Before that commit it is accepted, afterwards never."""
    story = tell(compensatable("a"), plain("ship", pivot=True))
    story.end("a")

    assert "TOO_LATE" == story.ask(Verb.CANCEL)
    assert story.world.progress.reason is None


def test_an_order_that_ended_answers_so() -> None:
    """Two requests in one turn: the first ends the order, and the second changes nothing."""
    story = tell(receive(Approve))
    assert "ACCEPTED" == story.ask(Verb.CANCEL)
    assert story.world.status is Status.COMPENSATED

    for verb in Verb:
        assert "ALREADY_FINISHED" == story.ask(verb)
    assert not story.world.progress.suspended


def test_a_deadline_is_a_cancel() -> None:
    """It lets the running attempt finish, and does not count once the pivot was begun."""
    story = tell(compensatable("a"), plain("ship", pivot=True), deadline=timedelta(seconds=5))

    assert [] == story.hear(Due(), 5.0)
    assert story.last.guarded
    assert [("a", UNDO, 1)] == story.end("a", now=6.0)

    story = tell(compensatable("a"), plain("ship", pivot=True), deadline=timedelta(seconds=5))
    story.end("a", now=4.0)
    assert wake_at(story.saga, story.world.progress) is None
    assert [] == story.end("ship", now=9.0)
    assert story.world.status is Status.COMPLETED


def test_a_suspended_order_keeps_its_times() -> None:
    """What runs is recorded, nothing begins, and a wait that ended meanwhile ends when the order is resumed."""
    story = tell(compensatable("a"), approval(timeout=timedelta(seconds=5)))
    story.end("a")
    story.ask(Verb.SUSPEND)

    assert [] == story.hear(Due(), 9.0)
    assert story.world.progress.reason is None
    assert wake_at(story.saga, story.world.progress) is None
    assert [] == story.hear(Control(Verb.RESUME, "ann", "because"), 10.0)
    assert [Run(0, UNDO, 1)] == story.hear(Due(), 10.0)


def test_a_request_lets_no_wait_run_out_before_a_message_that_came_in_time() -> None:
    """Requests overtake messages; the timer, which is due as well, comes behind them."""
    story = tell(receive(Approve, timeout=timedelta(seconds=5)), compensatable("a"))

    assert [] == story.hear(Control(Verb.RETRY, "ann", "because", 7), 9.0)
    assert [Run(1, ACTION, 1)] == story.hear(Arrived(1, "Approve", b"{}"), 9.0)


def test_a_suspended_order_outlives_its_deadline() -> None:
    """The deadline counts when the order is resumed, and not before."""
    story = tell(compensatable("a"), compensatable("b"), deadline=timedelta(seconds=5))
    story.ask(Verb.SUSPEND)

    story.end("a", now=9.0)

    assert story.world.progress.reason is None
    assert [Run(0, UNDO, 1)] == story.hear(Control(Verb.RESUME, "ann", "because"), 10.0)


@pytest.mark.parametrize("hold", [Control(Verb.SUSPEND, "ann", "because"), Resumed(died=True)])
def test_a_held_order_takes_no_message(hold: Event) -> None:
    """What comes meanwhile stays in the mailbox, and is taken when the order goes on."""
    story = tell(receive(Approve))
    for _ in range(10):
        story.hear(hold)

    assert expected(story.saga, story.world.progress) is None
