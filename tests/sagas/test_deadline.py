"""The deadline of a saga is a cancel with a cause of its own."""

import asyncio
from datetime import timedelta

import pytest

from atone import CauseKind, Saga, Status, parallel
from tests.sagas.harness import TWICE, Life
from tests.sagas.world import Order, World, effect, line_of, shop

pytestmark = pytest.mark.anyio


async def test_the_deadline_of_a_saga_is_a_cancel() -> None:
    """With its own cause; a running action is allowed to finish."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop(deadline=timedelta(seconds=20))], world) as life:
        await life.start()
        await life.clock.advance(19)
        assert await life.status() is Status.RUNNING
        await life.clock.advance(2)
        assert await life.status() is Status.COMPENSATING
        gate.set()
        outcome = await life.outcome()
    assert outcome.status is Status.COMPENSATED
    assert outcome.cause.kind is CauseKind.DEADLINE


async def test_a_deadline_after_the_pivot_has_begun_is_too_late() -> None:
    """The order goes on and completes."""
    world, gate = World(), asyncio.Event()
    world.script["ship"] = [gate]
    async with Life([shop(deadline=timedelta(seconds=20))], world) as life:
        await life.start()
        await life.clock.advance(25)
        assert await life.status() is Status.RUNNING
        gate.set()
        assert (await life.outcome()).status is Status.COMPLETED


async def test_a_deadline_that_passes_while_the_machine_sleeps_is_noticed_soon_after() -> None:
    """The clock of timers stands still meanwhile, and a step under way keeps the order in memory."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    saga = line_of(
        effect("charge", timeout=86_400), effect("ship", pivot=True, undo=False), deadline=timedelta(hours=8)
    )
    async with Life([saga], world) as life:
        await life.start()
        await life.clock.advance(30)
        life.clock.wall += 9 * 3600
        await life.clock.advance(60)
        assert await life.status() is Status.COMPENSATING
        gate.set()
        assert (await life.outcome()).cause.kind is CauseKind.DEADLINE


async def test_a_pause_beside_a_long_step_ends_when_a_clock_that_was_set_back_is_right_again() -> None:
    """Its timer fires in between, and must not wait for as long as the clock was set back."""
    world, gate = World(), asyncio.Event()
    world.script["charge"], world.script["check"] = [gate], [OSError("down")]
    steps = [parallel(effect("charge", timeout=86_400), effect("check", retry=TWICE))]
    async with Life([Saga("pair", input=Order, steps=steps)], world) as life:
        await life.start()
        await life.clock.advance(0.5)
        life.clock.wall -= 5 * 3600
        await life.clock.advance(3)
        life.clock.wall += 5 * 3600
        await life.clock.advance(60)
        assert world.count("check") == 2
        gate.set()
        assert (await life.outcome()).status is Status.COMPLETED
