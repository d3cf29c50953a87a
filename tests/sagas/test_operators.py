"""Parked orders, and what people may do about them."""

import asyncio
from typing import Any

import pytest
from attrs import field, make_class

from atone import (
    DID_NOT_HAPPEN,
    AnswerPending,
    CauseKind,
    Handle,
    OrderError,
    ParkReason,
    Retry,
    Saga,
    Status,
    StepStatus,
    Undecodable,
    VerbAnswer,
)
from atone.sagas.views import OrderStatus
from tests.manual_runtime import settle
from tests.sagas.harness import ONCE, TWICE, Life, later
from tests.sagas.world import World, effect, line_of, shop

pytestmark = pytest.mark.anyio

LINE_DOWN = OSError("line down")


async def parked(life: Life, reason: ParkReason) -> tuple[Handle, OrderStatus]:
    """An order that has come to a park."""
    handle = await life.start()
    seen = await life.reach(Status.PARKED)
    assert seen.park.reason is reason
    return handle, seen


def number(seen: OrderStatus) -> int:
    """Of the park that a person saw."""
    assert seen.park is not None
    return seen.park.number


async def test_a_pivot_in_doubt_neither_rolls_back_nor_goes_on() -> None:
    """Nobody knows whether it happened: a person must say."""
    world = World()
    world.script["ship"] = [LINE_DOWN, LINE_DOWN]
    async with Life([shop(TWICE)], world) as life:
        _, seen = await parked(life, ParkReason.IN_DOUBT)
        assert seen.park is not None
        assert seen.park.step == "ship"
        await life.clock.advance(100)
        assert world.log[-1] == "ship#2"


async def test_a_pivot_that_happened_leads_forward() -> None:
    """The operator gives its result, checked against the step's type."""
    world = World()
    world.script["ship"] = [LINE_DOWN]
    saga = shop(ONCE)
    result_class = saga.results[2]
    async with Life([saga], world) as life:
        handle, seen = await parked(life, ParkReason.IN_DOUBT)
        with pytest.raises(Undecodable):
            await handle.resolve(number(seen), "nonsense", by="eve", why="asked")
        answer = await handle.resolve(number(seen), result_class(7), by="eve", why="asked")
        assert answer is VerbAnswer.ACCEPTED
        outcome = await life.outcome()
        assert outcome.status is Status.COMPLETED
        assert outcome.result(saga.slots[2]) == result_class(7)
        notes = [one.note async for one in handle.history() if one.event == "RESOLVE"]
    assert notes == ["ACCEPTED; by eve: asked"]
    assert world.count("ship") == 1


async def test_a_pivot_that_did_not_happen_leads_back() -> None:
    """With the operator as cause."""
    world = World()
    world.script["ship"] = [LINE_DOWN]
    async with Life([shop(ONCE)], world) as life:
        handle, seen = await parked(life, ParkReason.IN_DOUBT)
        await handle.resolve(number(seen), DID_NOT_HAPPEN, by="eve", why="asked")
        outcome = await life.outcome()
    assert outcome.status is Status.COMPENSATED
    assert (outcome.cause.kind, outcome.cause.by) == (CauseKind.OPERATOR, "eve")


async def test_a_pivot_in_doubt_may_be_tried_again() -> None:
    """Under the same key."""
    world = World()
    world.script["ship"] = [LINE_DOWN]
    async with Life([shop(ONCE)], world) as life:
        handle, seen = await parked(life, ParkReason.IN_DOUBT)
        assert await handle.retry(number(seen), by="eve", why="line is up") is VerbAnswer.ACCEPTED
        assert (await life.outcome()).status is Status.COMPLETED
    assert len({ctx.key for name, ctx in world.contexts if name == "ship"}) == 1


