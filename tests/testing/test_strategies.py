"""What is said to a saga and what goes wrong around it, drawn by Hypothesis as values that can be kept."""

import itertools
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from attrs import frozen
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

import atone.testing
from atone import Saga, Status, receive
from atone.sagas.behaviour import OrderBehaviour
from atone.testing import (
    ClockJump,
    CommitsFail,
    Death,
    FaultPlan,
    Mail,
    Mishap,
    NoRoom,
    SagaFailure,
    Simulation,
    Stall,
    Standby,
    crash_points,
    fault_plans,
    messages,
    outcomes,
    schedules,
    simulate,
)
from tests.testing.shop import SERVICES, Approve, Carrier, Decline, Order, Payments, forgetful, patient, pay, ship, shop

#: The same examples each time, no clock, and no explanation: it would name lines of atone, in a hundred times the time.
SAME = settings(
    max_examples=60,
    phases=[one for one in Phase if one is not Phase.explain],
    derandomize=True,
    database=None,
    deadline=None,
    print_blob=False,
    suppress_health_check=[HealthCheck.too_slow],
)


asked = Saga("asked", input=Order, steps=[receive(Approve), pay, ship])


def written(value: object) -> Any:
    """What the text of a value makes, pasted into a test."""
    return eval(repr(value), {**vars(atone.testing), "Approve": Approve, "Decline": Decline})  # noqa: S307


# ── sound sagas ──


@SAME
@given(faults=fault_plans(patient, SERVICES), said=messages(patient))
def test_a_sound_saga_survives_whatever_is_drawn(faults: FaultPlan, said: list[Mail]) -> None:
    """Participants, disk, clock, processes and clients at once, on top of each other."""
    with simulate(patient, Order(), SERVICES, faults=faults, messages=said) as sim:
        assert sim.status("1").final or sim.status("1") is Status.PARKED


def test_every_kind_of_fault_is_drawn_and_happens() -> None:
    """None is planned only."""
    told: Counter[str] = Counter()
    kinds: set[type] = set()

    @settings(SAME, max_examples=150)
    @given(faults=fault_plans(shop, SERVICES))
    def run(faults: FaultPlan) -> None:
        kinds.update(map(type, faults.faults))
        with simulate(shop, Order(), SERVICES, faults=faults) as sim:
            told.update(one.text for one in sim.world.moments)

    run()
    assert kinds == {Mishap, Death, CommitsFail, NoRoom, ClockJump, Stall, Standby}
    for words in (
        "killed", "will be: lost", "will be: late", "fails, and is on disk", "fails, and is not on disk",
        "the disk is full", "the disk has room", "the clock jumps by", "stands still", "stands by",
    ):  # fmt: skip
        assert any(words in one for one in told), words


# ── what is found ──


def test_a_bug_is_found_and_shrunk_to_what_it_needs() -> None:
    """One call that goes wrong, and nothing that is left to chance."""
    last: list[FaultPlan] = []

    @SAME
    @given(faults=fault_plans(forgetful, [Payments, Carrier]))
    def run(faults: FaultPlan) -> None:
        last[:] = [faults]
        simulate(forgetful, Order(), [Payments, Carrier], faults=faults).close()

    with pytest.raises(SagaFailure, match="S2 net zero") as caught:
        run()
    assert len(last[0].faults) == 1
    assert last[0].seed == 0
    assert f"faults={last[0]!r}" in "\n".join(caught.value.__notes__)


def test_a_failure_says_how_to_do_it_again() -> None:
    """In one call, which fails in the same way."""
    faults, said = FaultPlan(Mishap("charge", "applied_answer_lost"), seed=3), [Mail(Approve(), id="a")]
    with pytest.raises(SagaFailure, match="S2 net zero") as caught:
        simulate(asked, Order(), [Payments, Carrier], faults=faults, messages=said)
    again = str(caught.value).partition("again: ")[2].strip()
    assert again == f"simulate(asked, {Order()!r}, ..., faults={faults!r}, messages={said!r})"
    with pytest.raises(SagaFailure, match="S2 net zero"):
        eval(  # noqa: S307  # the line that was printed
            again.replace("...", "services"),
            {**vars(atone.testing), "asked": asked, "Order": Order, "Approve": Approve,
             "services": [Payments, Carrier]},
        )  # fmt: skip


