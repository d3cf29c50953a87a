"""A story in which nothing happens of what it is about: it would pass, and show nothing."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atone import Status
from atone.testing import Death, Mishap, Simulation, crash_everywhere
from tests.testing.shop import SERVICES, Approve, Carrier, Order, Payments, patient, shop
from tests.testing.test_plugin import pytest_in


async def buy(sim: Simulation) -> None:
    """One order."""
    await sim.start(shop, Order())
    await sim.settle()


async def killed_nowhere(sim: Simulation) -> None:
    """Nothing is ever refunded."""
    sim.crash_at("refund:after_effect")
    await buy(sim)


async def killed_too_late(sim: Simulation) -> None:
    """An order takes a few dozen callbacks."""
    sim.crash_in(100_000)
    await buy(sim)


async def planned_for_nobody(sim: Simulation) -> None:
    """Nothing is ever refunded."""
    sim[Payments].refund.plan("lost", "refused")
    await buy(sim)


@pytest.mark.parametrize(
    ("story", "words"),
    [
        (killed_nowhere, r"no process came to 'refund:after_effect' after .*`sim.plan\(Death\("),
        (killed_too_late, r"came to \d+ callbacks, and was to die before number 100000: .*`sim.plan\(Death\("),
        (planned_for_nobody, r"nobody called Payments.refund, for which the test had planned 'lost', 'refused'"),
    ],
)
def test_what_a_story_asks_for_comes_or_the_story_fails(story: object, words: str) -> None:
    """Whoever judges it, with what to do instead."""
    with Simulation(shop, provide=SERVICES) as sim, pytest.raises(RuntimeError, match=words):
        sim.play(story)  # type: ignore[arg-type]  # one of the above


async def test_it_may_still_come_while_an_order_goes_on() -> None:
    """A check in the middle of a story is not its end."""
    with Simulation(patient, provide=SERVICES) as sim:
        sim.crash_at("ship:after_effect")
        sim[Payments].charge.plan("lost")
        order = await sim.start(patient, Order())
        await sim.advance(60)
        sim.check()
        await sim.send(order, Approve())
        await sim.settle()
        sim.check()
        assert sim.lives == 2
        sim.crash_at("refund:after_effect")
        with pytest.raises(RuntimeError, match="refund:after_effect"):
            sim.check()


def test_the_tail_of_a_plan_may_be_left() -> None:
    """One plans more than enough, where all that counts is that nobody answers."""

    async def nobody_answers(sim: Simulation) -> None:
        sim[Payments].charge.plan(*["lost"] * 9)
        await buy(sim)
        assert sim.status("1") is Status.COMPENSATED

    with Simulation(shop, provide=SERVICES) as sim:
        sim.play(nobody_answers)


def test_what_is_drawn_may_not_come() -> None:
    """Nor what a test says to each of many histories."""

    @settings(max_examples=5, derandomize=True, database=None)
    @given(point=st.sampled_from(["refund:before_effect", "charge:before_effect"]))
    def drawn(point: str) -> None:
        with Simulation(shop, provide=SERVICES) as sim:
            sim.crash_at(point)
            sim[Payments].refund.plan("lost")
            sim.play(buy)

    @crash_everywhere(shop, services=SERVICES, budget=0.3)
    async def everywhere(sim: Simulation) -> None:
        sim[Payments].refund.plan("lost")
        sim.crash_at("release:after_effect")
        await buy(sim)
        sim.check()

    drawn()
    everywhere()
    with Simulation(shop, provide=SERVICES) as sim:
        sim.plan(Death("refund:after_effect"), Mishap("refund", "lost"))
        sim.play(buy)


@pytest.mark.parametrize("point", ["commit 0:before", "ship:after_effect#0", "commit 3:after#2", "commit 4"])
def test_a_point_that_nobody_can_come_to_is_refused_at_once(point: str) -> None:
    """Commits and times are counted from 1, and each commit is made once."""
    with Simulation(shop, provide=[Carrier]) as sim, pytest.raises(ValueError, match="no process comes to"):
        sim.crash_at(point)


TESTS = """
from tests.testing.shop import SERVICES, Carrier, Order, Payments, Stock, shop

def provided(sim):
    for one in SERVICES:
        sim.provide(one)

def test_looks_only(sim):
    provided(sim)

def test_begins_nothing(sim):
    provided(sim)
    sim.crash_at("charge:after_effect")

async def test_planned_for_nobody(sim):
    provided(sim)
    sim[Payments].refund.plan("lost")
    await sim.start(shop, Order())
    await sim.settle()
"""


def test_the_fixture_asks_for_it_at_the_end_of_a_test(tmp_path: Path) -> None:
    """A test that only looks at the fixture announces nothing."""
    (tmp_path / "test_it.py").write_text(TESTS, encoding="utf-8")
    run = pytest_in(tmp_path, "-p", "no:anyio")
    assert "2 failed, 1 passed" in run.stdout, run.stdout
    assert "RuntimeError: no process came to 'charge:after_effect'" in run.stdout
    assert "RuntimeError: nobody called Payments.refund" in run.stdout
