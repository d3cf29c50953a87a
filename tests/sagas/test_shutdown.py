"""Shutdown is not cancel: nothing is compensated, and the next start goes on from the snapshot."""

import asyncio

import anyio
import pytest

from atone import (
    Coordinator,
    CoordinatorClosed,
    MemoryStore,
    PermanentError,
    Retry,
    Saga,
    Status,
    StepContext,
    parallel,
    receive,
    step,
)
from atone.storage import Disk
from tests.manual_runtime import settle
from tests.sagas.harness import ONCE, TWICE, Life, attempts, certainly_gone, later
from tests.sagas.world import Approve, Order, World, effect, line_of, shop, slow_to_end

pytestmark = pytest.mark.anyio


async def leave_while_a_step_ends(life: Life, gate: asyncio.Event) -> None:
    """Start an order whose step waits at a gate, which is opened within the grace."""
    await life.start()
    await settle()
    leaving = life.leaving()
    await settle()
    gate.set()
    await life.clock.advance_until(leaving.done)


async def test_leaving_compensates_nothing() -> None:
    """The order stands on disk as it was, and the next coordinator goes on."""
    world = World()
    world.script["charge"] = [asyncio.Event()]
    async with Life([shop()], world) as life:
        await life.start()
        await settle()
    assert world.log == ["reserve#1", "charge#1"]
    async with life.successor() as heir:
        assert (await heir.outcome()).status is Status.COMPLETED
    assert not [line for line in world.log if "undo" in line]


async def test_an_action_may_end_within_the_grace_and_its_result_counts() -> None:
    """It is recorded and not repeated; no further step begins meanwhile."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        await leave_while_a_step_ends(life, gate)
    assert world.log == ["reserve#1", "charge#1"]
    async with life.successor() as heir:
        assert (await heir.outcome()).status is Status.COMPLETED
    assert world.log == ["reserve#1", "charge#1", "ship#1", "confirm#1"]


@pytest.mark.parametrize("way_back", [True, False])
async def test_a_member_that_fails_while_the_host_leaves_ends_the_pause_of_another(way_back: bool) -> None:
    """The next host turns the order back at once, or parks it: the other member's next attempt is not awaited."""
    world, gate = World(), asyncio.Event()

    async def refuse() -> None:
        await gate.wait()
        raise PermanentError("no")

    world.script["flaky"] = [OSError()]
    world.script["check"] = [refuse]
    nightly = Retry(attempts=5, first=86_400, longest=86_400)
    group = parallel(effect("flaky", undo=way_back, retry=nightly), effect("check", undo=way_back))
    pivot = [] if way_back else [effect("ship", undo=False, pivot=True)]
    async with Life([Saga("s", input=Order, steps=[*pivot, group])], world) as life:
        await leave_while_a_step_ends(life, gate)
    async with life.successor() as heir:
        await heir.reach(Status.COMPENSATED if way_back else Status.PARKED, within=60)


async def test_the_grace_is_bounded() -> None:
    """An action that does not end is cut off."""
    world = World()
    world.script["charge"] = [asyncio.Event()]
    async with Life([shop()], world, options={"shutdown_grace": 7}) as life:
        await life.start()
        await settle()
        before = life.clock.monotonic
        await life.leave()
        assert 7 <= life.clock.monotonic - before < 9
        assert world.running == []


async def test_an_attempt_cut_off_costs_no_budget_and_is_no_death() -> None:
    """Over many restarts an action that may be tried once is repeated under its key."""
    world = World()
    life = Life([shop(ONCE)], world, options={"shutdown_grace": 0})
    async with life:
        world.script["charge"] = [asyncio.Event()]
        await life.start()
        await settle()
    for count in range(2, 13):
        world.script["charge"] = [asyncio.Event()]
        life = life.successor()
        async with life:
            await life.clock.advance_until(lambda count=count: world.count("charge") == count)  # type: ignore[misc]
    async with life.successor() as heir:
        assert (await heir.outcome()).status is Status.COMPLETED
        (record,) = [row.record for row in heir.disk.rows.values()]
        assert record.snapshot.deaths == 0
    assert len({ctx.key for name, ctx in world.contexts if name == "charge"}) == 1


async def test_finally_blocks_of_attempts_cut_off_are_run() -> None:
    """Before the block of the coordinator is left."""
    world, cleaned = World(), []

    async def careful() -> object:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)
        return None

    world.script["charge"] = [careful]
    async with Life([shop()], world, options={"shutdown_grace": 0}) as life:
        await life.start()
        await settle()
        await life.leave()
        assert cleaned == [True]


