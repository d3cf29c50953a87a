"""Death at any moment, and what the next process makes of it."""

import asyncio
from datetime import timedelta

import pytest

from atone import (
    DID_NOT_HAPPEN,
    MemoryStore,
    OrderNotFound,
    ParkReason,
    Status,
    StepContext,
    parallel,
    receive,
)
from atone.actors import Limits
from atone.storage import Disk
from tests.faulty_store import When
from tests.manual_runtime import settle
from tests.sagas.harness import ONCE, Life
from tests.sagas.world import Approve, World, effect, line_of, shop

pytestmark = pytest.mark.anyio


def world_that_refuses(name: str | None) -> World:
    """A world with at most one participant that always says no."""
    return World(refuses=set() if name is None else {name})


async def finish(life: Life) -> Status:
    """See an order through, with an operator who knows that a refused pivot did nothing."""
    await life.start()
    handle = life.coordinator.order("1")
    while not (seen := await handle.status()).status.final:
        assert life.clock.monotonic < 1000, seen.status
        if seen.park is not None:
            assert seen.park.reason is ParkReason.IN_DOUBT
            await handle.resolve(seen.park.number, DID_NOT_HAPPEN, by="eve", why="asked the carrier")
        await life.clock.advance(1)
    return seen.status


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("refuses", [None, "reserve", "charge", "ship"])
async def test_death_at_every_commit_ends_consistently(refuses: str | None, when: When) -> None:
    """Whichever commit the process does not survive: all is done in the end, or all is undone."""
    for commit in range(1, 50):
        world = world_that_refuses(refuses)
        async with Life([shop()], world) as life:
            life.store.die_at = (commit, when)
            await life.survive(life.start())
            await life.clock.advance(5)
            if life.alive:
                break
        async with life.successor() as heir:
            status = await finish(heir)
        assert status is (Status.COMPENSATED if refuses else Status.COMPLETED), commit
        assert len(world.applied) == (0 if refuses else 4), commit
        keys = {(name, ctx.key) for name, ctx in world.contexts}
        assert len(keys) == len({name for name, _ in keys}), "one key for each function, over all attempts"
    assert commit > 2, "the loop ended because the process survived, not because it never lived"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_two_deaths_at_any_two_commits_end_consistently(when: When) -> None:
    """The second one while the first is being made up for."""
    for first in range(2, 6):
        for second in range(1, 5):
            world = world_that_refuses("charge")
            async with Life([shop()], world) as life:
                life.store.die_at = (first, when)
                await life.survive(life.start())
                await life.clock.advance(5)
            async with life.successor() as heir:
                heir.store.die_at = (second, when)
                await heir.clock.advance(5)
            async with heir.successor() as last:
                assert await finish(last) is Status.COMPENSATED
            assert world.applied == []


async def test_an_intent_is_on_disk_before_its_effect() -> None:
    """At every call of every function the disk already names that very attempt."""
    disk, world = Disk(), World()
    world.script["charge"] = [OSError("line down")]
    world.refuses = {"ship"}
    world.script["charge.undo"] = [OSError("line down")]
    missing: list[str] = []

    def look(name: str, ctx: StepContext) -> None:
        word = {"": "action", "undo": "compensation"}[name.partition(".")[2]]
        attempt = f"{ctx.step}/{word}/{ctx.attempt}"
        begun = [line.entry.begun or "" for line in disk.history]
        if not any(attempt in one.split() for one in begun):
            missing.append(attempt)

    world.on_call.append(look)
    async with Life([shop()], world, disk) as life:
        outcome = await life.run()
    assert outcome.status is Status.COMPENSATED
    assert world.count("charge") == world.count("charge.undo") == 2
    assert not missing


async def test_an_attempt_cut_off_by_a_death_is_in_doubt_and_costs_no_budget() -> None:
    """It is repeated under the same key although the policy allows one attempt, and the number rises."""
    world = World()
    world.script["charge"] = [asyncio.Event()]
    async with Life([shop(ONCE)], world) as life:
        await life.start()
        await settle()
        life.die()
    world.script["charge"] = [OSError("the one attempt that counts")]
    async with life.successor() as heir:
        outcome = await heir.outcome()
    charges = [ctx for name, ctx in world.contexts if name == "charge"]
    assert [ctx.attempt for ctx in charges] == [1, 2] or pytest.fail(str(world.log))
    assert len({ctx.key for ctx in charges}) == 1
    assert outcome.status is Status.COMPENSATED
    assert world.given[0] == ("charge", None), "what is in doubt is compensated, without a result"


