"""Orders that take the process with them are counted, recovered last, and stopped."""

import asyncio

import pytest

from atone import (
    DidNotHappen,
    ParkReason,
    Retry,
    Status,
    VerbAnswer,
    parallel,
)
from tests.manual_runtime import settle
from tests.sagas.harness import ONCE, Life
from tests.sagas.world import World, effect, finding, line_of, shop

pytestmark = pytest.mark.anyio


async def test_ten_deaths_in_a_row_park_the_order_and_no_other() -> None:
    """An order that takes the process with it is stopped; its budget of attempts was never touched."""
    world = World()
    saga = shop(ONCE)
    life = Life([saga], world)
    async with life:
        world.script["charge"] = [asyncio.Event()]
        await life.start("poison")
        await settle()
        life.die()
    for death in range(2, 11):
        life = life.successor()
        world.script["charge"] = [asyncio.Event()]
        async with life:
            await life.clock.advance_until(lambda death=death: world.count("charge") == death)  # type: ignore[misc]
            life.die()
    world.script["charge"] = []
    async with life.successor() as heir:
        seen = await heir.reach(Status.PARKED, "poison")
        assert seen.park.reason is ParkReason.CRASH_LOOP
        assert world.count("charge") == 10
        assert (await heir.run("other")).status is Status.COMPLETED
        handle = heir.coordinator.order("poison")
        assert await handle.retry(seen.park.number, by="eve", why="fixed") is VerbAnswer.ACCEPTED
        assert (await heir.outcome("poison")).status is Status.COMPLETED


async def test_an_order_whose_action_kills_and_whose_probe_answers_is_parked_as_well() -> None:
    """That a probe answers says nothing of the call that the process dies in."""
    world = World()
    life = Life([line_of(effect("charge", probe=True))], world)
    async with life:
        world.script["charge"] = [asyncio.Event()]
        await life.start()
        await settle()
        life.die()
    for death in range(2, 11):
        life = life.successor()
        world.script["charge"], world.script["charge.probe"] = [asyncio.Event()], [finding(DidNotHappen)]
        async with life:
            await life.clock.advance_until(lambda death=death: world.count("charge") == death)  # type: ignore[misc]
            life.die()
    async with life.successor() as heir:
        assert (await heir.reach(Status.PARKED)).park.reason is ParkReason.CRASH_LOOP
    assert world.count("charge") == 10


async def test_a_member_that_kills_is_parked_although_another_one_of_its_group_ends_in_each_life() -> None:
    """The end of one attempt says nothing of another one that is under way."""
    world = World()
    pays = effect("pays", retry=Retry(attempts=100, first=1.0, factor=1.0))
    life = Life([line_of(parallel(effect("kills"), pays))], world)
    for death in range(1, 11):
        world.script["kills"], world.script["pays"] = [asyncio.Event()], [OSError("down")]
        async with life:
            if death == 1:
                await life.start()
            await life.clock.advance_until(lambda death=death: world.count("kills") == death)  # type: ignore[misc]
            await life.clock.advance_until(lambda death=death: world.count("pays") == death)  # type: ignore[misc]
            await settle()
            life.die()
        life = life.successor()
    async with life:
        assert (await life.reach(Status.PARKED)).park.reason is ParkReason.CRASH_LOOP
    assert world.count("kills") == 10


async def test_a_death_long_ago_does_not_count() -> None:
    """The count starts anew with every attempt that ends."""
    world = World()
    life = Life([shop()], world)
    async with life:
        world.script["charge"] = [asyncio.Event()]
        await life.start()
        await settle()
        life.die()
    async with life.successor() as heir:
        world.script["ship"] = [asyncio.Event()]
        await heir.clock.advance(2)
        (record,) = [row.record for row in heir.disk.rows.values()]
        assert record.snapshot.deaths == 0
        heir.die()


async def test_orders_that_a_process_kept_dying_with_are_recovered_last_and_alone() -> None:
    """From three deaths in a row on; sound ones are not held up by them."""
    world = World()
    life = Life([shop()], world)
    async with life:
        world.script["reserve"] = [asyncio.Event(), asyncio.Event()]
        await life.start("frail-1")
        await life.start("frail-2")
        await settle()
        life.die()
    for death in range(1, 4):
        life = life.successor()
        world.script["reserve"] = [asyncio.Event(), asyncio.Event()]
        async with life:
            await life.clock.advance_until(lambda: len(world.running) == 2)
            if death == 3:
                world.script["reserve"] = [asyncio.Event()]
                await life.start("sound")
                await settle()
            life.die()
    world.contexts.clear()
    gates = [asyncio.Event() for _ in range(3)]
    world.script["reserve"] = [*gates]
    async with life.successor() as heir:

        def begun() -> list[str]:
            return [ctx.order_id for name, ctx in world.contexts if name == "reserve"]

        await heir.clock.advance(10)
        assert begun() == ["sound", "frail-1"]
        gates[1].set()
        await heir.clock.advance(10)
        assert begun() == ["sound", "frail-1", "frail-2"]
        heir.die()
