"""Waiting for a message: timeouts, declines, and whether to wait at all."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from atone import (
    CauseKind,
    ParkReason,
    Saga,
    Status,
    StepStatus,
    receive,
    step,
)
from atone.actors import Limits
from atone.storage import Accept, Lane
from tests.manual_runtime import settle
from tests.sagas.harness import Life
from tests.sagas.world import Approve, Decline, Order, World, effect, line_of

pytestmark = pytest.mark.anyio

MINUTE = timedelta(seconds=60)


def approval(**options: Any) -> Saga[Order]:
    """Wait for a decision between two steps."""
    wait = receive(Approve | Decline, decline=Decline, name="decision", **options)
    return line_of(effect("reserve"), wait, effect("charge"))


async def test_a_decline_rolls_back_with_the_message_as_cause() -> None:
    """And the message can be read in the outcome."""
    world = World()
    async with Life([approval()], world) as life:
        handle = await life.start()
        await handle.send(Decline("too dear"))
        outcome = await life.outcome()
    assert outcome.status is Status.COMPENSATED
    assert outcome.cause.message == Decline("too dear")
    assert world.log == ["reserve#1", "reserve.undo#1"]


async def test_a_timeout_rolls_back_with_cause_deadline() -> None:
    """At its time, and not before."""
    async with Life([approval(timeout=MINUTE)], World()) as life:
        await life.start()
        await life.clock.advance(59)
        assert await life.status() is Status.WAITING
        await life.clock.advance(2)
        outcome = await life.outcome()
    assert outcome.status is Status.COMPENSATED
    assert outcome.cause.kind is CauseKind.DEADLINE


async def test_a_message_accepted_before_the_timeout_wins_however_late_the_host() -> None:
    """It was accepted in time by a process that does not host; the host comes long after the timeout."""
    world = World()
    saga = approval(timeout=MINUTE)
    async with Life([saga], world) as life:
        await life.start()
        await settle()
        life.die()
    async with Life([saga], world, life.disk, life.clock, {"host": False}) as script:
        await script.coordinator.order("1").send(Approve())
    await life.clock.advance(1000)
    async with life.successor() as heir:
        assert (await heir.outcome()).status is Status.COMPLETED


async def test_a_timeout_commits_only_if_no_message_waits_unseen() -> None:
    """The message of another process that the host has not noticed yet is seen by the same transaction."""
    blind = {"limits": Limits(poll=1000.0, scan=1000.0)}
    async with Life([approval(timeout=timedelta(seconds=3))], World(), options=blind) as life:
        await life.start()
        await life.clock.advance(2)
        life.disk.apply(Accept("1", "m", Lane.DATA, "Approve", b'{"by":"carol"}', life.clock.wall, 9))
        await life.clock.advance(2)
        assert await life.status() is Status.COMPLETED
        assert "TIMEOUT" not in await life.events()


async def test_when_decides_once_and_its_answer_is_stored() -> None:
    """On False nothing is awaited and the message is `None`; a restart does not ask again."""
    asked: list[int] = []

    def dear(order: Order) -> bool:
        asked.append(order.total_cents)
        return order.total_cents > 100

    given: list[Approve | None] = []

    @step(read_only=True)
    async def look(approve: Approve | None) -> None:
        given.append(approve)

    saga = line_of(receive(Approve, when=dear), look)
    async with Life([saga], World()) as life:
        assert (await life.run("cheap", Order(5))).status is Status.COMPLETED
        handle = await life.start("dear", Order(500))
        assert await life.status("dear") is Status.WAITING
        assert (await life.coordinator.order("cheap").status()).steps["approve"] is StepStatus.SKIPPED
        assert handle.created
        life.die()
    async with life.successor() as heir:
        await heir.clock.advance(3)
        await heir.coordinator.order("dear").send(Approve("bob"))
        assert (await heir.outcome("dear")).status is Status.COMPLETED
    assert asked == [5, 500]
    assert given == [None, Approve("bob")]


class Panic(BaseException):
    """As a library in Rust raises it, where it has a bug."""


@pytest.mark.parametrize("error", [ZeroDivisionError("a bug"), Panic("a bug"), asyncio.CancelledError("a bug")])
async def test_a_predicate_that_raises_parks_the_order(error: BaseException) -> None:
    """Visibly, whatever it raises; retry asks it again."""
    answers: list[BaseException | bool] = [error, False]

    def moody(_order: Order) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async with Life([line_of(effect("reserve"), receive(Approve, when=moody))], World()) as life:
        handle = await life.start()
        seen = await life.reach(Status.PARKED)
        assert seen.park.reason is ParkReason.PREDICATE
        assert "a bug" in seen.park.error
        await handle.retry(seen.park.number, by="eve", why="fixed")
        assert (await life.outcome()).status is Status.COMPLETED