async def test_an_attempt_that_does_not_end_holds_up_a_leave_for_a_moment_only() -> None:
    """A second by the clock of the runtime, whatever its `finally` block still waits for."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [slow_to_end(gate)]
    async with Life([shop()], world, options={"shutdown_grace": 0}) as life:
        await life.start()
        await settle()
        before = life.clock.monotonic
        await life.leave()
        assert life.clock.monotonic - before == pytest.approx(1.0)
        gate.set()
        await settle()


async def test_compensations_are_cut_off_only_by_shutdown_and_repeated_by_the_next_start() -> None:
    """Until acknowledged."""
    world = World(refuses={"ship"})
    world.script["charge.undo"] = [asyncio.Event()]
    async with Life([shop()], world, options={"shutdown_grace": 0}) as life:
        await life.start()
        await settle()
    async with life.successor() as heir:
        assert (await heir.outcome()).status is Status.COMPENSATED
    assert world.applied == []


async def test_waits_and_backoffs_keep_their_time_over_a_restart() -> None:
    """Neither is lost, and neither begins anew."""
    world = World()
    world.script["a"] = [OSError("line down")]
    saga = line_of(effect("a", retry=Retry(attempts=2, first=30, jitter=0)))
    async with Life([saga], world) as life:
        await life.start()
        await life.clock.advance(10)
    async with life.successor() as heir:
        await heir.clock.advance(10)
        assert world.log == ["a#1"]
        await heir.clock.advance(12)
        assert world.log == ["a#1", "a#2"]


async def test_intake_stops_while_the_block_is_left() -> None:
    """Whoever calls is told; whoever waits as well."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        handle = await life.start()
        waiting = later(handle.outcome())
        await settle()
        leaving = life.leaving()
        await settle()
        with pytest.raises(CoordinatorClosed):
            await life.start("2")
        with pytest.raises(CoordinatorClosed):
            await handle.cancel("no", by="bob")
        gate.set()
        await life.clock.advance_until(leaving.done)
        with pytest.raises(CoordinatorClosed):
            await waiting


async def test_a_cancelled_leave_still_leaves_in_good_order() -> None:
    """As a lifespan that is cut short does: the lease is given back all the same."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        await life.start()
        await settle()
        leaving = life.leaving()
        await settle()
        leaving.cancel()
        gate.set()
        await life.clock.advance_until(leaving.done)
        assert leaving.cancelled()
        assert life.disk.lease.holder is None


async def test_a_leave_in_a_cancelled_scope_still_leaves_in_good_order() -> None:
    """Such a scope cancels again and again until it is left; what runs has its grace all the same."""
    disk, gate, began = Disk(), asyncio.Event(), asyncio.Event()

    @step(read_only=True)
    async def look(_order: Order) -> int:
        began.set()
        await gate.wait()
        return 1

    saga = Saga("s", input=Order, steps=[look])
    scope = anyio.CancelScope()

    async def service() -> None:
        with scope:
            async with Coordinator(MemoryStore(disk), sagas=[saga]) as coordinator:
                await coordinator.start(saga, Order(), id="1")
                await asyncio.Event().wait()

    serving = later(service())
    await began.wait()
    scope.cancel()
    for _ in range(20):
        await asyncio.sleep(0)
    assert not serving.done()
    gate.set()
    await serving
    assert disk.lease.holder is None
    assert disk.rows[1].record.revision == 2, "the result was recorded"


async def test_a_leaving_host_that_is_replaced_waits_for_nothing_more() -> None:
    """What it would record is refused; nor may it stand by, host once more and begin something, while it leaves."""
    gate = asyncio.Event()

    def look(_order: Order) -> int:
        return 1

    saga = Saga("s", input=Order, steps=[step(name="look", read_only=True, retry=ONCE)(look)])
    async with Life([saga], World(), options={"shutdown_grace": 60}) as life:
        life.runtime.gate = gate
        await life.start()
        await settle()
        leaving = life.leaving()
        await settle()
        async with life.beside(is_gone=certainly_gone) as heir:
            assert heir.coordinator.hosting
            await heir.clock.advance(5)
            assert leaving.done()
            gate.set()


async def test_an_exception_in_the_block_is_not_a_cancel_either() -> None:
    """The user's error passes through, and the orders stay as they are."""
    world = World()
    saga = line_of(effect("reserve"), receive(Approve), effect("charge"))
    life = Life([saga], world)

    async def service() -> None:
        async with life:
            await life.start()
            await settle()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await service()
    async with life.successor() as heir:
        assert await heir.status() is Status.WAITING


