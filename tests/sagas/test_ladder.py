"""The rungs on which doubt is worked off: probe, retry, give up."""

from typing import Any

import pytest

from atone import ParkReason, Status, StepStatus
from atone.actors import Due
from atone.sagas.events import Ended, Finding, Probed, Refused, Returned, Unknown, Verb
from atone.sagas.progress import Work
from tests.sagas.shapes import DONE, DOUBT, ERROR, compensatable, plain
from tests.sagas.story import Story, tell

ACTION, PROBE, UNDO = Work.ACTION, Work.PROBE, Work.COMPENSATION


def due(story: Story, now: float) -> list[tuple[Work, int]]:
    """What a timer begins."""
    return [(run.work, run.number) for run in story.hear(Due(), now)]


def test_without_a_probe_doubt_is_retried_and_then_owed() -> None:
    """Attempts go on under the same key while they last; then the compensation is owed."""
    story = tell(compensatable("a", attempts=2))

    assert [] == story.end("a", DOUBT)
    assert story.status("a") is StepStatus.IN_DOUBT
    assert [(ACTION, 2)] == due(story, 1.0)
    assert [("a", UNDO, 1)] == story.end("a", DOUBT, 1.0)


def test_the_probe_is_asked_before_anything_is_sent_again() -> None:
    """It can do no harm, and a retry can."""
    story = tell(compensatable("a", probe=True))

    assert [("a", PROBE, 1)] == story.end("a", DOUBT)
    assert story.status("a") is StepStatus.IN_DOUBT


def test_a_probe_that_found_the_result_ends_the_step() -> None:
    """What it found is the step's result."""
    story = tell(compensatable("a", probe=True), compensatable("b"))
    story.end("a", DOUBT)

    assert [("b", ACTION, 1)] == story.end("a", Returned(b"7"))
    assert 0 == story.last.keeps


def test_did_not_happen_permits_a_retry_and_keeps_the_debt() -> None:
    """A late request may still arrive: a refusal afterwards clears nothing."""
    story = tell(compensatable("a", probe=True))
    story.end("a", DOUBT)

    assert [] == story.end("a", Probed(Finding.DID_NOT_HAPPEN))
    assert [(ACTION, 2)] == due(story, 1.0)
    assert [("a", PROBE, 2)] == story.end("a", Refused(ERROR), 1.0)
    assert [("a", UNDO, 1)] == story.end("a", Probed(Finding.DID_NOT_HAPPEN), 1.0)


def test_never_will_happen_is_the_only_answer_that_clears_the_debt() -> None:
    """The participant has closed the key, so that nothing is owed."""
    story = tell(compensatable("a", probe=True))
    story.end("a", DOUBT)

    assert [] == story.end("a", Probed(Finding.NEVER_WILL_HAPPEN))
    assert story.status("a") is StepStatus.FAILED
    assert story.world.status is Status.COMPENSATED


@pytest.mark.parametrize(
    "how", [Probed(Finding.STILL_UNKNOWN), Probed(Finding.STILL_UNKNOWN, ERROR), DOUBT, Refused(ERROR)]
)
def test_a_probe_that_does_not_know_is_asked_again_under_its_own_policy(how: Any) -> None:
    """Raising and hanging mean the same; when its tries are used up, the next rung is taken."""
    story = tell(compensatable("a", probe=True, attempts=2))
    story.end("a", DOUBT)

    assert [] == story.end("a", how)
    assert [(PROBE, 2)] == due(story, 1.0)
    assert [] == story.end("a", how, 1.0)
    assert [(ACTION, 2)] == due(story, 2.0)


def test_each_doubt_has_the_whole_budget_of_the_probe() -> None:
    """What an earlier doubt used up does not count for the next."""
    story = tell(compensatable("a", probe=True, attempts=2))
    story.end("a", DOUBT)
    story.end("a", DOUBT)
    due(story, 1.0)
    story.end("a", DOUBT, 1.0)
    due(story, 2.0)

    assert [("a", PROBE, 3)] == story.end("a", DOUBT, 2.0)
    assert [] == story.end("a", DOUBT, 2.0)
    assert [(PROBE, 4)] == due(story, 3.0)


def test_a_probe_cut_off_costs_nothing() -> None:
    """It is asked again, as often as that happens."""
    story = tell(compensatable("a", probe=True))
    story.end("a", DOUBT)
    for now in range(1, 6):
        story.end("a", Unknown(ERROR, counted=False), float(10 * now))

        assert [(PROBE, now + 1)] == due(story, 10.0 * now + 5)


def test_what_must_not_be_repeated_is_never_sent_twice() -> None:
    """Its doubt goes to the probe, and then to the compensation."""
    story = tell(compensatable("a", probe=True, repeatable=False, attempts=9))

    assert [("a", PROBE, 1)] == story.end("a", DOUBT)
    assert [("a", UNDO, 1)] == story.end("a", Probed(Finding.DID_NOT_HAPPEN))


def test_a_pivot_that_never_will_happen_turns_the_order_back() -> None:
    """Nothing is owed for it, and everything before it is."""
    story = tell(compensatable("a"), plain("ship", pivot=True, probe=True))
    story.end("a")
    story.end("ship", DOUBT)

    assert [("a", UNDO, 1)] == story.end("ship", Probed(Finding.NEVER_WILL_HAPPEN))


@pytest.mark.parametrize("how", [DOUBT, Refused(ERROR)])
def test_a_step_after_the_pivot_parks_when_it_cannot_be_done(how: Any) -> None:
    """Nothing turns back any more: a person helps it on."""
    story = tell(plain("ship", pivot=True), plain("mail", attempts=1))
    story.end("ship")

    assert [] == story.end("mail", how)
    assert story.world.progress.park is not None
    assert story.world.progress.park.reason is ParkReason.STEP
    assert "ACCEPTED" == story.ask(Verb.RETRY)
    assert [] == story.end("mail")
    assert story.world.status is Status.COMPLETED


def test_a_compensation_is_repeated_and_then_parked() -> None:
    """Its own policy counts, and an attempt that was cut off does not."""
    story = tell(compensatable("a"), compensatable("b"))
    story.end("a")
    story.end("b", Refused(ERROR))
    story.end("a", DOUBT)
    assert [(UNDO, 2)] == due(story, 1.0)
    story.end("a", Unknown(ERROR, counted=False), 1.0)
    assert [(UNDO, 3)] == due(story, 2.0)

    story.end("a", DOUBT, 2.0)

    assert story.world.status is Status.PARKED
    assert story.world.progress.slots[0].undo_error == ERROR


def test_a_success_forgets_the_errors_before_it() -> None:
    """The errors of attempts that were made up for are in the history, and nowhere else."""
    story = tell(compensatable("a"))
    story.end("a", DOUBT)
    due(story, 1.0)
    story.end("a", DONE, 1.0)

    assert story.world.progress.slots[0].error is None


def test_a_result_of_another_attempt_is_late() -> None:
    """Only the attempt that the snapshot names can end."""
    story = tell(compensatable("a"))
    story.end("a", DOUBT)
    due(story, 1.0)
    [run] = story.world.running

    assert [] == story.hear(Ended(0, ACTION, 1, DONE))
    assert ["LATE"] == story.notes
    assert [run] == story.world.running
