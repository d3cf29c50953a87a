"""Following an order: outcome, watch and history."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from atone import (
    AlreadyFinished,
    Coordinator,
    Handle,
    OrderError,
    OrderNotFound,
    PermanentError,
    Saga,
    SqliteStore,
    Status,
    Transition,
    receive,
    step,
)
from atone.actors import Limits
from atone.sagas import access
from atone.storage import HistoryRow
from tests.manual_runtime import settle
from tests.sagas.harness import Life, later
from tests.sagas.world import Approve, Order, World, effect, line_of, shop

pytestmark = pytest.mark.anyio


@step(pivot=True)
async def note(order: Order) -> None:
    """Do nothing that anybody could see."""


async def collect(watching: AsyncIterator[Transition]) -> list[Transition]:
    """Everything that a watcher sees."""
    return [one async for one in watching]


async def test_watching_from_the_start_sees_what_history_tells() -> None:
    """Live, each once, in order, and it ends after the final one."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        handle = await life.start()
        watching = later(collect(handle.watch()))
        await settle()
        gate.set()
        await life.outcome()
        await settle()
        seen = watching.result()
        assert seen == await collect(handle.history())
        assert seen[-1].target == Status.COMPLETED
        revisions = [one.revision for one in seen]
        assert revisions == sorted(revisions)


async def test_watching_can_begin_after_a_revision() -> None:
    """Nothing before it, everything behind it, no revision split."""
    async with Life([shop()], World()) as life:
        await life.run()
        handle = life.coordinator.order("1")
        everything = await collect(handle.history())
        for after in range(everything[-1].revision + 1):
            behind = [one for one in everything if one.revision > after]
            assert await collect(handle.history(after)) == behind
            assert await collect(handle.watch(after)) == behind


async def test_the_history_names_each_intent_and_each_error_but_no_payload() -> None:
    """Who reads it can tell what was sent when, and how it ended."""
    world = World()
    world.script["charge"] = [PermanentError("card declined")]
    async with Life([shop()], world) as life:
        await life.run()
        seen = await collect(life.coordinator.order("1").history())
    begun = [attempt for one in seen for attempt in one.begun]
    assert begun == ["reserve/action/1", "charge/action/1", "reserve/compensation/1"]
    (refused,) = [one for one in seen if one.event == "REFUSED"]
    assert (refused.step, refused.attempt) == ("charge", 1)
    assert "card declined" in str(refused.error)
    assert refused.at.tzinfo is not None


async def test_a_watcher_in_a_process_that_does_not_host_sees_the_same() -> None:
    """It follows the file."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as host, host.beside(host=False) as script:
        await host.start()
        watching = later(collect(script.coordinator.order("1").watch()))
        waiting = later(script.coordinator.order("1").outcome())
        await host.clock.advance(2)
        assert not watching.done()
        gate.set()
        await host.clock.advance(2)
        assert watching.result() == await collect(host.coordinator.order("1").history())
        assert waiting.result().status is Status.COMPLETED


@pytest.mark.parametrize("leaves", [False, True])
async def test_who_waits_beside_the_host_is_told_of_an_end_that_came_before_the_first_look(*, leaves: bool) -> None:
    """Whether the file is looked at next, or this process has come to host by then."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as host, host.beside(host=leaves) as other:
        await host.start()
        waiting = later(other.coordinator.order("1").outcome())
        await settle()
        gate.set()
        await settle()
        if leaves:
            await host.leaving()
        await other.clock.advance(2)
        assert other.coordinator.hosting is leaves
        assert waiting.done()
        assert (await waiting).status is Status.COMPLETED