async def test_a_lost_client_connection_cancels_nothing() -> None:
    """The request that started or awaited the order is cancelled; the order goes on."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop(TWICE)], world) as life:
        request = later(life.start())
        await asyncio.sleep(0)
        request.cancel()
        await settle()
        waiting = later(life.coordinator.order("1").outcome())
        await settle()
        waiting.cancel()
        await settle()
        gate.set()
        assert (await life.outcome()).status is Status.COMPLETED


async def test_a_released_store_is_taken_over_without_a_death() -> None:
    """A process that left is not one that died."""
    world = World()
    async with Life([shop()], world) as life:
        pass
    async with Life([shop()], world, life.disk, life.clock) as heir:
        assert heir.coordinator.hosting
        assert heir.disk.lease.died is None


def test_an_interrupt_is_never_recorded_as_a_failure() -> None:
    """Ctrl-C inside an action ends the program; the next one goes on from the snapshot."""
    world = World()
    world.script["charge"] = [KeyboardInterrupt()]
    life = Life([shop()], world)

    async def program() -> None:
        async with life:
            await life.start()
            await asyncio.Event().wait()

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(program())

    async def next_program() -> None:
        async with life.successor() as heir:
            assert (await heir.outcome()).status is Status.COMPLETED
            assert not {"REFUSED", "IN_DOUBT"} & set(await heir.events())

    asyncio.run(next_program())
    assert world.log == ["reserve#1", "charge#1", "charge#2", "ship#1", "confirm#1"]


@pytest.mark.parametrize("what", ["cancel", "resume"])
async def test_a_request_that_came_meanwhile_makes_no_attempt_be_sent_twice(what: str) -> None:
    """It is decided before the order hears that it was taken up: what it begins was not cut off by the restart."""
    world, gate = World(), asyncio.Event()
    world.script["reserve"] = [gate]
    async with Life([shop()], world) as life:
        await leave_while_a_step_ends(life, gate)
    async with life.successor(host=False) as client:
        order = client.coordinator.order("1")
        asking = order.cancel("never mind", by="bob") if what == "cancel" else order.resume(by="bob", why="to be sure")
        later(asking).add_done_callback(lambda asked: asked.exception())
        await settle()
    async with life.successor() as heir:
        await heir.outcome()
        assert "INTERRUPTED" not in await heir.events()
    assert len(world.log) == len(set(world.log))
    assert set(attempts(world.log).values()) == {1}


async def test_an_attempt_that_waits_for_the_one_before_it_is_not_sent_while_the_host_leaves() -> None:
    """Nor is it waited for: it has not begun, and the next host sends it."""
    log: list[str] = []
    closing = asyncio.Event()

    async def charge(ctx: StepContext) -> None:
        log.append(f"charge#{ctx.attempt}")
        try:
            await (asyncio.Event().wait() if ctx.attempt == 1 else asyncio.sleep(0))
        finally:
            await closing.wait()

    saga = Saga("s", input=Order, steps=[step(read_only=True)(charge)])
    async with Life([saga], World(), options={"overlap_grace": 90}) as life:
        await life.start()
        await settle()
        life.lapse()
        await life.clock.advance(5)
        leaving = life.leaving()
        await life.clock.advance(0.5)
        closing.set()
        await life.clock.advance(0.5)
        assert leaving.done()
        assert log == ["charge#1"]
    async with life.successor() as heir:
        assert (await heir.outcome()).status is Status.COMPLETED
    assert log == ["charge#1", "charge#3"]


async def test_what_was_cut_off_may_end_while_the_host_leaves() -> None:
    """Within the grace, as what runs may: the next host would send the next attempt beside it."""
    world, closing = World(), asyncio.Event()
    world.script["charge"] = [slow_to_end(closing)]
    async with Life([line_of(effect("charge"))], world) as life:
        await life.start()
        await settle()
        life.lapse()
        await life.clock.advance(2)
        leaving = life.leaving()
        await life.clock.advance(5)
        assert not leaving.done()
        closing.set()
        await life.clock.advance(0.5)
        assert leaving.done()
