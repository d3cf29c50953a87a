"""Auditing a real file."""

import asyncio
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from atone import Coordinator, MemoryStore, PermanentError, SqliteStore, Status
from atone.storage import Disk, NotAStore, StoreCorrupt
from atone.testing import verify
from tests.testing.shop import SERVICES, Order, Payments, shop


async def trade(path: Path) -> None:
    """Three orders, one of which is refused."""
    services = [service() for service in SERVICES]
    async with Coordinator(SqliteStore(path), sagas=[shop], provide=services) as coordinator:
        for number in range(3):
            if number == 2:
                service = next(one for one in services if isinstance(one, Payments))
                service.carry_out = refuse  # type: ignore[method-assign]
            await (await coordinator.start(shop, Order(), id=str(number))).outcome(timeout=20)


def refuse(*_args: object, **_options: object) -> object:
    """What a participant without money says."""
    raise PermanentError("no money")


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """A file with orders in it."""
    path = tmp_path / "orders.db"
    await trade(path)
    return path


def tamper(path: Path, statement: str) -> None:
    """Change the file behind everybody's back."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        connection.commit()


async def checks(path: Path) -> set[str]:
    """The checks that the file breaks."""
    return {one.check for one in await verify(path, sagas=[shop])}


async def test_a_sound_file_has_nothing_to_report(path: Path) -> None:
    """With and without its sagas, by its path or as an open store."""
    assert await verify(path, sagas=[shop]) == await verify(str(path)) == []
    store = SqliteStore(path)
    await store.open()
    assert await verify(store, sagas=[shop]) == []
    await store.close()


async def test_a_store_in_memory_can_be_audited(path: Path) -> None:
    """Any store can."""
    store = MemoryStore(Disk())
    await store.open()
    assert await verify(store) == []


async def test_a_file_in_use_can_be_audited(tmp_path: Path) -> None:
    """While a coordinator hosts it."""
    path = tmp_path / "orders.db"
    services = [service() for service in SERVICES]
    async with Coordinator(SqliteStore(path), sagas=[shop], provide=services) as coordinator:
        outcome = await (await coordinator.start(shop, Order(), id="1")).outcome(timeout=20)
        assert outcome.status is Status.COMPLETED
        assert await verify(path, sagas=[shop]) == []


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("update actors set snapshot = x'7b7d' where id = '0'", "S15 sound bytes"),
        ("update inputs set body = x'7b7d' where key = 1", "S15 sound bytes"),
        ("delete from history where key = 1 and revision = 2", "S8 one commit"),
        ("delete from history where event = 'COMPENSATION_RETURNED'", "S2 no forgotten effect"),
        ("update history set begun = null where revision = 1 and key = 2", "S1 intent first"),
        ("update actors set status = 'RUNNING', phase = 1 where id = '1'", "L1 a way out"),
        ("update actors set epoch = 99", "S6 one writer"),
    ],
)
async def test_what_was_tampered_with_is_found(path: Path, statement: str, check: str) -> None:
    """By name, and only in the order that it concerns."""
    tamper(path, statement)
    assert check in await checks(path)


def test_a_file_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """An audit makes nothing."""
    with pytest.raises(FileNotFoundError):
        asyncio.run(verify(tmp_path / "none.db"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"no database" * 300])
def test_a_file_that_is_no_store_is_named_and_left_alone(tmp_path: Path, content: bytes) -> None:
    """An empty one as well: SQLite would fill it."""
    path = tmp_path / "orders.db"
    path.write_bytes(content)
    with pytest.raises(NotAStore, match=r"orders\.db"):
        asyncio.run(verify(path))
    assert path.read_bytes() == content


def test_a_database_without_tables_is_not_made_a_store(tmp_path: Path) -> None:
    """It is not empty, and belongs to whoever made it."""
    path = tmp_path / "orders.db"
    with closing(sqlite3.connect(path)) as db:
        db.executescript("create table theirs (a); drop table theirs;")
    content = path.read_bytes()
    with pytest.raises(NotAStore, match=r"orders\.db"):
        asyncio.run(verify(path))
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "statement",
    [
        "update history set begun = 'nonsense' where revision = 1 and key = 2",
        "update history set target = 'NONSENSE' where revision = 1 and key = 2",
        "update actors set status = 'NONSENSE' where key = 2",
    ],
)
async def test_nonsense_in_one_order_hides_no_other(path: Path, statement: str) -> None:
    """It is found, and so is what is wrong elsewhere."""
    tamper(path, statement)
    tamper(path, "delete from history where key = 1 and revision = 2")
    found = await verify(path, sagas=[shop])
    assert {one.order for one in found} == {"0", "1"}
    assert "S8 one commit" in {one.check for one in found if one.order == "0"}


def test_a_file_that_is_cut_short_is_said_to_be_damaged(tmp_path: Path) -> None:
    """By the error of whatever opens it."""
    path = tmp_path / "orders.db"
    asyncio.run(trade(path))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(StoreCorrupt, match="is damaged"):
        asyncio.run(verify(path))
