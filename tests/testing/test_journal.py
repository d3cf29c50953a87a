"""The journal of a run is whole: a check that has nothing to look at finds nothing."""

import asyncio
from typing import Any

import pytest

from atone import Saga, StepContext, step
from atone.sagas.draft import Draft
from atone.sagas.runner import Runner
from atone.testing import Simulation
from atone.testing.journal import Asked, Began, Crowded, Journal
from tests.testing.shop import SERVICES, Carrier, Order, Payments, shop


async def test_each_attempt_and_each_request_of_a_run_is_seen() -> None:
    """Actions and compensations: what history announces has begun, and all that was asked was asked by one of these."""
    sim = Simulation(shop, provide=SERVICES)
    sim[Payments].charge.plan("lost")
    sim[Carrier].ship.plan("refused")
    await sim.start(shop, Order())
    await sim.settle()
    began = {str(event.sender) for event in sim._journal.of(Began)}
    asked = sim._journal.of(Asked)
    assert began == {attempt for one in sim.history("1") for attempt in one.begun}
    assert {work for one in began for work in one.split("/")[1:2]} >= {"action", "compensation"}
    assert {str(event.sender) for event in asked} == began
    assert len(asked) == len(began)
    sim.close()


async def test_work_that_is_no_attempt_is_refused() -> None:
    """What the engine does for itself has a name, so that no attempt is overlooked."""

    async def housekeeping() -> None:
        """Nobody's attempt."""

    with pytest.raises(TypeError, match=r"housekeeping.* is no attempt"):
        Journal().began("life-1.1", housekeeping())


@step(timeout=5)
async def pay(order: Order, payments: Payments, ctx: StepContext) -> str:
    """Does not heed that it is told to end, and asks once more."""
    receipt: str = await payments.charge(key=ctx.key)
    if ctx.attempt == 1:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(60)
        await payments.charge(key=ctx.key)
    return receipt


@pay.compensation
async def repay(payments: Payments, ctx: StepContext) -> None:
    """Give it back."""
    await payments.refund(key=ctx.action_key)


@pytest.mark.parametrize("patient", [True, False])
async def test_a_request_beside_an_attempt_that_may_still_act_is_seen(
    monkeypatch: pytest.MonkeyPatch, *, patient: bool
) -> None:
    """It is not enough that history says so: the one before has its grace. What that asks later is its own affair."""
    if not patient:
        monkeypatch.setattr(Draft, "ready", lambda _draft, slot: slot.work is not None and not slot.running)
        monkeypatch.setattr(Runner, "_grace", lambda _runner, _attempt: 0.0)
    saga: Saga[Any] = Saga("hard of hearing", input=Order, steps=[pay])
    sim = Simulation(saga, provide=SERVICES)
    await sim.start(saga, Order())
    await sim.settle()
    seen = [(one.sender.number, one.beside.number) for one in sim._journal.of(Crowded)]
    assert seen == ([] if patient else [(2, 1)])
    assert ("S1 one at a time" in {one.check for one in sim.violations()}) is not patient
    sim.close()