# ── values ──


@SAME
@given(faults=fault_plans(patient, SERVICES), said=messages(patient))
def test_what_is_drawn_is_shown_as_python(faults: FaultPlan, said: list[Mail]) -> None:
    """Which makes the same."""
    assert written(faults) == faults
    assert written(said) == said


def test_what_need_not_be_said_is_not_shown() -> None:
    """A plan reads as one would write it."""
    plan = FaultPlan(Mishap("charge", "lost"), CommitsFail(2, applied=True), Death("commit 3:after", at=0.5), seed=7)
    shown = "FaultPlan(Mishap('charge', 'lost'), CommitsFail(2, applied=True), Death('commit 3:after', at=0.5), seed=7)"
    assert repr(plan) == shown
    assert repr(FaultPlan()) == "FaultPlan()"
    assert repr(Mail(Approve(), id="a", at=3)) == "Mail(Approve(by='alice'), id='a', at=3)"


def test_a_fate_that_does_not_exist_is_refused_where_it_is_written() -> None:
    """Not when it happens."""
    with pytest.raises(ValueError, match="exploded"):
        Mishap("charge", "exploded")


# ── what is drawn ──


class Opaque:
    """What nobody can make."""

    def __init__(self, secret):  # type: ignore[no-untyped-def]  # which is the point
        self.secret = secret


@frozen
class Sealed:
    """A message with something in it that nobody can make."""

    secret: Opaque


def seen(strategy: st.SearchStrategy[list[Mail]], condition: Callable[[list[Mail]], bool]) -> list[Mail]:
    """The simplest drawn list with something about it; raises where there is none."""
    return find(strategy, condition, settings=settings(SAME, max_examples=500))


def test_messages_are_what_the_saga_awaits() -> None:
    """Of every type, and of no other."""
    found: set[type] = set()

    @SAME
    @given(messages(patient))
    def look(said: list[Mail]) -> None:
        found.update(type(one.message) for one in said)

    look()
    assert found == {Approve, Decline}
    assert find(messages(shop), lambda _said: True, settings=SAME) == []


def test_messages_come_twice_in_any_order_and_late() -> None:
    """Repeated under one id; a later one first; after the wait is over."""
    twice = seen(messages(patient), lambda said: len({one.id for one in said}) < len(said))
    assert len(twice) == 2
    assert twice[0].message == twice[1].message
    assert seen(messages(patient), lambda said: [one.at for one in said] != sorted(one.at for one in said))
    assert seen(messages(patient), lambda said: any(one.at > 300 * 86_400 for one in said))


def test_messages_can_be_given() -> None:
    """Instead of what type hints say."""
    said = messages(patient, {Approve: st.just(Approve("carol"))})

    @SAME
    @given(said)
    def look(said: list[Mail]) -> None:
        assert all(one.message == Approve("carol") for one in said if isinstance(one.message, Approve))

    look()


def test_a_message_that_cannot_be_made_is_named() -> None:
    """With the remedy."""
    with pytest.raises(TypeError, match=r"given = \{\.\.\.: st.builds\(Sealed"):
        messages(Saga("sealed", input=Order, steps=[receive(Sealed), ship]))


def test_only_faults_that_are_asked_for() -> None:
    """A weight of nothing is never drawn, and an undo is never refused."""

    @SAME
    @given(fault_plans(shop, SERVICES, faults=outcomes(refused=1, late=1)))
    def look(plan: FaultPlan) -> None:
        for one in plan.faults:
            assert not isinstance(one, Mishap) or one.fate in {"refused", "late"}
            assert not isinstance(one, Mishap) or one.fate != "refused" or one.call not in {"release", "refund"}

    look()


