"""Auditing a real file."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from atone import Coordinator, MemoryStore, OlderSchema, PermanentError, ReadOnlyStore, SqliteStore, Status
from atone.storage import Disk, NotAStore, StoreCorrupt
from atone.storage.migration import MIGRATIONS
from atone.testing import file, verify
from atone.testing.halves import BESIDE
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


async def test_orders_that_go_on_while_they_are_read_are_not_accused(tmp_path: Path) -> None:
    """A record and its history are read one after the other, and commits come in between."""
    path = tmp_path / "orders.db"
    services = [service() for service in SERVICES]

    async def customer(host: Coordinator, who: str) -> None:
        for number in range(20):
            await (await host.start(shop, Order(), id=f"{who}.{number}")).outcome(timeout=20)

    async with Coordinator(SqliteStore(path), sagas=[shop], provide=services) as coordinator:
        for audit in range(3):
            busy = asyncio.gather(*(customer(coordinator, f"{audit}.{who}") for who in range(8)))
            assert await verify(path, sagas=[shop]) == []
            await busy


def folder(path: Path) -> dict[str, bytes]:
    """Everything that lies beside a file, but for SQLite's index of its log."""
    return {one.name: one.read_bytes() for one in path.parent.iterdir() if not one.name.endswith("-shm")}


async def left_by_a_crash(tmp_path: Path) -> Path:
    """A file whose orders are all in its log, as a process that died leaves it."""
    live, left = tmp_path / "live.db", tmp_path / "left" / "orders.db"
    left.parent.mkdir()
    services = [service() for service in SERVICES]
    async with Coordinator(SqliteStore(live), sagas=[shop], provide=services) as coordinator:
        await (await coordinator.start(shop, Order(), id="1")).outcome(timeout=20)
        for end in ("", "-wal"):
            shutil.copy(f"{live}{end}", f"{left}{end}")
    return left


async def test_an_audit_leaves_a_closed_file_as_it_is(path: Path) -> None:
    """Not even a log appears beside it."""
    before, names = folder(path), set(path.parent.iterdir())
    await verify(path, sagas=[shop])
    assert folder(path) == before
    assert set(path.parent.iterdir()) == names


async def test_an_audit_does_not_work_off_what_a_crash_has_left(tmp_path: Path) -> None:
    """The log is read, and neither moved into the file nor deleted."""
    path = await left_by_a_crash(tmp_path)
    before = folder(path)
    assert before["orders.db-wal"]
    assert await verify(path, sagas=[shop]) == []
    assert folder(path) == before
    tamper(path, "update actors set epoch = 99")
    assert await checks(path) == {"S6 one writer"}


async def test_a_file_of_an_older_release_is_not_brought_up_to_date(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever looks at a backup does not want another one; the error says what to do."""
    monkeypatch.setattr(file, "MIGRATIONS", [*MIGRATIONS, "create table later (a);"])
    before = folder(path)
    with pytest.raises(OlderSchema, match=r"schema version 1, .* reads 2: .* a copy"):
        await verify(path)
    assert folder(path) == before


@contextmanager
def read_only(tmp_path: Path) -> Generator[Path]:
    """A folder on a medium that is filled, and can then not be written."""
    medium = tmp_path / "medium"
    medium.mkdir()
    if run("mount", "-t", "tmpfs", "tmpfs", str(medium)):
        pytest.skip("may not mount")
    try:
        yield medium
    finally:
        run("umount", str(medium))


def run(*command: str) -> int:
    """Run a program of the system; how it ended."""
    return subprocess.run(command, capture_output=True, check=False).returncode


async def test_a_file_on_a_medium_that_cannot_be_written(path: Path, tmp_path: Path) -> None:
    """Is audited all the same; with a log that has no index it cannot be, and the error says what helps."""
    left = await left_by_a_crash(tmp_path)
    with read_only(tmp_path) as medium:
        shutil.copy(path, medium / "closed.db")
        shutil.copytree(left.parent, medium, dirs_exist_ok=True)
        assert run("mount", "-o", "remount,ro", str(medium)) == 0
        assert await verify(medium / "closed.db", sagas=[shop]) == []
        with pytest.raises(ReadOnlyStore, match="audit a copy of file and log"):
            await verify(medium / "orders.db")


async def test_a_file_that_is_written_while_it_is_taken_as_it_lies_is_read_again(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever begins to use it just then respects no lock, since none was taken."""
    unsound, tampered = file.AuditedFile.unsound, list[str]()

    async def meanwhile(self: file.AuditedFile) -> list[str]:
        if not tampered:
            tampered.append("once")
            tamper(path, "update actors set epoch = 99")
        return await unsound(self)

    monkeypatch.setattr(file.AuditedFile, "unsound", meanwhile)
    assert await checks(path) == {"S6 one writer"}


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("update actors set snapshot = x'7b7d' where id = '0'", "S15 sound bytes"),
        ("update inputs set body = x'7b7d' where key = 1", "S15 sound bytes"),
        ("update actors set phase = 1 where id = '1'", "S15 sound bytes"),
        ("update actors set wake_at = 1e9 where id = '1'", "S15 sound bytes"),
        ("update actors set deaths = 2 where id = '1'", "S15 sound bytes"),
        ("delete from history where key = 1 and revision = 2", "S8 one commit"),
        ("delete from history where event = 'COMPENSATION_RETURNED'", "S2 no forgotten effect"),
        ("update history set begun = null where revision = 1 and key = 2", "S1 intent first"),
        ("update actors set status = 'RUNNING', phase = 1 where id = '1'", "L1 a way out"),
        ("update actors set epoch = 99", "S6 one writer"),
        ("update actors set definition = 99 where id = '1'", "S8 one commit"),
        ("insert into tombstones values ('1', 'shop', 1, '', 'COMPLETED', 0)", "S8 one commit"),
        ("insert into inputs values (99, 0, x'7b7d')", "S8 one commit"),
        ("insert into parts values (99, '0', 0, x'7b7d')", "S8 one commit"),
        ("insert into inbox values (9, 99, 1, 'm', 'Approve', x'7b7d', 0, null)", "S8 one commit"),
        ("insert into inbox values (9, 1, 1, 'm', 'Approve', x'7b7d', 0, 'CONSUMED')", "S8 one commit"),
        (
            "insert into history (key, revision, at, event, source, target) values (99, 1, 0, '', '', '')",
            "S8 one commit",
        ),
    ],
)
async def test_what_was_tampered_with_is_found(path: Path, statement: str, check: str) -> None:
    """By name, and only in the order that it concerns."""
    tamper(path, statement)
    assert check in await checks(path)


@pytest.mark.parametrize("what", BESIDE)
async def test_a_file_of_any_size_is_asked_in_little_memory(path: Path, what: str) -> None:
    """No question sorts rows, or collects them."""
    with closing(sqlite3.connect(path)) as db:
        plan = [line for *_, line in db.execute(f"explain query plan {BESIDE[what]}")]
    assert plan
    assert not [line for line in plan if "TEMP B-TREE" in line or "LIST SUBQUERY" in line]


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