async def test_many_watchers_of_one_order_see_the_same() -> None:
    """And leave nothing behind when they go."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        handle = await life.start()
        watching = [later(collect(handle.watch())) for _ in range(5)]
        await settle()
        gate.set()
        await life.outcome()
        await settle()
        first, *others = [one.result() for one in watching]
        assert all(one == first for one in others)
        assert not life.coordinator._access.feed


async def test_a_slow_watcher_misses_nothing() -> None:
    """Nothing is buffered for it: it reads again."""
    world = World()
    saga = line_of(*(effect(f"s{number}") for number in range(20)))
    async with Life([saga], world) as life:
        handle = await life.start()
        watching = handle.watch()
        seen = [await anext(watching)]
        await life.outcome()
        seen += await collect(watching)
        assert seen == await collect(handle.history())


async def test_an_outcome_can_be_awaited_for_a_while() -> None:
    """`TimeoutError` when the order has not ended; it goes on."""
    async with Life([line_of(receive(Approve))], World()) as life:
        handle = await life.start()
        await settle()
        with pytest.raises(TimeoutError):
            await handle.outcome(timeout=0)
        await handle.send(Approve())
        assert (await life.outcome()).status is Status.COMPLETED


async def test_to_look_at_an_order_that_has_ended_takes_no_time(tmp_path: Path) -> None:
    """Also where the look goes to a real file, and may be a moment on its way."""
    saga, path = Saga("tiny", input=Order, steps=[note]), tmp_path / "orders.db"
    for number in (1, 2):
        async with Coordinator(SqliteStore(path), sagas=[saga]) as door:
            handle = await door.start(saga, Order(), id="1")
            outcome = await handle.outcome(timeout=0 if number == 2 else None)
            assert outcome.status is Status.COMPLETED


async def test_the_outcome_of_an_ended_order_is_read_from_disk() -> None:
    """In this process or a later one, with the same results."""
    saga = shop()
    async with Life([saga], World()) as life:
        live = await life.run()
        again = await life.outcome()
    async with life.successor() as heir:
        later_on = await heir.outcome()
    for slot in saga.slots:
        assert live.result(slot) == again.result(slot) == later_on.result(slot)


async def test_a_result_that_is_not_there_is_an_error() -> None:
    """Of a step that did not succeed, was undone, or is no step of this saga."""
    world = World(refuses={"charge"})
    saga = shop()
    async with Life([saga], world) as life:
        outcome = await life.run()
        for step in (*saga.slots, effect("stranger")):
            with pytest.raises(OrderError, match="has no result"):
                outcome.result(step)


async def test_an_unknown_order_can_neither_be_watched_nor_awaited() -> None:
    """It says so at once."""
    async with Life([shop()], World()) as life:
        handle = life.coordinator.order("nobody")
        with pytest.raises(OrderNotFound):
            await collect(handle.watch())
        with pytest.raises(OrderNotFound):
            await collect(handle.history())
        with pytest.raises(OrderNotFound):
            await handle.outcome()


async def test_an_end_committed_unseen_is_told_to_those_who_wait() -> None:
    """The commit that ended the order was answered with trouble: whoever waits learns it nevertheless."""
    world, gate = World(), asyncio.Event()
    world.script["confirm"] = [gate]
    async with Life([shop()], world) as life:
        handle = await life.start()
        waiting, watching = later(handle.outcome()), later(collect(handle.watch()))
        await settle()
        life.store.fail_at = (life.store.writes + 1, "after")
        gate.set()
        await life.clock.advance(5)
        assert waiting.result().status is Status.COMPLETED
        assert watching.result()[-1].target == Status.COMPLETED


async def test_an_end_by_a_request_committed_unseen_is_told_as_well() -> None:
    """Nothing ran when the order was cancelled, so that nothing is reported for it afterwards."""
    async with Life([line_of(receive(Approve))], World()) as life:
        handle = await life.start()
        waiting = later(handle.outcome())
        await settle()
        life.store.fail_at = (life.store.writes + 2, "after")
        cancelling = later(handle.cancel("no", by="bob"))
        await life.clock.advance(5)
        assert waiting.result().status is Status.COMPENSATED
        cancelling.cancel()


async def test_who_waits_beside_the_host_is_told_of_an_order_that_ended_and_was_purged() -> None:
    """Between two looks at the file, both may happen, and its history is gone with it."""
    saga = line_of(receive(Approve, name="approval"), note)
    async with Life([saga], World()) as life, life.beside(host=False, limits=Limits(poll=100.0)) as client:
        order = await life.start()
        elsewhere = client.coordinator.order("1")
        outcome, watching = later(elsewhere.outcome()), later(collect(elsewhere.watch()))
        await life.clock.advance(110)
        await order.send(Approve())
        await settle()
        await life.clock.advance(1)
        assert await life.coordinator.purge(older_than=timedelta()) == 1
        assert not outcome.done()
        await life.clock.advance(100)
        for waiting in (outcome, watching):
            assert isinstance(waiting.exception(), AlreadyFinished)


@pytest.mark.parametrize("follow", [Handle.history, Handle.watch])
async def test_a_history_that_is_purged_while_it_is_read_does_not_look_whole(
    follow: Callable[[Handle], AsyncIterator[Transition]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads it page by page is told that the rest is gone, and not that it has come to its end."""
    monkeypatch.setattr(access, "PAGE", 1)
    async with Life([shop()], World()) as life:
        await life.run()
        reading = follow(life.coordinator.order("1"))
        assert (await anext(reading)).target == Status.RUNNING
        await life.clock.advance(10)
        assert await life.coordinator.purge(older_than=timedelta(seconds=5)) == 1
        with pytest.raises(AlreadyFinished):
            await collect(reading)


@pytest.mark.parametrize("page", [1, access.PAGE])
async def test_who_has_seen_the_end_is_told_nothing_more(monkeypatch: pytest.MonkeyPatch, page: int) -> None:
    """The order ends while its history is read, and is purged while its last line is looked at: the watch is over."""
    monkeypatch.setattr(access, "PAGE", page)
    world, gate = World(), asyncio.Event()
    world.script["reserve"] = [gate]
    async with Life([line_of(effect("reserve"))], world) as life:
        handle, history = await life.start(), life.store.history

        async def read_slowly(key: int, *, after: int, limit: int) -> list[HistoryRow]:
            if not gate.is_set():
                gate.set()
                await life.outcome()
            return await history(key, after=after, limit=limit)

        setattr(life.store, "history", read_slowly)  # noqa: B010
        seen = []
        async for one in handle.watch():
            seen.append(one.target)
            if one.target == "COMPLETED":
                await life.clock.advance(1)
                await life.coordinator.purge(older_than=timedelta(0))
        assert seen[-1] == "COMPLETED"