async def test_a_higher_epoch_is_told_to_participants() -> None:
    """So that they may refuse a call from a process that has been replaced."""
    world = World()
    world.script["charge"] = [asyncio.Event()]
    async with Life([shop()], world) as life:
        await life.start()
        await settle()
        life.die()
    async with life.successor() as heir:
        await heir.outcome()
    first, second = (ctx.epoch for name, ctx in world.contexts if name == "charge")
    assert first < second


async def test_waits_outlive_a_death() -> None:
    """A timer that fell due while nobody hosted fires when somebody does."""
    wait = receive(Approve, timeout=timedelta(seconds=60))
    world = World()
    async with Life([line_of(effect("reserve"), wait)], world) as life:
        await life.start()
        await settle()
        life.die()
    await life.clock.advance(100)
    async with life.successor() as heir:
        outcome = await heir.outcome()
        assert outcome.status is Status.COMPENSATED
        assert heir.clock.monotonic < 250, "at once, and not after another timeout"


async def test_an_order_accepted_by_a_process_that_does_not_host_is_begun_by_the_host() -> None:
    """On disk when `start` returns, at revision 0; the host finds it."""
    world = World()
    async with Life([shop()], world) as host, host.beside(host=False) as script:
        handle = await script.start()
        assert handle.created
        assert not script.coordinator.hosting
        assert (await host.outcome()).status is Status.COMPLETED
        assert (await script.outcome()).status is Status.COMPLETED


async def test_recovery_takes_up_few_at_a_time_and_serves_new_orders_at_once() -> None:
    """With more unfinished orders than recovery admits, a new one need not wait for them."""
    world = World()
    async with Life([shop()], world) as life:
        world.script["reserve"] = [asyncio.Event() for _ in range(100)]
        for number in range(100):
            await life.start(str(number))
        await settle()
        life.die()
    limits = Limits(poll=0.5, scan=1.0, recovering=10, page=5)
    world.log.clear()
    world.script["reserve"] = [asyncio.Event() for _ in range(15)]
    async with life.successor(limits=limits) as heir:
        await heir.clock.advance(3)
        recovering = len(world.running)
        assert 0 < recovering <= 15
        world.script["reserve"].clear()
        assert (await heir.run("new")).status is Status.COMPLETED
        heir.die()


async def test_a_group_is_recovered_member_by_member() -> None:
    """The member that had ended is not repeated, the one under way is."""
    world = World()
    world.script["b"] = [asyncio.Event()]
    async with Life([line_of(parallel(effect("a"), effect("b")), effect("c"))], world) as life:
        await life.start()
        await settle()
        life.die()
    async with life.successor() as heir:
        assert (await heir.outcome()).status is Status.COMPLETED
    assert (world.count("a"), world.count("b")) == (1, 2)


async def test_a_compensation_cut_off_by_a_death_is_repeated() -> None:
    """Until it was acknowledged."""
    world = world_that_refuses("ship")
    world.script["charge.undo"] = [asyncio.Event()]
    async with Life([shop()], world) as life:
        await life.start()
        await settle()
        life.die()
    async with life.successor() as heir:
        assert (await heir.outcome()).status is Status.COMPENSATED
    assert [line for line in world.log if "undo" in line] == ["charge.undo#1", "charge.undo#2", "reserve.undo#1"]


async def test_an_unknown_id_stays_unknown_after_a_death_before_the_first_commit() -> None:
    """Nothing was promised, and nothing is there."""
    async with Life([shop()], World()) as life:
        life.store.die_at = (1, "before")
        assert await life.survive(life.start()) is None
    async with life.successor() as heir:
        with pytest.raises(OrderNotFound):
            await heir.coordinator.order("1").status()
    assert isinstance(heir.store, MemoryStore)
