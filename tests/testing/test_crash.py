"""Killing the process everywhere."""

import asyncio
import time
from typing import Any

import pytest
from attrs import define, field

from atone import Retry, Saga, Status, StepContext, receive, step
from atone.testing import Flaw, SagaFailure, Simulation, crash_everywhere
from atone.testing.disturbance import History
from atone.testing.settings import settings
from tests.testing.shop import (
    SERVICES,
    Approve,
    Carrier,
    Order,
    Payments,
    Stock,
    charge,
    patient,
    release,
    reserve,
    ship,
    shop,
)


def test_a_sound_saga_survives_every_crash() -> None:
    """Every callback of the quiet run, and every change in the disturbed ones; well within the five seconds."""
    began = time.process_time()
    coverage = crash_everywhere(shop, Order(), SERVICES)
    assert time.process_time() - began < 5
    assert coverage.points > 15
    assert coverage.kills > coverage.points
    assert coverage.disturbances == 3 * 2 + 2 * 2 * 3  # of actions; of undos, after a refusal and after a doubt
    assert coverage.histories == 1 + coverage.disturbances + coverage.kills
    assert set(coverage.ends) == {Status.COMPLETED, Status.COMPENSATED, Status.PARKED}


def test_the_summary_says_how_orders_ended() -> None:
    """One that still waits is no failure, and most of its saga was not tried."""
    coverage = crash_everywhere(
        Saga("waits", input=Order, steps=[receive(Approve), ship]), Order(), SERVICES, allow=[Flaw.WAITS]
    )
    assert str(coverage).endswith(f"s; orders: {coverage.histories} WAITING")


def test_a_second_crash_falls_into_the_recovery() -> None:
    """All pairs of moments between which something has changed."""
    coverage = crash_everywhere(Saga("short", input=Order, steps=[ship]), Order(), SERVICES, crashes=2)
    assert coverage.complete
    assert coverage.pairs > 100


def test_a_saga_that_waits_survives_too() -> None:
    """Messages are sent again by their client when death cuts them off."""
    coverage = crash_everywhere(patient, Order(), SERVICES, messages=[Approve()])
    assert coverage.points > 15


def test_the_real_store_survives_every_crash() -> None:
    """Every function on the connection is a moment to die before, and after."""
    coverage = crash_everywhere(shop, Order(), SERVICES, store="sqlite", budget=4)
    assert coverage.points > 15
    assert coverage.kills > 5


@crash_everywhere(shop, services=SERVICES)
async def test_a_test_of_ones_own_in_every_history(sim: Simulation) -> None:
    """A test that takes `sim` runs once for each crash."""
    order = await sim.start(shop, Order())
    await sim.settle()
    assert sim.effects(order) in ({"reserve", "charge", "ship"}, set(), {"reserve", "charge"})


def test_a_decorated_test_keeps_its_other_fixtures() -> None:
    """Only `sim` is given by the decorator."""
    seen: list[tuple[str, int]] = []

    @crash_everywhere(shop, services=SERVICES)
    async def scenario(sim: Simulation, word: str) -> None:
        await sim.start(shop, Order())
        await sim.settle()
        seen.append((word, sim.lives))

    scenario(word="x")
    assert {word for word, _ in seen} == {"x"}
    assert {lives for _, lives in seen} == {1, 2}


def test_a_failed_assertion_of_a_test_tells_its_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the crash that made it fail, and how to do it again."""
    monkeypatch.setattr(settings, "test", "")  # as where no plugin has said which test this is

    @crash_everywhere(shop, services=SERVICES)
    async def scenario(sim: Simulation) -> None:
        await sim.start(shop, Order())
        await sim.settle()
        assert sim.lives == 1, "it died"

    with pytest.raises(SagaFailure, match="it died") as caught:
        scenario()
    assert "✖ killed before" in str(caught.value)
    assert "again: the crash_everywhere(...) of scenario, with seed=0, only='@1'" in str(caught.value)


def test_a_test_that_waits_for_the_real_world_is_told() -> None:
    """A crash test is driven by hand: it has no event loop to wait on."""

    @crash_everywhere(shop, services=SERVICES)
    async def scenario(sim: Simulation) -> None:
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="outside its simulation"):
        scenario()


@define
class Till:
    """A participant of the user's own, which knows no keys."""

    taken: list[str] = field(factory=list)
    begun: list[int] = field(factory=list)  #: how much was taken, each time the step began


