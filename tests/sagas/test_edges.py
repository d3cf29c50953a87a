"""Where two things end at once: leaving and starting, ending and lingering, deploying and asking."""

import asyncio
from contextlib import suppress

import pytest

from atone import Saga, Status, StoreUnavailable
from tests.manual_runtime import settle, until
from tests.sagas.harness import ONCE, TWICE, Life, later
from tests.sagas.world import Order, World, effect, shop

pytestmark = pytest.mark.anyio


async def test_no_step_begins_after_the_coordinator_was_left() -> None:
    """The commit of a start was under way: the order is on disk, and the next host begins with it."""
    world = World()
    async with Life([shop()], world) as life:
        starting = later(life.start())
        leaving = life.leaving()
        await life.clock.advance_until(leaving.done)
        before = list(world.log)
        await settle()
        assert world.log == before
        assert world.running == []
        try:
            await starting
        except StoreUnavailable:
            return
    async with life.successor() as heir:
        assert (await heir.outcome()).status is Status.COMPLETED
    assert world.count("charge") == 1


async def test_a_start_whose_commit_comes_after_a_takeover_begins_nothing() -> None:
    """The host learns that it was replaced while the creation is on its way to the disk."""
    world = World()
    async with Life([shop()], world) as life:
        supervisor = life.coordinator._access.supervisor
        assert supervisor is not None
        starting = later(life.start())
        await until(lambda: supervisor.busy)
        supervisor.fenced()
        await starting
        await settle()
        assert world.log == []


async def test_an_end_is_told_while_an_attempt_still_lingers() -> None:
    """The order is compensated after the grace, and whoever asks then learns it from the disk."""
    world, gate = World(), asyncio.Event()

    async def stubborn() -> None:
        while not gate.is_set():
            with suppress(asyncio.CancelledError):
                await gate.wait()

    world.script["charge"] = [stubborn]
    async with Life([shop(ONCE)], world, options={"overlap_grace": 5}) as life:
        await life.start()
        await life.reach(Status.COMPENSATED)
        assert world.running == ["charge"]
        assert (await life.outcome()).status is Status.COMPENSATED
        gate.set()


async def test_a_probe_that_was_removed_cannot_tell() -> None:
    """A deploy took it away while it was asked: the order goes on by the next rung."""
    world = World()
    world.script["charge"] = [ConnectionError("the line is down")]
    world.script["charge.probe"] = [asyncio.Event()]
    asked = Saga("order", input=Order, steps=[effect("charge", probe=True, retry=TWICE)])
    today = Saga("order", input=Order, steps=[effect("charge", retry=TWICE)])
    async with Life([asked], world) as life:
        await life.start()
        await life.clock.advance(1)
        life.die()
    async with life.successor(today) as heir:
        assert (await heir.outcome()).status is Status.COMPLETED
