"""A process that does not host meets a sick disk: it must become well by itself, as a host does."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from atone import Coordinator, CoordinatorFailed, SendAnswer, SqliteStore, Status, StoreUnavailable, receive
from atone.storage import StoreBusy, StoreError, Write, WriteRefused
from atone.storage.errors import DiskFull
from tests.sagas.harness import Life
from tests.sagas.world import Approve, World, effect, line_of, shop

pytestmark = pytest.mark.anyio


class FullOnce(SqliteStore):
    """A disk that is full for one commit."""

    full = False

    async def _commit(self, writes: list[Write[Any]]) -> list[Any]:
        if self.full:
            self.full = False
            raise DiskFull(self.path, "no space left")
        return await super()._commit(writes)


async def test_a_standby_takes_over_although_its_store_was_sick() -> None:
    """Its commit failed while another hosted; when that one leaves, there is a host again."""
    async with Life([shop()], World()) as first, first.beside() as standby:
        standby.store.fail_at = (standby.store.writes + 1, "before")
        with pytest.raises(StoreUnavailable):
            await standby.start("1")
        await first.leave()
        await standby.clock.advance(30)
        assert standby.coordinator.hosting
        await standby.start("1")
        assert (await standby.outcome("1")).status is Status.COMPLETED


async def test_who_never_hosts_can_send_again_when_the_disk_has_room() -> None:
    """One failed commit must not make every later one fail."""
    saga = line_of(effect("reserve"), receive(Approve), effect("charge"))
    async with Life([saga], World()) as host, host.beside(host=False) as script:
        handle = await host.start("1")
        script.store.fail_at = (script.store.writes + 1, "before")
        with pytest.raises(StoreUnavailable):
            await script.coordinator.order("1").send(Approve(), id="x")
        await script.clock.advance(5)
        assert await script.coordinator.order("1").send(Approve(), id="x") is SendAnswer.ACCEPTED
        await host.clock.advance(5)
        assert (await handle.status()).status is Status.COMPLETED


async def look(script: Life) -> object:
    """What is seen of an order."""
    return await script.coordinator.order("1").status()


async def list_all(script: Life) -> object:
    """What is seen of all orders."""
    return [one async for one in script.coordinator.orders()]


async def count_all(script: Life) -> object:
    """How many there are."""
    return await script.coordinator.count()


@pytest.mark.parametrize("read", [look, list_all, count_all])
async def test_who_never_hosts_can_read_again_when_the_disk_can_be_read(
    read: Callable[[Life], Awaitable[object]],
) -> None:
    """The connection that reads may be all that is wrong, and then no write would ever tell."""
    async with Life([shop()], World()) as host, host.beside(host=False) as script:
        await host.start("1")
        script.store.sick = True
        with pytest.raises(StoreUnavailable):
            await read(script)
        await script.clock.advance(5)
        assert await read(script)


@pytest.mark.parametrize("error", [StoreBusy("orders.db", "somebody", 5.0), WriteRefused("orders.db", "one row")])
async def test_a_store_that_is_busy_or_refuses_one_row_is_not_opened_again(error: StoreError) -> None:
    """It is well, and to open it again would cut off who is reading."""
    async with Life([shop()], World()) as host, host.beside(host=False) as script:
        await host.start("1")
        store, recovered = script.store, []

        def submit(_write: Write[Any], done: Callable[[Any], None]) -> None:
            asyncio.get_running_loop().call_soon(done, error)

        async def recover() -> None:
            recovered.append("recover")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store, "submit", submit)
            patch.setattr(store, "recover", recover)
            with pytest.raises(type(error)):
                await script.coordinator.order("1").send(Approve(), id="x")
            await script.clock.advance(5)
        assert recovered == []


async def test_who_waits_beside_the_host_is_told_although_the_file_could_not_be_followed() -> None:
    """Nobody else calls the store then, and nobody else would notice."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as host, host.beside(host=False) as script:
        await host.start("1")
        waiting = asyncio.ensure_future(script.coordinator.order("1").outcome())
        await script.clock.advance(2)
        script.store.sick = True
        await script.clock.advance(2)
        gate.set()
        await script.clock.advance(5)
        assert waiting.done()
        assert (await waiting).status is Status.COMPLETED


async def test_who_waits_at_a_standby_whose_engine_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would wait for news that nobody looks for any more."""
    world = World()
    world.script["charge"] = [asyncio.Event()]

    async def broken() -> int:
        raise ZeroDivisionError

    async with Life([shop()], world) as host, host.beside() as standby:
        await host.start("1")
        monkeypatch.setattr(standby.store, "last_seq", broken)
        waiting = asyncio.ensure_future(standby.coordinator.order("1").outcome())
        await standby.clock.advance(2)
        assert waiting.done()
        assert isinstance(waiting.exception(), CoordinatorFailed)


async def test_who_reads_while_the_store_is_opened_again_does_not_have_it_opened_once_more() -> None:
    """It would never come to rest where many read."""
    async with Life([shop()], World()) as host, host.beside(host=False) as script:
        await host.start("1")
        recover, recovered = script.store.recover, 0

        async def slow_recover() -> None:
            nonlocal recovered
            recovered += 1
            with pytest.raises(StoreUnavailable):
                await look(script)
            await recover()

        setattr(script.store, "recover", slow_recover)  # noqa: B010
        script.store.sick = True
        with pytest.raises(StoreUnavailable):
            await look(script)
        await script.clock.advance(5)
        assert recovered == 1


async def takes_over(second: Coordinator) -> None:
    """The host has left: it comes to host before long, and leaves as well."""
    try:
        async with asyncio.timeout(10):
            while not second.hosting:  # noqa: ASYNC110  # a real file and real time: it tells nobody
                await asyncio.sleep(0.05)
    finally:
        await second.__aexit__(None, None, None)


async def test_a_claim_that_met_a_full_disk_is_tried_again(tmp_path: Path) -> None:
    """On a real file: the writer refuses everything until the store is opened again, and somebody must do so."""
    store = FullOnce(tmp_path / "orders.db")
    first = Coordinator(SqliteStore(tmp_path / "orders.db"), sagas=[])
    second = Coordinator(store, sagas=[])
    async with first:
        await second.__aenter__()
        store.full = True
    await takes_over(second)


async def test_a_standby_takes_over_although_its_file_was_locked_while_it_was_opened_again(tmp_path: Path) -> None:
    """A lock is waited for, but a store that could not be opened again for it must be opened once more."""
    store = SqliteStore(tmp_path / "orders.db", busy_timeout=0.05)
    first = Coordinator(SqliteStore(tmp_path / "orders.db"), sagas=[])
    second = Coordinator(store, sagas=[])
    async with first:
        await second.__aenter__()
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("begin immediate")
            with pytest.raises(StoreUnavailable):
                await store.recover()
    await takes_over(second)


@pytest.mark.parametrize("host", [True, False])
async def test_a_purge_that_met_a_full_disk_can_be_repeated(tmp_path: Path, host: bool) -> None:
    """The writer refuses everything until the store is opened again, and no beat of ours would notice."""
    store = FullOnce(tmp_path / "orders.db")
    first = Coordinator(SqliteStore(tmp_path / "orders.db"), sagas=[])
    async with first, Coordinator(store, sagas=[], host=host) as other:
        store.full = True
        with pytest.raises(StoreUnavailable):
            await other.purge(older_than=timedelta(0))
        async with asyncio.timeout(10):
            while True:
                await asyncio.sleep(0.01)
                with suppress(StoreUnavailable):
                    assert 0 == await other.purge(older_than=timedelta(0))
                    break
