"""The journal of a run is whole: a check that has nothing to look at finds nothing."""

import pytest

from atone.testing import Simulation
from atone.testing.journal import Asked, Began, Journal
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
