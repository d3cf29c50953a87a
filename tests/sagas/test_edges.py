"""Where two things end at once: leaving and starting, ending and lingering, deploying and asking."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import pytest

from atone import AnswerPending, Saga, Status, StepContext, StoreUnavailable, receive, step
from atone.storage.codec import make_converter
from tests.manual_runtime import Clock, ManualRuntime, settle, until
from tests.sagas.harness import ONCE, TWICE, Life, later
from tests.sagas.world import Approve, Order, World, deaf, effect, line_of, shop

T = TypeVar("T")

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
    world.script["charge"] = [deaf(gate)]
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


async def test_a_caller_waits_by_the_clock_of_the_runtime() -> None:
    """Whoever owns that clock owns every wait: no time passes by itself."""
    async with Life([line_of(receive(Approve))], World(), options={"host": False}) as script:
        handle = await script.start()
        before = script.clock.monotonic
        waiting, asking = later(handle.outcome(timeout=3600)), later(handle.cancel("no", by="bob", timeout=1800))
        await script.clock.advance_until(asking.done, limit=7200)
        assert script.clock.monotonic - before == 1800
        with pytest.raises(AnswerPending, match="1800 s"):
            await asking
        await script.clock.advance_until(waiting.done, limit=7200)
        assert script.clock.monotonic - before == 3600
        with pytest.raises(TimeoutError):
            await waiting


async def test_a_wait_that_has_ended_leaves_no_alarm() -> None:
    """A service that asks a million times with a long timeout does not hold a million timers."""
    async with Life([line_of(receive(Approve))], World()) as life:
        handle = await life.start()
        asking, waiting = later(handle.suspend(by="eve", why="?")), later(handle.outcome(timeout=10**6))
        await settle()
        assert asking.done()
        waiting.cancel()
        await settle()
        assert not [when for when, _, alarm in life.clock._alarms if alarm.function and when > 10**5]


@pytest.mark.parametrize("first", ["timeout", "cancel"])
async def test_a_cancel_of_the_caller_wins_over_a_timeout_at_the_same_moment(first: str) -> None:
    """A request that was cut off ends as cancelled, and no timeout is mistaken for that."""
    async with Life([line_of(receive(Approve))], World(), options={"host": False}) as script:
        handle = await script.start()
        calls: list[asyncio.Future[Any]] = [
            later(handle.outcome(timeout=5)),
            later(handle.cancel("no", by="bob", timeout=5)),
        ]
        await settle()
        alarms = [alarm.function for when, _, alarm in script.clock._alarms if when == script.clock.monotonic + 5]
        events = [*filter(None, alarms), *(call.cancel for call in calls)]
        for event in events if first == "timeout" else reversed(events):
            event()
        await settle()
        assert len(events) == 4
        assert [call.cancelled() for call in calls] == [True, True]


async def test_a_draining_host_leaves_due_timers_alone() -> None:
    """A backoff that ends while the block is left begins nothing, and costs the disk nothing."""
    world, gate = World(), asyncio.Event()
    world.script["reserve"] = [OSError("line down"), gate]
    async with Life([shop(TWICE)], world) as life:
        await life.start("backs off")
        await settle()
        await life.start("runs")
        await settle()
        leaving, before = life.leaving(), life.store.writes
        life.store.die_at = (before + 20, "before")  # a storm at one moment would have no end
        await life.clock.advance(5)
        assert life.store.writes == before
        gate.set()
        await life.clock.advance_until(leaving.done)
    assert world.count("reserve") == 2


class Crowded(ManualRuntime):
    """A runtime whose worker threads are all taken."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.queue: list[Callable[[], object]] = []

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Wait for a thread in vain; a cancel ends only the waiting."""
        self.queue.append(function)
        await asyncio.Event().wait()
        raise AssertionError


async def test_a_call_that_was_given_up_before_it_found_a_thread_is_never_made() -> None:
    """The host left: it must not come behind what is sent in its stead."""
    calls: list[int] = []

    @step(timeout=5, retry=ONCE, read_only=True)
    def look(ctx: StepContext) -> None:
        calls.append(ctx.attempt)

    life = Life([line_of(look)], World(), options={"overlap_grace": 1, "shutdown_grace": 0})
    life.runtime = life.coordinator._runtime = crowded = Crowded(life.clock)
    async with life:
        await life.start()
        await settle()
        await life.leave()
        (queued,) = crowded.queue
        with pytest.raises(TimeoutError):
            queued()
        assert calls == []


async def test_waiting_for_a_thread_costs_an_order_neither_its_time_nor_its_attempts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A queue must not roll orders back: the timeout runs from the call, and who waits longer is told of."""

    @step(timeout=5, retry=ONCE, pivot=True)
    def look(ctx: StepContext) -> None: ...

    life = Life([line_of(look)], World())
    life.runtime = life.coordinator._runtime = crowded = Crowded(life.clock)
    async with life:
        await life.start()
        await life.clock.advance(13)
        assert await life.status() is Status.RUNNING
        assert "step 'look' of order '1' has waited 5 s for a worker thread" in caplog.messages
        (queued,) = crowded.queue
        queued()
        await life.clock.advance(4.9)
        assert await life.events() == ["BEGUN"]
        await life.clock.advance(0.2)
        assert "IN_DOUBT" in await life.events()