def test_a_step_that_checks_before_it_acts_is_caught() -> None:
    """Between its look and its act the process dies: the effect is there twice, and only a crash shows it."""

    class Ledger(Payments):
        pass

    @step(retry=Retry(attempts=2))
    async def pay(order: Order, payments: Ledger, ctx: StepContext) -> None:
        await payments.charge(key=f"{ctx.key}-{payments.ledger.lines.__len__()}")

    @pay.compensation
    async def repay(order: Order, payments: Ledger, ctx: StepContext) -> None:
        for line in list(payments.ledger.lines):
            await payments.refund(key=line.key)

    saga = Saga("till", input=Order, steps=[pay, ship])

    async def scenario(sim: Simulation) -> None:
        await sim.start(saga, Order())
        await sim.settle()
        assert sim[Ledger].ledger.lines.__len__() <= 1 or sim.status("1") is not Status.COMPLETED, "charged twice"

    with pytest.raises(SagaFailure, match="charged twice") as caught:
        crash_everywhere(saga, services=[Ledger, Carrier])(scenario)()
    assert "✖ killed before" in str(caught.value)


def test_a_participant_without_tombstones_is_caught() -> None:
    """A charge that is late arrives after its refund."""
    with pytest.raises(SagaFailure, match="S2 net zero") as caught:
        crash_everywhere(shop, Order(), [Stock, Payments(tombstones=False), Carrier])
    assert "charge arrives late" in str(caught.value)


def test_participants_of_ones_own_are_killed_in_between() -> None:
    """A change that only the user's own code knows of is a moment to die after."""

    @step
    async def take(order: Order, till: Till, ctx: StepContext) -> None:
        till.begun.append(len(till.taken))
        await asyncio.sleep(1)
        if ctx.key not in till.taken:
            till.taken.append(ctx.key)
        await asyncio.sleep(1)

    @take.compensation
    async def give(order: Order, till: Till, ctx: StepContext) -> None:
        if ctx.action_key in till.taken:
            till.taken.remove(ctx.action_key)

    @crash_everywhere(Saga("till", input=Order, steps=[take, ship]), services=[Till, Carrier])
    async def scenario(sim: Simulation) -> None:
        till = sim.services[Till]
        assert isinstance(till, Till)
        await sim.start(sim.sagas[0], Order())
        await sim.settle()
        seen.add(tuple(till.begun))

    seen: set[tuple[int, ...]] = set()
    scenario()
    assert seen == {(0,), (0, 0), (0, 1)}


def test_every_callback_can_be_asked_for() -> None:
    """Also those in which only the engine kept house."""
    some, every = (crash_everywhere(patient, Order(), SERVICES, every=one, budget=2) for one in (False, True))
    assert every.points > some.points


def test_participants_are_new_in_every_history() -> None:
    """One history's effects are not the next one's."""
    payments = Payments()
    crash_everywhere(shop, Order(), [Stock, payments, Carrier])
    assert payments.ledger.lines == []


def test_a_budget_ends_the_search_and_says_so() -> None:
    """What was not tried is not claimed."""
    coverage = crash_everywhere(shop, Order(), SERVICES, crashes=2, budget=0.2)
    assert not coverage.complete
    assert str(coverage).endswith("(out of budget)")


def test_one_history_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a failure names it."""
    monkeypatch.setattr(settings, "crash", "charge=refused@7,20")
    coverage = crash_everywhere(shop, Order(), SERVICES)
    assert coverage.histories == 1
    assert set(coverage.ends) <= {Status.COMPENSATED, Status.COMPLETED}


def test_a_history_that_is_over_before_the_crash_is_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would hold, and nothing would have been tried."""
    monkeypatch.setattr(settings, "crash", "@99999")
    with pytest.raises(RuntimeError, match="has not died there"):
        crash_everywhere(shop, Order(), SERVICES)


@pytest.mark.parametrize(
    "text", ["@", "@3", "charge=late@3,17", "charge#2=late@", "Bank.charge=refused,refund#3=lost@7"]
)
def test_a_history_is_read_as_it_is_written(text: str) -> None:
    """So that one line does it again."""
    assert str(History.parse(text)) == text


def test_the_saga_of_the_crash_tests_is_the_one_shown() -> None:
    """Its steps stay plain functions that other tests may use."""
    assert [one.name for one in (reserve, charge, ship)] == ["reserve", "charge", "ship"]
    assert release.__name__ == "release"


def test_a_saga_and_an_input_may_be_given_by_name() -> None:
    """As may everything else."""
    options: dict[str, Any] = {"input": Order(), "services": SERVICES, "budget": 0.1}
    assert crash_everywhere(shop, **options).histories > 0
