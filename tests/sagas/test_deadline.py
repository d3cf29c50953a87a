"""The deadline of a saga is a cancel with a cause of its own."""

import asyncio
from datetime import timedelta

import pytest

from atone import (
    CauseKind,
    Status,
)
from tests.sagas.harness import Life
from tests.sagas.world import World, shop

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