class Panic(BaseException):
    """As a library in Rust raises it, where it has a bug."""


class Unspeakable(Exception):
    why: BaseException

    def __str__(self) -> str:
        raise self.why


@pytest.mark.parametrize("why", [ZeroDivisionError(), Panic()])
async def test_an_exception_that_cannot_be_shown_ends_its_attempt_like_any_other(why: BaseException) -> None:
    """At once, in doubt, and under its name; so does a compensation that raises it."""
    world = World(refuses={"ship"})
    Unspeakable.why = why
    world.script["charge"] = [Unspeakable()]
    world.script["charge.undo"] = [Unspeakable()]
    async with Life([shop(TWICE)], world) as life:
        handle = await life.start()
        await life.clock.advance(1.5)
        assert world.log[:4] == ["reserve#1", "charge#1", "charge#2", "ship#1"]
        assert (await life.outcome()).status is Status.COMPENSATED
        errors = [one.error async for one in handle.history() if one.error]
    assert errors.count("Unspeakable") == 2
    assert world.count("charge.undo") == 2


async def test_a_class_that_panics_harms_its_own_order_and_no_other() -> None:
    """What is no `Exception` sets one order aside as any other error does, and the host goes on."""
    world, bad = World(), [False]

    def structure(plain: dict[str, int], _class: type) -> Order:
        if bad[0] and plain["total_cents"] == 13:
            raise Panic
        return Order(**plain)

    converter = make_converter()
    converter.register_structure_hook(Order, structure)
    saga = Saga("s", input=Order, steps=[effect("reserve"), receive(Approve), effect("charge")])
    async with Life([saga], world, options={"converter": converter}) as life:
        await life.start("1", Order(13))
        await life.start("2", Order(14))
        await settle()
    bad[0] = True
    async with life.successor() as heir:
        for id in ("1", "2"):
            await heir.coordinator.order(id).send(Approve())
        assert (await heir.outcome("2")).status is Status.COMPLETED
        await heir.reach(Status.PARKED, "1")


async def test_a_message_of_another_process_that_nobody_took_is_closed_with_its_order() -> None:
    """The host learns of it by its own last commit, and no message waits for an order that has ended."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([line_of(receive(Approve), effect("charge"))], world) as host, host.beside(host=False) as script:
        handle = await host.start()
        await handle.send(Approve(), id="taken")
        await settle()
        await script.coordinator.order("1").send(Approve(), id="left over")
        gate.set()
        await settle()
        assert await host.status() is Status.COMPLETED
        assert [mail.answer for mail in host.disk.mails.values()] == ["CONSUMED", "UNUSED"]
