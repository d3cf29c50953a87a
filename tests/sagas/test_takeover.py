"""One owner: who hosts, who stands by, and what happens when that changes."""

import asyncio
from pathlib import Path

import pytest

from atone import (
    AnswerPending,
    CancelAnswer,
    Coordinator,
    SendAnswer,
    SqliteStore,
    Status,
    StepContext,
    StoreUnavailable,
    VerbAnswer,
    receive,
    step,
)
from atone.sagas.errors import AlreadyHosted
from tests.manual_runtime import Clock, settle, until
from tests.sagas.harness import Life, certainly_gone, later
from tests.sagas.world import Approve, Line, Order, World, effect, line_of, shop

pytestmark = pytest.mark.anyio


async def test_the_first_coordinator_hosts_and_a_second_stands_by() -> None:
    """For as long as the first one lives."""
    async with Life([shop()], World()) as first, first.beside() as second:
        await first.clock.advance(60)
        assert first.coordinator.hosting
        assert not second.coordinator.hosting


async def test_the_handles_of_a_standby_work_all_the_same() -> None:
    """Start, send, cancel, operate, read and wait: the host does the work."""
    world = World()
    saga = line_of(effect("reserve"), receive(Approve), effect("charge"))
    async with Life([saga], world) as host, host.beside() as standby:
        one, two = await standby.start("1"), await standby.start("2")
        waiting = [later(handle.outcome()) for handle in (one, two)]
        await host.clock.advance(2)
        assert (await two.status()).status is Status.WAITING
        assert await one.send(Approve()) is SendAnswer.ACCEPTED
        suspending, cancelling = later(two.suspend(by="eve", why="?")), later(two.cancel("no", by="bob"))
        await host.clock.advance(2)
        assert suspending.result() is VerbAnswer.ACCEPTED
        assert cancelling.result() is CancelAnswer.ACCEPTED
        resuming = later(two.resume(by="eve", why="!"))
        await host.clock.advance(2)
        assert resuming.result() is VerbAnswer.ACCEPTED
        assert [call.result().status for call in waiting] == [Status.COMPLETED, Status.COMPENSATED]
        assert not standby.coordinator.hosting


async def test_a_standby_takes_over_at_once_when_the_host_leaves() -> None:
    """And goes on with its orders."""
    world = World()
    world.script["charge"] = [asyncio.Event()]
    async with Life([shop()], world, options={"shutdown_grace": 0}) as first, first.beside() as second:
        await first.start()
        await settle()
        await first.leave()
        await second.clock.advance(1)
        assert second.coordinator.hosting
        assert (await second.outcome()).status is Status.COMPLETED


async def test_a_standby_takes_over_at_once_from_a_host_that_is_provably_dead() -> None:
    """Well before the heartbeat could have run out."""
    world = World()
    world.script["charge"] = [asyncio.Event()]
    async with Life([shop()], world) as first:
        await first.start()
        await settle()
        async with first.beside() as second:
            first.die()
            second.coordinator._engine._ownership.is_gone = certainly_gone
            await second.clock.advance(1)
            assert second.coordinator.hosting
            assert (await second.outcome()).status is Status.COMPLETED


async def test_a_host_that_only_fell_silent_is_replaced_after_the_ttl() -> None:
    """And not sooner."""
    async with Life([shop()], World()) as first, first.beside() as second:
        await first.clock.advance(5)
        first.die()
        await second.clock.advance(8)
        assert not second.coordinator.hosting
        await second.clock.advance(4)
        assert second.coordinator.hosting