@SAME
@given(point=crash_points(shop, SERVICES), seed=schedules())
def test_crash_points_and_schedules_can_be_used_alone(point: int | str, seed: int) -> None:
    """Where a process dies, and in which order things happen."""
    with Simulation(shop, provide=SERVICES, seed=seed) as sim:
        sim.plan(Death(point))

        async def history(sim: Simulation) -> None:
            await sim.start(shop, Order())
            await sim.settle()

        sim.play(history)
        assert sim.seed == seed


# ── happenings in time ──


@pytest.fixture
def shopping() -> Simulation:
    """A shop that waits for an approval."""
    return Simulation(patient, provide=SERVICES)


async def test_what_is_planned_comes_at_its_time(shopping: Simulation) -> None:
    """As time passes, and no sooner."""
    await shopping.start(patient, Order())
    shopping.plan(Mail(Approve(), id="a", at=3600))
    await shopping.advance(3590)
    assert shopping.status("1") is Status.WAITING
    await shopping.advance(20)
    assert shopping.status("1") is Status.COMPLETED
    shopping.close()


async def test_a_clock_that_is_set_moves_no_plan(shopping: Simulation) -> None:
    """An hour stays an hour."""
    await shopping.start(patient, Order())
    shopping.plan(ClockJump(86_400.0, at=1), ClockJump(-3_600.0, at=2), Mail(Approve(), id="a", at=100))
    await shopping.advance(90)
    assert shopping.status("1") is Status.WAITING
    await shopping.settle()
    assert shopping.status("1") is Status.COMPLETED
    assert shopping.world.elapsed < 200
    shopping.close()


async def test_a_full_disk_has_room_again(shopping: Simulation) -> None:
    """After the seconds that were planned, and the order goes on."""
    await shopping.start(patient, Order())
    shopping.plan(NoRoom(30.0, at=1), Mail(Approve(), id="a", at=10), Mail(Approve(), id="a", at=60))
    await shopping.settle()
    assert shopping.status("1") is Status.COMPLETED
    shopping.close()


async def test_a_message_with_nothing_in_it_is_a_cancel(shopping: Simulation) -> None:
    """Which can be repeated like any other."""
    await shopping.start(patient, Order())
    shopping.plan(Mail(None, id="c", at=5), Mail(None, id="c", at=6))
    await shopping.settle()
    assert shopping.status("1") is Status.COMPENSATED
    shopping.close()


def test_a_call_that_nobody_has_is_named(shopping: Simulation) -> None:
    """With those that there are."""
    with pytest.raises(LookupError, match=r"'chrage'; there are: reserve, release, charge, refund, ship"):
        shopping.misbehave("chrage", "lost")
    shopping.close()


def test_any_error_of_a_played_history_has_its_story() -> None:
    """Also one that no check has raised."""

    async def history(sim: Simulation) -> None:
        await sim.start(shop, Order())
        await sim.settle()
        raise KeyError("mine")

    with Simulation(shop, provide=SERVICES) as sim, pytest.raises(KeyError, match="mine") as caught:
        sim.play(history, again="it")
    assert "ship ✔" in caught.value.__notes__[0]
    assert "again: it" in caught.value.__notes__[0]


def test_simulated_troubles_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    """They are in the story, and would be taken for troubles of this process."""
    simulate(shop, Order(), SERVICES, faults=FaultPlan(NoRoom(60.0), CommitsFail(2))).close()
    assert caplog.records == []


def test_a_crash_of_the_engine_itself_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is healed by a restart: a log that is not shown would be all that tells of it."""
    real, calls = OrderBehaviour.decide, itertools.count(1)

    def decide(self: OrderBehaviour, *given: Any) -> Any:
        if next(calls) == 2:
            raise ZeroDivisionError("once")
        return real(self, *given)

    monkeypatch.setattr(OrderBehaviour, "decide", decide)
    with pytest.raises(SagaFailure, match=r"nothing uncaught(?s:.)*ZeroDivisionError\('once'\)") as caught:
        simulate(shop, Order(), SERVICES)
    assert "[COMPLETED]" in str(caught.value)