async def test_a_step_after_the_pivot_that_gives_up_is_parked() -> None:
    """It is never undone; retry, a result or a skip lead on."""
    for verb in ("retry", "resolve", "skip"):
        world = World()
        world.script["confirm"] = [LINE_DOWN]
        saga = shop(ONCE)
        async with Life([saga], world) as life:
            handle, seen = await parked(life, ParkReason.STEP)
            if verb == "resolve":
                with pytest.raises(Undecodable, match="Confirm"):
                    await handle.resolve(number(seen), None, by="eve", why="sent by hand")
                answer = await handle.resolve(number(seen), saga.results[-1](9), by="eve", why="sent by hand")
            else:
                answer = await getattr(handle, verb)(number(seen), by="eve", why="ok")
            assert answer is VerbAnswer.ACCEPTED
            assert (await life.outcome()).status is Status.COMPLETED
        assert "reserve.undo#1" not in world.log


async def parked_compensation(life: Life) -> tuple[Handle, OrderStatus]:
    """An order whose first compensation keeps failing."""
    life.world.refuses = {"ship"}
    life.world.script["charge.undo"] = [LINE_DOWN, LINE_DOWN]
    return await parked(life, ParkReason.COMPENSATION)


def undoing() -> list[object]:
    """The shop, with compensations that are tried twice."""
    return [
        line_of(
            effect("reserve", undo_retry=TWICE), effect("charge", undo_retry=TWICE),
            effect("ship", pivot=True, undo=False),
        )
    ]  # fmt: skip


async def test_a_compensation_that_keeps_failing_is_never_skipped_by_itself() -> None:
    """The order is parked, and those owed before it wait."""
    async with Life(undoing(), World()) as life:  # type: ignore[arg-type]
        _, seen = await parked_compensation(life)
        assert seen.park is not None
        assert seen.park.step == "charge"
        assert "line down" in str(seen.park.error)
        await life.clock.advance(100)
        assert life.world.log[-2:] == ["charge.undo#1", "charge.undo#2"]


async def test_a_refused_compensation_is_parked_at_once() -> None:
    """`PermanentError` ends its retries."""
    world = World(refuses={"ship", "charge.undo"})
    async with Life(undoing(), world) as life:  # type: ignore[arg-type]
        await parked(life, ParkReason.COMPENSATION)
    assert world.count("charge.undo") == 1


@pytest.mark.parametrize(
    ("verb", "status", "log"),
    [
        ("retry", Status.COMPENSATED, ["charge.undo#3", "reserve.undo#1"]),
        ("resolve", Status.COMPENSATED, ["reserve.undo#1"]),
        ("skip", Status.ABANDONED, ["reserve.undo#1"]),
        ("abandon", Status.ABANDONED, []),
    ],
)
async def test_a_parked_compensation_goes_on_as_a_person_says(verb: str, status: Status, log: list[str]) -> None:
    """`COMPENSATED` is only ever said when every compensation owed was acknowledged."""
    async with Life(undoing(), World()) as life:  # type: ignore[arg-type]
        handle, seen = await parked_compensation(life)
        before = len(life.world.log)
        if verb == "resolve":
            answer = await handle.resolve(number(seen), None, by="eve", why="refunded by hand")
        else:
            answer = await getattr(handle, verb)(number(seen), by="eve", why="so be it")
        assert answer is VerbAnswer.ACCEPTED
        assert (await life.outcome()).status is status
    assert life.world.log[before:] == log


async def test_a_verb_for_a_park_that_is_over_is_stale() -> None:
    """Each park has a number, and the verb carries the one that the person saw."""
    async with Life(undoing(), World()) as life:  # type: ignore[arg-type]
        handle, seen = await parked_compensation(life)
        life.world.script["charge.undo"] = [LINE_DOWN, LINE_DOWN]
        await handle.retry(number(seen), by="eve", why="?")
        again = await life.reach(Status.PARKED)
        assert number(again) > number(seen)
        for verb in (handle.retry, handle.skip, handle.abandon):
            assert await verb(number(seen), by="bob", why="late") is VerbAnswer.STALE
        assert await handle.resolve(number(seen), None, by="bob", why="late") is VerbAnswer.STALE
        assert (await handle.status()).park == again.park


