"""The story of a run: each line where it happened."""

from typing import Literal

import pytest

from atone import Saga, step
from atone.testing import Simulation
from tests.testing.shop import SERVICES, Order, Payments, shop

STORES: list[Literal["memory", "sqlite"]] = ["memory", "sqlite"]


async def told(sim: Simulation) -> list[str]:
    """What is told of one order, without its times."""
    await sim.start(shop, Order())
    await sim.settle()
    moments = sim.story().moments
    return [f"{moment.lane}: {moment.text}" for moment in moments if moment.text not in {"start 1", "starts"}]


@pytest.mark.parametrize("store", STORES)
@pytest.mark.parametrize("point", ["before", "after"])
async def test_what_a_death_cuts_off_is_told_before_it(point: str, store: Literal["memory", "sqlite"]) -> None:
    """A request that left a process stands above the death of that process, also at the same instant."""
    with Simulation(shop, provide=SERVICES, store=store) as sim:
        sim.crash_at(f"charge:{point}_effect")
        lines = await told(sim)
    death = next(place for place, line in enumerate(lines) if "✖ killed" in line)
    asked = [place for place, line in enumerate(lines) if line == "Payments: charge?"]
    assert asked[0] < death < asked[1]
    assert ("Payments: charge ✔" in lines[:death]) is (point == "after")
    assert lines[death + 1] == "process: starts again (life 2)"


@pytest.mark.parametrize("store", STORES)
async def test_a_line_of_history_stands_where_it_was_committed(store: Literal["memory", "sqlite"]) -> None:
    """Before what it announces, behind what it is about, whatever the clock says meanwhile."""
    with Simulation(shop, provide=SERVICES, store=store) as sim:
        sim[Payments].charge.plan("lost")
        await sim.start(shop, Order())
        await sim.advance(0.5)
        sim.jump(-3600)
        await sim.settle()
        lines = [f"{moment.lane}: {moment.text}" for moment in sim.story().moments]
    events = [next(place for place, line in enumerate(lines) if what in line) for what in (
        "BEGUN → reserve/action/1", "Stock: reserve?", "Stock: reserve ✔", "RETURNED reserve #1", "Payments: charge?",
        "IN_DOUBT charge #1", "the clock jumps", "Payments: charge ✔", "RETURNED charge", "ship?", "RETURNED ship",
    )]  # fmt: skip
    assert events == sorted(events), "\n".join(lines)


def test_a_death_between_two_callbacks_of_one_instant() -> None:
    """Told in the order of callbacks, as everything is."""

    async def killed(sim: Simulation) -> None:
        await told(sim)

    for callback in range(1, 60):
        with Simulation(shop, provide=SERVICES, crashes=[callback]) as sim:
            sim.play(killed)
            story = sim.story()
            recorded = [moment for moment in story.moments if not moment.lane.startswith("order ")]
            assert recorded == sim.world.moments


def test_a_step_that_ends_its_process_brings_its_story_along() -> None:
    """Nothing catches it, and it says nothing itself."""

    async def quits(order: Order) -> None:
        raise SystemExit(1)

    saga = Saga("quits", input=Order, steps=[step(pivot=True)(quits)])

    async def bought(sim: Simulation) -> None:
        await sim.start(saga, Order())
        await sim.settle()

    with Simulation(saga) as sim, pytest.raises(SystemExit) as caught:
        sim.play(bought)
    assert "BEGUN → quits/action/1" in caught.value.__notes__[0]
