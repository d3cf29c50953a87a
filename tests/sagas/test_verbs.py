"""What people may ask: the table of answers, and what a request does beyond its answer."""

import pytest

from atone import CauseKind, Status, StepStatus
from atone.actors import Due
from atone.sagas.events import Control, Run, Verb
from atone.sagas.progress import Work
from tests.sagas import verbs_table as states
from tests.sagas.oracle import follow
from tests.sagas.shapes import DOUBT, compensatable, plain
from tests.sagas.story import Story, tell

PARKED = [name for name in states.STATES if "PARKED" in name]


def resolve(story: Story, result: bytes | None = None, *, happened: bool) -> str:
    """Say what really happened."""
    return story.ask(Verb.RESOLVE, result=result, happened=happened)


def test_the_page_says_what_the_planner_does() -> None:
    """`docs/verbs.md` is generated, and up to date."""
    assert states.table() == states.PAGE.read_text(), "renew it: python -m tests.sagas.verbs_table"


@pytest.mark.parametrize("name", states.STATES)
def test_each_state_is_the_one_that_its_row_names(name: str) -> None:
    """The status and the reason in a row's name are those of the order that was asked."""
    world = states.STATES[name]().world

    assert f"`{world.status}`" in name
    assert world.progress.park is None or f"`{world.progress.park.reason}`" in name


@pytest.mark.parametrize("name", PARKED)
def test_every_park_has_a_verb_that_leads_on(name: str) -> None:
    """Nothing is parked without a way out other than giving it up."""
    world = states.STATES[name]().world
    ways = [verb for verb in states.VERBS.values() if verb.verb in {Verb.RETRY, Verb.RESOLVE, Verb.SKIP}]

    answers = [follow(world, Control(way.verb, "a", "b", world.park, happened=way.happened))[1].answers for way in ways]

    assert "ACCEPTED" in {answer for [(_, answer)] in answers}


@pytest.mark.parametrize("name", PARKED)
@pytest.mark.parametrize("verb", [Verb.RETRY, Verb.RESOLVE, Verb.SKIP, Verb.ABANDON])
def test_a_verb_for_another_park_is_stale(name: str, verb: Verb) -> None:
    """The order has moved on since the person looked, and nothing is changed."""
    world = states.STATES[name]().world
    assert world.park is not None

    for number in (None, world.park - 1, world.park + 1):
        after, decided = follow(world, Control(verb, "ann", "because", number))

        assert ((0, "STALE"),) == decided.answers
        assert after.progress == world.progress


def test_each_park_has_a_number_of_its_own() -> None:
    """A second park of the same step cannot be mistaken for the first."""
    story = states.uncompensated()
    first = story.world.park
    story.ask(Verb.RETRY)
    story.end("a", states.REFUSED)

    assert (1, 2) == (first, story.world.park)


def test_a_request_is_kept_with_who_and_why() -> None:
    """History tells the answer, the person and the reason."""
    story = states.in_doubt()
    story.ask(Verb.SKIP)

    [note] = story.last.notes
    assert ("SKIP", "NOT_APPLICABLE; by ann: because") == (note.event, note.remark)


def test_a_pivot_that_happened_lets_the_order_go_on() -> None:
    """The result that a person gives is the step's result."""
    story = states.in_doubt()

    assert "ACCEPTED" == resolve(story, b"7", happened=True)
    assert (StepStatus.SUCCEEDED, 1) == (story.status("ship"), story.last.keeps)
    assert [Run(2, Work.ACTION, 1)] == story.world.running


def test_a_pivot_that_did_not_happen_turns_the_order_back() -> None:
    """The cause is the operator, and what was done before is undone."""
    story = states.in_doubt()

    assert "ACCEPTED" == resolve(story, happened=False)
    assert story.world.progress.reason is not None
    assert (CauseKind.OPERATOR, "ann") == (story.world.progress.reason.kind, story.world.progress.reason.by)
    assert [Run(0, Work.COMPENSATION, 1)] == story.world.running


def test_a_retried_doubt_begins_with_the_probe() -> None:
    """It can do no harm; the action is sent again only if that is permitted."""
    story = tell(plain("ship", pivot=True, probe=True, repeatable=False))
    story.end("ship", DOUBT)
    for now in (0.0, 1.0):
        story.hear(Due(), now)
        story.end("ship", DOUBT, now)
    assert story.world.status is Status.PARKED

    assert "ACCEPTED" == story.ask(Verb.RETRY)
    assert [Run(0, Work.PROBE, 3)] == story.world.running


def test_a_retried_step_has_its_whole_budget_again() -> None:
    """The attempts before the park do not count."""
    story = states.stuck()
    story.ask(Verb.RETRY)

    assert [Run(2, Work.ACTION, 2)] == story.world.running
    assert 0 == story.world.progress.slots[2].spent[Work.ACTION]


def test_a_skipped_compensation_is_remembered_as_unpaid() -> None:
    """The others are still run, and the order never says that it was compensated."""
    story = tell(compensatable("a"), compensatable("b"))
    story.end("a")
    story.ask(Verb.CANCEL)
    story.end("b")
    story.end("b", states.REFUSED)

    assert "ACCEPTED" == story.ask(Verb.SKIP)
    assert [Run(0, Work.COMPENSATION, 1)] == story.world.running
    story.end("a")
    assert story.world.status is Status.ABANDONED
    assert story.status("b") is StepStatus.SKIPPED


def test_a_compensation_done_by_hand_counts() -> None:
    """A person says that it happened: that is an acknowledgement."""
    story = states.uncompensated()

    assert "ACCEPTED" == resolve(story, happened=True)
    assert story.world.status is Status.COMPENSATED


def test_a_skipped_step_lets_the_order_go_on_without_it() -> None:
    """Only where no later step needs its result."""
    story = states.stuck()

    assert "ACCEPTED" == story.ask(Verb.SKIP)
    assert story.world.status is Status.COMPLETED
    assert "NOT_APPLICABLE" == states.stuck_and_needed().ask(Verb.SKIP)


def test_an_order_at_work_is_not_abandoned() -> None:
    """The outcome of what runs would be lost."""
    assert "NOT_APPLICABLE" == states.paused_at_work().ask(Verb.ABANDON)


def test_an_abandoned_order_says_who_gave_it_up() -> None:
    """It has a cause, unless it was turning back already."""
    story = states.abandoned()

    assert story.world.progress.reason is not None
    assert CauseKind.OPERATOR is story.world.progress.reason.kind
    assert [] == story.world.running


def test_a_cancel_of_a_parked_order_is_accepted_and_unwinds_when_it_can() -> None:
    """The crash loop still holds it; once a person lifts that, it goes back and not forward."""
    story = states.crashing(states.running())

    assert "ACCEPTED" == story.ask(Verb.CANCEL)
    assert story.world.status is Status.PARKED
    story.ask(Verb.RETRY)
    assert [Run(0, Work.COMPENSATION, 1)] == story.world.running