async def test_verbs_that_mean_nothing_now_say_so() -> None:
    """And one for an order that has ended, or never was."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        handle = await life.start()
        await settle()
        assert await handle.resume(by="eve", why="?") is VerbAnswer.NOT_APPLICABLE
        assert await handle.retry(1, by="eve", why="?") is VerbAnswer.STALE
        gate.set()
        await life.outcome()
        assert await handle.suspend(by="eve", why="?") is VerbAnswer.ALREADY_FINISHED
        assert await life.coordinator.order("x").suspend(by="eve", why="?") is VerbAnswer.NOT_FOUND


async def test_suspend_lets_the_running_action_end_and_commits_no_next_intent() -> None:
    """Its result is recorded; resume goes on from there."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        handle = await life.start()
        await settle()
        assert await handle.suspend(by="eve", why="audit") is VerbAnswer.ACCEPTED
        gate.set()
        await life.clock.advance(5)
        seen = await handle.status()
        assert (seen.status, seen.steps["charge"]) == (Status.SUSPENDED, StepStatus.SUCCEEDED)
        assert world.log[-1] == "charge#1"
        assert await handle.resume(by="eve", why="done") is VerbAnswer.ACCEPTED
        assert (await life.outcome()).status is Status.COMPLETED


async def test_a_suspension_outlives_a_death() -> None:
    """The next host begins nothing either."""
    world = World()
    world.script["charge"] = [asyncio.Event()]
    async with Life([shop()], world) as life:
        handle = await life.start()
        await settle()
        await handle.suspend(by="eve", why="audit")
        life.die()
    async with life.successor() as heir:
        await heir.clock.advance(20)
        assert world.log[-1] == "charge#1"
        await heir.coordinator.order("1").resume(by="eve", why="done")
        assert (await heir.outcome()).status is Status.COMPLETED


async def test_timers_keep_their_time_while_suspended_and_fire_after_resume() -> None:
    """A backoff that fell due meanwhile is over at once."""
    world = World()
    world.script["a"] = [LINE_DOWN]
    saga = line_of(effect("a", retry=Retry(attempts=2, first=10, jitter=0)))
    async with Life([saga], world) as life:
        handle = await life.start()
        await settle()
        await handle.suspend(by="eve", why="audit")
        await life.clock.advance(100)
        assert world.log == ["a#1"]
        await handle.resume(by="eve", why="done")
        await settle()
        assert world.log == ["a#1", "a#2"]


async def test_a_suspended_order_may_be_abandoned() -> None:
    """With what is owed unpaid, and it says so for ever."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        handle = await life.start()
        await settle()
        await handle.suspend(by="eve", why="fraud")
        assert await handle.abandon(None, by="eve", why="fraud") is VerbAnswer.NOT_APPLICABLE, "it still runs"
        gate.set()
        await settle()
        assert await handle.abandon(None, by="eve", why="fraud") is VerbAnswer.ACCEPTED
        outcome = await life.outcome()
    assert outcome.status is Status.ABANDONED
    assert outcome.cause.kind is CauseKind.OPERATOR
    assert "reserve.undo#1" not in world.log


async def test_a_result_for_an_order_that_cannot_be_read_is_refused_and_not_lost() -> None:
    """The request would be kept, and be decided without the result by the first host that can read the order."""
    world = World()
    ship = effect("ship", pivot=True, undo=False, retry=ONCE)
    world.script["ship"] = [LINE_DOWN]
    saga = line_of(ship)
    unreadable: Saga[Any] = Saga("line", input=make_class("Order", {"cents": field(type=int)}), steps=[ship])
    async with Life([saga], world) as life:
        _, seen = await parked(life, ParkReason.IN_DOUBT)
    async with life.successor(unreadable) as heir:
        handle = heir.coordinator.order("1")
        suspending = later(handle.suspend(by="eve", why="a moment"))
        await heir.clock.advance_until(suspending.done)
        assert isinstance(suspending.exception(), AnswerPending)
        with pytest.raises(OrderError, match="cannot be read"):
            await heir.survive(handle.resolve(number(seen), saga.results[0](7), by="eve", why="asked"))
    async with life.successor(saga) as healed:
        handle = healed.coordinator.order("1")
        await healed.clock.advance(2)
        answer = await handle.resolve(number(seen), saga.results[0](7), by="eve", why="asked")
        assert answer is VerbAnswer.ACCEPTED
        await handle.resume(by="eve", why="go on")
        assert (await healed.outcome()).result(ship) == saga.results[0](7)