async def test_a_fenced_host_drops_everything_and_becomes_a_standby() -> None:
    """Whatever it would still commit is refused; its handles go on working through the new host."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as first:
        handle = await first.start()
        await settle()
        async with first.beside(is_gone=certainly_gone) as second:
            assert second.coordinator.hosting, "it was told, wrongly, that the first one is dead"
            gate.set()
            await first.clock.advance(2)
            assert not first.coordinator.hosting
            waiting = later(handle.outcome())
            await first.clock.advance(5)
            assert waiting.result().status is Status.COMPLETED
            (row,) = first.disk.rows.values()
            assert row.record.epoch == 2
    epochs = [ctx.epoch for name, ctx in world.contexts if name == "charge"]
    assert epochs == [1, 2], "the new owner repeats what was under way, under its own epoch"
    assert len({ctx.key for name, ctx in world.contexts if name == "charge"}) == 1


async def test_a_fenced_host_hosts_again_when_the_other_leaves() -> None:
    """It stands by like any other."""
    world = World()
    async with Life([shop()], world) as first:
        async with first.beside(is_gone=certainly_gone):
            await first.clock.advance(2)
            assert not first.coordinator.hosting
        await first.clock.advance(2)
        assert first.coordinator.hosting
        assert (await first.run()).status is Status.COMPLETED


async def loses_and_regains(first: Life) -> None:
    """Another process takes the lease from it, and dies of that."""
    async with first.beside(is_gone=certainly_gone) as second:
        second.die()
    await first.clock.advance(20)
    assert first.coordinator.hosting


async def test_a_host_that_hosts_again_sends_nothing_beside_its_own_thread() -> None:
    """What it began before it lost the lease still runs: nothing can end a thread."""
    gate = asyncio.Event()
    calls: list[int] = []

    def charge(ctx: StepContext) -> None:
        calls.append(ctx.epoch)

    async with Life([line_of(step(pivot=True)(charge))], World()) as first:
        first.runtime.gate = gate
        await first.start()
        await settle()
        await loses_and_regains(first)
        assert calls == [1]
        gate.set()
        assert (await first.outcome()).status is Status.COMPLETED
    assert calls == [1, 3]


async def test_a_host_that_hosts_again_and_leaves_awaits_no_thread_of_before() -> None:
    """It leaves no task behind that does, either."""
    saga = line_of(step(name="look", read_only=True)(lambda: None))
    async with Life([saga], World(), options={"shutdown_grace": 0}) as first:
        first.runtime.gate = asyncio.Event()
        await first.start()
        await settle()
        await loses_and_regains(first)
        leaving = first.leaving()
        await settle()
        assert leaving.done()
        assert first.runtime.tasks == set()


async def test_a_host_that_cannot_renew_begins_nothing_and_stops_what_runs() -> None:
    """Half the TTL by its own clock; it goes on when the store answers again."""
    world = World()
    world.script["charge"] = [asyncio.Event()]
    async with Life([shop()], world) as life:
        await life.start()
        await settle()
        life.store.broken = True
        await life.clock.advance(4)
        assert world.running == ["charge"]
        await life.clock.advance(4)
        assert world.running == []
        with pytest.raises(StoreUnavailable):
            await life.start("2")
        life.store.broken = False
        assert (await life.outcome()).status is Status.COMPLETED
        assert world.count("charge") == 2
    assert len(world.applied) == 4


async def test_standby_can_be_refused() -> None:
    """With an error that names the first one; nothing is left behind."""
    async with Life([shop()], World()) as first:
        refused = first.beside(standby=False)
        with pytest.raises(AlreadyHosted, match=r"hosted by process \d+"):
            await refused.__aenter__()
        refused.die()
        assert first.coordinator.hosting


async def test_a_coordinator_that_never_hosts_takes_no_lease() -> None:
    """Scripts and the command line: what they accept waits for a host."""
    world = World()
    async with Life([shop()], world, options={"host": False}) as script:
        handle = await script.start()
        await script.clock.advance(60)
        assert not script.coordinator.hosting
        assert script.disk.lease.holder is None
        assert world.log == []
        with pytest.raises(AnswerPending):
            await handle.cancel("no", by="bob", timeout=0)
    async with script.beside(host=True) as host:
        assert (await host.outcome()).status is Status.COMPENSATED


async def test_a_script_needs_no_services() -> None:
    """It runs no steps."""
    async with Life([shop()], World(), options={"host": False}) as script:
        assert (await script.start()).created


async def test_of_two_standbys_exactly_one_takes_over() -> None:
    """Whoever is faster; the other one goes on standing by."""
    world = World()
    async with Life([shop()], world) as first, first.beside() as second, first.beside() as third:
        await first.leave()
        await second.clock.advance(20)
        assert sorted([second.coordinator.hosting, third.coordinator.hosting]) == [False, True]
        heir = second if second.coordinator.hosting else third
        assert (await heir.run()).status is Status.COMPLETED
        assert second.disk.lease.epoch == 2


@pytest.mark.parametrize("turns", range(10))
async def test_one_who_leaves_while_taking_over_leaves_no_lease_behind(turns: int) -> None:
    """Whether the claim was on its way to the disk or done: the next one hosts at once."""
    first = Life([shop()], World())
    async with first, first.beside() as second:
        await first.leave()
        second.clock._move(second.clock.monotonic + 0.25)
        ring(second.clock)
        for _ in range(turns):
            await asyncio.sleep(0)
        leaving = second.leaving()
        await second.clock.advance_until(leaving.done)
        assert second.disk.lease.holder is None


def ring(clock: Clock) -> None:
    """Let everything happen that is due by now, without waiting for what follows from it."""
    for when, _, alarm in list(clock._alarms):
        if when <= clock.monotonic and alarm.function is not None:
            alarm.function()
            alarm.cancel()


async def test_one_who_waits_at_a_host_is_told_although_the_host_changes() -> None:
    """A wait begun while this process hosted goes on when another one does."""
    world = World()
    world.script["charge"] = [asyncio.Event()]
    async with Life([shop()], world) as first:
        waiting = later((await first.start()).outcome())
        await settle()
        async with first.beside(is_gone=certainly_gone):
            await first.clock.advance(10)
            assert waiting.result().status is Status.COMPLETED


async def test_a_host_takes_up_what_was_accepted_while_nobody_hosted() -> None:
    """Messages and new orders alike."""
    world = World()
    saga = line_of(effect("reserve"), receive(Approve))
    async with Life([saga], world) as first:
        await first.start("1")
        await settle()
        first.die()
    async with first.beside(host=False) as script:
        await script.coordinator.order("1").send(Approve())
        await script.start("2")
        await script.coordinator.order("2").send(Approve())
    async with first.successor() as heir:
        assert (await heir.outcome("1")).status is Status.COMPLETED
        assert (await heir.outcome("2")).status is Status.COMPLETED


async def test_three_coordinators_on_one_file(tmp_path: Path) -> None:
    """A host, a standby and a script, on SQLite and on the real clock: the order outlives the host."""
    world = World()
    saga = line_of(effect("reserve"), receive(Approve), effect("charge"))

    class Here:
        alive = True

    def opened(*, host: bool = True) -> Coordinator:
        store = SqliteStore(tmp_path / "orders.db")
        return Coordinator(store, sagas=[saga], provide=[Line(world, Here())], host=host)

    async with opened() as host, opened() as standby, opened(host=False) as script:
        await script.start(saga, Order(), id="1")
        await until(lambda: world.count("reserve") == 1)
        await host.__aexit__(None, None, None)
        waiting = later(standby.order("1").outcome(timeout=20))
        assert await script.order("1").send(Approve()) is SendAnswer.ACCEPTED
        assert (await waiting).status is Status.COMPLETED
        assert standby.hosting
    assert world.log == ["reserve#1", "charge#1"]
