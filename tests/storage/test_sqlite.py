"""What the store in SQLite promises beyond the contract: the file, its settings and its failures."""

# ruff: noqa: ASYNC220, ASYNC221, ASYNC230, ASYNC240 - files are what is tested here, and nobody else waits

import asyncio
import errno
import os
import random
import resource
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Generator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from atone.storage import (
    Accept,
    Accepted,
    Advance,
    Create,
    Created,
    Definition,
    DiskFailed,
    DiskFull,
    Done,
    Duplicate,
    Entry,
    Holder,
    Lane,
    NewerSchema,
    NotAStore,
    Phase,
    Quarantine,
    Query,
    ReadOnlyStore,
    Renew,
    Snapshot,
    SqliteStore,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreUnavailable,
    UnsafeStore,
    checkpoint,
    connection,
    migration,
    queries,
    sqlite,
)
from atone.storage.apply import Applier
from atone.storage.checkpoint import Checkpointer
from atone.storage.connection import writing
from atone.storage.failure import translate
from atone.storage.migration import MIGRATIONS
from atone.storage.statements import STATEMENTS

pytestmark = pytest.mark.anyio

HOLDER = Holder("host", "machine", "boot", "namespace", 4711, "99")


def create(id: str, body: bytes = b"one") -> Create:
    """A new actor at work."""
    snapshot = Snapshot("RUNNING", Phase.ACTIVE, body)
    return Create(id, Definition("order", 1, "f"), b"input", 1.0, snapshot, (Entry("STARTED", "", "RUNNING"),))


async def begin(store: SqliteStore, id: str) -> int:
    """Create an actor; its key."""
    result = await store.write(create(id))
    assert isinstance(result, Created)
    return result.key


@pytest.fixture
async def store(path: str) -> AsyncIterator[SqliteStore]:
    """A new store, open."""
    store = SqliteStore(path)
    await store.open()
    yield store
    await store.close()


def sql(path: str, statement: str, *parameters: Any) -> list[Any]:
    """What anybody else's program does to the file."""
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        return raw.execute(statement, parameters).fetchall()


async def ask(store: SqliteStore, statement: str, *, reader: bool = False) -> list[Any]:
    """What the store's own connection answers."""
    link = store._link
    assert link is not None
    chosen = link.reading if reader else link.writing
    return await chosen.run(lambda raw: raw.execute(statement).fetchall())


# ── settings ──────────────────────────────────────────────────────────────────────────────────────


async def test_durability_is_what_was_promised(store: SqliteStore) -> None:
    """The settings that every promise rests on, read back from both connections."""
    assert await ask(store, "pragma journal_mode") == [("wal",)]
    assert await ask(store, "pragma synchronous") == [(2,)]
    assert await ask(store, "pragma wal_autocheckpoint") == [(0,)]
    assert await ask(store, "pragma query_only", reader=True) == [(1,)]
    for reader in (False, True):
        assert await ask(store, "pragma trusted_schema", reader=reader) == [(0,)]
        assert await ask(store, "pragma cell_size_check", reader=reader) == [(1,)]


def test_setting_that_sqlite_refuses_is_noticed(path: str) -> None:
    """A pragma that did not take is an error that names it."""
    with closing(sqlite3.connect(":memory:")) as raw, pytest.raises(UnsafeStore, match="journal_mode=memory"):
        connection._demand(raw, path, "journal_mode", "wal")


async def test_file_is_its_owners_alone(store: SqliteStore) -> None:
    """Orders are nobody else's business: the file and its companions have mode 0600."""
    await begin(store, "a")
    for name in (store.path, store.path + "-wal", store.path + "-shm"):
        assert stat.S_IMODE(Path(name).stat().st_mode) == 0o600


async def test_path_is_fixed_when_the_store_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of folder between construction and opening leads nowhere else; a link is followed."""
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    store = SqliteStore("link/orders.db")
    monkeypatch.chdir("/")
    await store.open()
    await store.close()
    assert (tmp_path / "data" / "orders.db").exists()


@pytest.mark.parametrize("companion", ["-wal", "-shm"])
async def test_linked_companion_is_refused(path: str, tmp_path: Path, companion: str) -> None:
    """SQLite would write through a link that somebody laid beside the file."""
    Path(path + companion).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafeStore, match=companion):
        await SqliteStore(path).open()
    assert not (tmp_path / "elsewhere").exists()


# ── whose file it is ──────────────────────────────────────────────────────────────────────────────


async def test_file_that_is_no_database_is_refused(path: str) -> None:
    """Somebody's notes are not overwritten."""
    Path(path).write_bytes(b"my diary " * 1000)
    with pytest.raises(NotAStore):
        await SqliteStore(path).open()
    assert Path(path).read_bytes() == b"my diary " * 1000


async def test_store_that_cannot_be_opened_leaves_no_thread(path: str) -> None:
    """A service may try for days."""
    Path(path).write_bytes(b"my diary " * 1000)
    before = set(threading.enumerate())
    with pytest.raises(NotAStore):
        await SqliteStore(path).open()
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=2)
        assert not thread.is_alive()


async def test_connection_that_was_closed_says_that_the_store_is_opened_again(path: str) -> None:
    """A call may be on its way to it at that moment, and is to be repeated."""
    writer = await connection.Connection.open(partial(connection.writing, path, migration.MIGRATIONS))
    await writer.close()
    with pytest.raises(StoreUnavailable, match="repeat the call"):
        await writer.run(lambda raw: raw.total_changes)


@pytest.mark.parametrize("statement", ["create table t(x)", "pragma user_version = 3", "pragma application_id = 9"])
async def test_database_of_something_else_is_refused(path: str, statement: str) -> None:
    """Another program's database stays as it is, byte by byte."""
    sql(path, statement)
    before = Path(path).read_bytes()
    with pytest.raises(NotAStore):
        await SqliteStore(path).open()
    assert Path(path).read_bytes() == before


async def test_newer_schema_is_refused_politely(store: SqliteStore) -> None:
    """An older release touches nothing that it does not understand."""
    await store.close()
    sql(store.path, "pragma user_version = 99")
    with pytest.raises(NewerSchema) as caught:
        await store.open()
    assert (caught.value.found, caught.value.known) == (99, len(migration.MIGRATIONS))
    assert sql(store.path, "pragma user_version") == [(99,)]


async def test_folder_and_missing_folder_are_refused(tmp_path: Path) -> None:
    """The error says what is wrong with the path."""
    with pytest.raises(NotAStore, match="directory"):
        await SqliteStore(tmp_path).open()
    with pytest.raises(ReadOnlyStore, match="No such file"):
        await SqliteStore(tmp_path / "none" / "orders.db").open()


async def test_empty_file_becomes_a_store(path: str) -> None:
    """A file that was only touched is a new one."""
    Path(path).touch()
    store = SqliteStore(path)
    await store.open()
    await store.close()
    assert sql(path, "pragma application_id") == [(migration.APPLICATION,)]


# ── migrations ────────────────────────────────────────────────────────────────────────────────────

SECOND = "alter table actors add column colour text;\ncreate table colours (name text) strict;\n"


async def test_migration_keeps_the_data(store: SqliteStore) -> None:
    """A file of the version before is brought up to date where it stands."""
    await begin(store, "a")
    await store.close()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as raw:
        migration.migrate(raw, store.path, (*migration.MIGRATIONS, SECOND))
        assert raw.execute("select id, colour from actors").fetchall() == [("a", None)]
        assert raw.execute("pragma user_version").fetchone() == (2,)


async def test_failed_migration_leaves_the_file_as_it_was(store: SqliteStore) -> None:
    """All of the steps are one transaction, with the version in it."""
    await store.close()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as raw:
        with pytest.raises(sqlite3.OperationalError):
            migration.migrate(raw, store.path, (*migration.MIGRATIONS, SECOND, "create table colours (x);\n"))
        assert not raw.in_transaction
        assert raw.execute("pragma user_version").fetchone() == (1,)
        columns = [name for (name,) in raw.execute("select name from pragma_table_info('actors')")]
        assert "colour" not in columns
    await store.open()


OPENER = """
import asyncio, sys
from atone.storage import *

async def main(path, id):
    store = SqliteStore(path)
    sys.stdin.readline()
    await store.open()
    snapshot = Snapshot("S", Phase.IDLE, b"")
    result = await store.write(Create(id, Definition("order", 1, "f"), b"", 1.0, snapshot, ()))
    assert isinstance(result, Created), result
    await store.close()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_four_processes_open_a_new_file_at_once(path: str) -> None:
    """Creating, switching to the log and migrating race, and all of them win."""
    processes = [
        subprocess.Popen([sys.executable, "-c", OPENER, path, f"{number}"], stdin=subprocess.PIPE)
        for number in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.close()
    assert [process.wait() for process in processes] == [0] * 4
    assert sql(path, "select id from actors order by id") == [("0",), ("1",), ("2",), ("3",)]


async def test_store_that_is_being_opened_is_not_opened_beside(path: str) -> None:
    """Of two coordinators on one store object the second is refused, although neither has it open yet."""
    store = SqliteStore(path)
    first, second = await asyncio.gather(store.open(), store.open(), return_exceptions=True)
    assert first is None
    assert "open already" in str(second)
    await store.close()


async def test_store_that_is_being_opened_again_is_not_opened_beside(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is one in trouble: it has no connection then, and is somebody's all the same."""

    async def connect() -> None:
        with pytest.raises(StoreError, match="open already"):
            await store.open()
        raise OSError

    with monkeypatch.context() as patch:
        patch.setattr(store, "_connect", connect)
        with pytest.raises(StoreError):
            await store.recover()
    with pytest.raises(StoreError, match="open already"):
        await store.open()
    await store.recover()
    await begin(store, "0")


def test_store_serves_one_event_loop_after_another(path: str) -> None:
    """As a script does that runs several programs, one after the other, with one store."""
    store = SqliteStore(path)

    async def program() -> None:
        await store.open()
        await asyncio.gather(store.recover(), store.recover())
        await store.close()

    asyncio.run(program())
    asyncio.run(program())


async def test_many_stores_open_a_new_file_at_once(path: str) -> None:
    """The same race within one process, where it is closer."""
    stores = [SqliteStore(path) for _ in range(8)]
    await asyncio.gather(*(store.open() for store in stores))
    await asyncio.gather(*(store.write(create(f"{number}")) for number, store in enumerate(stores)))
    await asyncio.gather(*(store.close() for store in stores))
    assert sql(path, "select count(*) from actors") == [(8,)]


# ── damage ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        ("update actors set created_at = 1e300 where id = 'bad'", "time"),
        ("update actors set wake_at = -1.0 where id = 'bad'", "time"),
        ("update actors set snapshot = x'6f6e66' where id = 'bad'", "snapshot"),
        ("update actors set revision = 5 where id = 'bad'", "snapshot"),
        ("update inputs set body = x'00' where key = 2", "input"),
        ("delete from inputs where key = 2", "input"),
        ("update parts set body = x'00' where key = 2", "part"),
        ("update actors set status = cast(x'ff41' as text) where id = 'bad'", "UTF-8"),
        ("update actors set definition = 77 where id = 'bad'", "definition"),
        ("update actors set phase = 77 where id = 'bad'", "phase"),
    ],
)
async def test_damaged_actor_is_reported_and_hides_no_other(store: SqliteStore, damage: str, word: str) -> None:
    """Whatever was done to one row, it comes back with the damage named, and its neighbours in good order."""
    for id in ("good", "bad", "fine"):
        await store.write(
            Create(
                id,
                Definition("order", 1, "f"),
                b"in",
                1.0,
                Snapshot("S", Phase.IDLE, b"one"),
                (),
                parts=(("0", b"part"),),
            )
        )
    sql(store.path, damage)
    good, bad, fine = await store.load([1, 2, 3])
    assert (good.damage, fine.damage) == (None, None)
    assert bad.damage is not None
    assert word in bad.damage
    assert await store.find("bad") == bad
    assert [record.key for record in await store.list(Query(), 9)] == [1, 2, 3]


async def test_quarantine_does_not_hide_damage(store: SqliteStore) -> None:
    """The checksum of a damaged snapshot stays wrong while the revision moves on."""
    lease = await store.claim(HOLDER, expected=await store.lease(), at=1.0)
    assert lease is not None
    key = await begin(store, "a")
    sql(store.path, "update actors set snapshot = x'00'")
    entry = Entry("QUARANTINED", "RUNNING", "PARKED")
    assert await store.write(Quarantine(key, 1, 1, 2.0, "PARKED", "damaged", entry)) == Done()
    (record,) = await store.load([key])
    assert record.damage is not None
    assert record.snapshot.body == b"\x00"


async def test_text_that_is_no_utf8_hides_no_history_and_no_message(store: SqliteStore) -> None:
    """The odd characters come back as they are, with everything around them."""
    key = await begin(store, "a")
    await store.write(Accept("a", "m1", Lane.DATA, "kind", b"1", 1.0, 9))
    await store.write(Accept("a", "m2", Lane.DATA, "kind", b"2", 1.0, 9))
    sql(store.path, "update inbox set kind = cast(x'ff' as text), lane = 7 where seq = 1")
    sql(store.path, "update history set event = cast(x'ff' as text)")
    assert {message.id for message in await store.messages(key)} == {"m1", "m2"}
    assert len(await store.history(key, after=-1, limit=9)) == 1


# ── failures ──────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def no_room(size: int) -> Generator[None]:
    """No file of this process can grow beyond `size` bytes: the system then fails the write itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_failed_commit_is_unknown_and_recovery_heals(store: SqliteStore) -> None:
    """A write error in COMMIT answers all that waits and all that comes, until a write works again."""
    await begin(store, "before")
    with no_room(Path(store.path + "-wal").stat().st_size):
        results = await asyncio.gather(
            *(store.write(create(f"{number}")) for number in range(600)), return_exceptions=True
        )
        assert {type(result) for result in results} <= {DiskFailed, DiskFull}
        with pytest.raises(StoreUnavailable):
            await store.write(create("later"))
    with no_room(1024), pytest.raises(StoreUnavailable):
        await store.recover()
    with pytest.raises(StoreUnavailable):
        await store.write(create("later"))
    with pytest.raises(StoreUnavailable):
        await store.find("before")
    await store.recover()
    assert await store.foreign()
    await begin(store, "later")
    assert [record.id for record in await store.list(Query(), 9)] == ["before", "later"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOENT, errno.EISDIR, errno.EIO])
async def test_trouble_of_a_store_in_use_is_told_as_trouble_that_passes(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A disk that is mounted read-only for a while is no wrong path: who waits for the store's recovery is to wait."""

    async def connect() -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(store, "_connect", connect)
        with pytest.raises(StoreUnavailable, match=os.strerror(number)):
            await store.recover()
    for call in (store.find("a"), store.write(create("a"))):
        with pytest.raises(StoreUnavailable):
            await call
    await store.recover()
    await begin(store, "a")


async def test_a_store_in_trouble_is_not_made_anew_where_its_file_is_gone(store: SqliteStore, tmp_path: Path) -> None:
    """A volume that is lost leaves an empty folder: a new file there would know no order, and start each once more."""
    await begin(store, "a")
    (tmp_path / "lost").mkdir()
    for name in (store.path, store.path + "-wal", store.path + "-shm"):
        Path(name).rename(tmp_path / "lost" / Path(name).name)
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await store.recover()
        assert not Path(store.path).exists()
    Path(store.path).touch()
    with pytest.raises(StoreUnavailable):
        await store.recover()
    for call in (store.find("a"), store.write(create("a"))):
        with pytest.raises(StoreUnavailable):
            await call
    for name in (store.path, store.path + "-wal", store.path + "-shm"):
        lost = tmp_path / "lost" / Path(name).name
        if lost.exists():
            lost.rename(name)
    await store.recover()
    assert await store.find("a") is not None


async def test_file_that_opens_and_takes_no_write_has_not_recovered(store: SqliteStore) -> None:
    """Recovery is believed only when a write has reached the disk; until then, what is there can be read."""
    await begin(store, "a")
    with closing(sqlite3.connect(store.path, isolation_level=None)) as reader:
        reader.execute("begin")
        reader.execute("select * from actors").fetchall()  # keeps the log where it is
        with no_room(Path(store.path + "-wal").stat().st_size):
            with pytest.raises(StoreUnavailable):
                await store.recover()
            with pytest.raises(StoreUnavailable):
                await begin(store, "b")
            assert await store.find("a") is not None
    await store.recover()
    await begin(store, "b")


async def test_file_that_took_no_write_is_not_kept_from_others(store: SqliteStore, path: str) -> None:
    """What was tried is rolled back: an open transaction would lock every other process out."""

    def refuse(raw: sqlite3.Connection) -> None:
        raw.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_UPDATE else sqlite3.SQLITE_OK
        )

    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        refuse(raw)
        with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
            sqlite._prove(raw)
        assert not raw.in_transaction
    await begin(store, "a")


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 8, 13])
async def test_recovery_that_is_given_up_is_finished_all_the_same(store: SqliteStore, turns: int) -> None:
    """It has closed what was open: whoever gave it up would leave a store that nobody can use."""
    recovering = asyncio.create_task(store.recover())
    for _ in range(turns):
        await asyncio.sleep(0)
    recovering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await recovering
    await begin(store, "a")


async def test_what_is_read_at_once_is_of_one_moment(store: SqliteStore) -> None:
    """However many statements that takes: an order must not be seen with the messages of a later one."""

    def look_twice(raw: sqlite3.Connection) -> tuple[Any, Any]:
        before = raw.execute("select proofs from lease").fetchone()
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute(STATEMENTS["prove"])
        return before, raw.execute("select proofs from lease").fetchone()

    before, after = await store._read(look_twice)
    assert before == after


async def test_full_database_recovers_when_there_is_room(store: SqliteStore) -> None:
    """SQLITE_FULL is named as such; nothing of the transaction is on disk."""
    await begin(store, "a")
    ((pages,),) = await ask(store, "pragma page_count")
    await ask(store, f"pragma max_page_count = {pages}")
    with pytest.raises(DiskFull):
        await store.write(create("b", b"x" * 100_000))
    await store.recover()
    assert await store.find("b") is None
    await store.write(create("b", b"x" * 100_000))


async def test_lock_of_another_process_is_waited_for(store: SqliteStore) -> None:
    """A write that meets a lock is done as soon as the lock is gone."""
    with closing(sqlite3.connect(store.path, isolation_level=None)) as raw:
        raw.execute("begin immediate")
        task = asyncio.create_task(begin(store, "a"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert not task.done()
        raw.execute("rollback")
    await task


async def test_lock_held_too_long_names_the_owner(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the timeout the write fails for certain, and the next one may try."""
    monkeypatch.setattr(connection, "_TIMEOUT", 0.001)
    store = SqliteStore(path, busy_timeout=0.01)
    await store.open()
    await store.claim(HOLDER, expected=await store.lease(), at=1.0)
    with closing(sqlite3.connect(path, isolation_level=None)) as raw:
        raw.execute("begin immediate")
        with pytest.raises(StoreBusy, match="process 4711 on machine"):
            await begin(store, "a")
        raw.execute("rollback")
    await begin(store, "a")
    await store.close()


def failing(statement: str, *, before: str = "select 1") -> sqlite3.Error:
    """A real error of SQLite's."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as raw:
        raw.execute(before)
        with pytest.raises(sqlite3.Error) as caught:
            raw.execute(statement)
        return caught.value


def test_errors_are_translated_with_their_remedies() -> None:
    """Each of SQLite's codes becomes the error that says what to do."""
    read_only = failing("create table t(x)", before="pragma query_only = on")
    assert isinstance(translate("x", read_only), ReadOnlyStore)
    assert type(translate("x", failing("select nonsense"))) is StoreUnavailable
    for code, expected in (
        (sqlite3.SQLITE_CORRUPT, StoreCorrupt),
        (sqlite3.SQLITE_IOERR_FSYNC, DiskFailed),
        (sqlite3.SQLITE_FULL, DiskFull),
        (sqlite3.SQLITE_NOTADB, NotAStore),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreBusy),
        (sqlite3.SQLITE_CANTOPEN, ReadOnlyStore),
    ):
        error = sqlite3.OperationalError("reason")
        error.sqlite_errorcode, error.sqlite_errorname = code, "NAME"
        assert type(translate("x", error)) is expected
    for number, expected in ((28, DiskFull), (13, ReadOnlyStore), (5, DiskFailed)):
        assert type(translate("x", OSError(number, os.strerror(number)))) is expected


async def test_corrupt_file_is_named(store: SqliteStore) -> None:
    """A page of rubbish is reported by whoever reads it."""
    await begin(store, "a")
    await store.close()
    with Path(store.path).open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(Path(store.path).stat().st_size - 4096))
    await store.open()
    with pytest.raises(StoreCorrupt):
        await store.find("a")


# ── cancellation ──────────────────────────────────────────────────────────────────────────────────


async def test_cancelled_callers_leave_nothing_half_done(store: SqliteStore) -> None:
    """Of 500 calls cancelled at random moments, each is wholly done or not at all; no transaction is open."""
    chance = random.Random(7)
    lease = await store.claim(HOLDER, expected=await store.lease(), at=1.0)
    assert lease is not None
    keys = [await begin(store, f"old {number}") for number in range(100)]
    calls: list[Any] = [store.write(create(f"new {number}")) for number in range(200)]
    calls += [store.find(f"new {number}") for number in range(100)]
    calls += [store.write(Renew(1, 1.0)) for _ in range(100)]
    for key in keys:
        entry = Entry("STEP", "RUNNING", "RUNNING")
        calls.append(store.write(Advance(key, 1, 1, 2.0, Snapshot("S", Phase.IDLE, b"two"), (entry, entry))))

    async def cancelled(call: Any) -> None:
        task = asyncio.ensure_future(call)
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    chance.shuffle(calls)
    assert len(calls) == 500
    for start in range(0, 500, 10):
        await asyncio.gather(*map(cancelled, calls[start : start + 10]))
    link = store._link
    assert link is not None
    assert not await link.writing.run(lambda raw: raw.in_transaction)
    assert not await link.reading.run(lambda raw: raw.in_transaction)
    await begin(store, "last")
    ((actors, inputs, lines),) = await ask(
        store,
        "select (select count(*) from actors), (select count(*) from inputs), (select count(*) from history)",
    )
    ((advanced,),) = await ask(store, "select count(*) from actors where revision = 1")
    assert actors == inputs
    assert lines == actors + 2 * advanced


@pytest.mark.parametrize("turns", range(12))
async def test_cancelled_opening_leaves_no_connection(path: str, turns: int) -> None:
    """Whoever gives up while the store opens, leaves no thread behind; the store opens again."""
    store = SqliteStore(path)
    task = asyncio.create_task(store.open())
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    await store.close()
    assert store._link is None
    await store.open()
    await begin(store, "a")
    await store.close()


async def test_opening_may_be_given_up_again_and_again(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever tries with a short timeout, while the file is locked, is never told that somebody else has it open."""
    store, gate = SqliteStore(path), asyncio.Event()
    connect = store._connect

    async def wait_and_connect() -> Any:
        await gate.wait()
        return await connect()

    monkeypatch.setattr(store, "_connect", wait_and_connect)
    for _ in range(3):
        task = asyncio.create_task(store.open())
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
    gate.set()
    await store.open()
    await begin(store, "a")
    await store.close()


async def test_cancelled_close_closes_all_the_same(store: SqliteStore) -> None:
    """A second close waits for the first to end."""
    task = asyncio.create_task(store.close())
    await asyncio.sleep(0)
    task.cancel()
    await store.close()
    assert store._link is None


@pytest.mark.parametrize("error", [asyncio.CancelledError(), OSError("no")])
async def test_a_close_that_came_to_nothing_does_not_end_whoever_opens(
    path: str, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """As when its loop ended first: a cancel that nobody asked for would be told at each opening."""
    store = SqliteStore(path)
    await store.open()

    async def drop() -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(store, "_drop", drop)
        with pytest.raises(type(error)):
            await store.close()
    with pytest.raises(StoreError, match="open already"):
        await store.open()
    await store._drop()


FORGETFUL = """
import asyncio, sys
from atone.storage import SqliteStore

async def main(path):
    await SqliteStore(path).open()
    raise SystemExit(7)

asyncio.run(main(sys.argv[1]))
"""


async def test_process_that_dies_without_closing_ends(path: str) -> None:
    """A service whose loop died must end, so that its manager can start it again."""
    ended = subprocess.run([sys.executable, "-c", FORGETFUL, path], stderr=subprocess.PIPE, timeout=20, check=False)
    assert ended.returncode == 7, ended.stderr


# ── checkpoints ───────────────────────────────────────────────────────────────────────────────────


async def fill(store: SqliteStore, name: str) -> None:
    """Write some megabytes in several commits."""
    for batch in range(5):
        writes = [store.write(create(f"{name} {batch} {number}", b"x" * 2048)) for number in range(300)]
        await asyncio.gather(*writes)


async def test_only_the_owner_checkpoints(store: SqliteStore) -> None:
    """The log is moved into the file by the process that holds the lease, and by no other."""
    await fill(store, "guest")
    small = Path(store.path).stat().st_size
    assert small < 100_000
    await store.claim(HOLDER, expected=await store.lease(), at=1.0)
    await fill(store, "owner")
    assert Path(store.path).stat().st_size > 1_000_000
    assert store._checkpointer.failures == 0


async def test_former_owner_does_not_checkpoint(store: SqliteStore, path: str) -> None:
    """Who lost the lease without knowing leaves the log alone."""
    await store.claim(HOLDER, expected=await store.lease(), at=1.0)
    other = SqliteStore(path)
    await other.open()
    await other.claim(HOLDER, expected=await other.lease(), at=1.0)
    await fill(store, "a")
    assert Path(path).stat().st_size < 100_000
    await other.close()


class ForgetfulDisk(sqlite3.Connection):
    """A connection that meets one failed sync in a checkpoint."""

    fails = False

    def execute(self, sql: str, /, *args: Any) -> sqlite3.Cursor:
        """Fail once, where that was asked for."""
        if self.fails and "wal_checkpoint" in sql:
            self.fails = False
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            raise error
        return super().execute(sql, *args)


def test_pages_that_a_system_has_forgotten_with_a_failed_sync_are_written_anew(path: str) -> None:
    """SQLite counts what a partial checkpoint has moved, and gives up the log in which alone these pages were safe."""
    writing(path, MIGRATIONS).close()
    raw = sqlite3.connect(path, isolation_level=None, factory=ForgetfulDisk)
    raw.execute("create table pages (id integer primary key, word text) strict")
    raw.executemany("insert into pages (word) values (?)", [("old" * 300,)] * 100)
    raw.execute("pragma wal_checkpoint(passive)")
    synced = Path(path).read_bytes()
    checkpointer = Checkpointer(path)
    checkpointer.epoch = 0
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        raw.execute("update pages set word = ? where id < 50", ("new" * 300,))
        reader.execute("begin")
        reader.execute("select count(*) from pages").fetchone()
        raw.execute("update pages set word = ? where id >= 50", ("new" * 300,))
        checkpointer.run(raw, due=0)
        assert Path(path).read_bytes() != synced, "it has moved a part"
    raw.fails = True
    checkpointer.run(raw, due=0)
    assert checkpointer.failures == 1
    with Path(path).open("r+b") as file:
        file.write(synced)  # what it read from memory meanwhile is not what the disk has
    raw.close()
    assert not Path(path + "-wal").exists()
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("pragma integrity_check").fetchall() == [("ok",)]
        assert db.execute("select distinct substr(word, 1, 3) from pages").fetchall() == [("new",)]


async def test_failed_checkpoint_is_counted_and_logged(store: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
    """A checkpoint that SQLite refuses harms nothing, and does not pass unseen."""
    checkpointer = Checkpointer(store.path)
    checkpointer.epoch = 0
    checkpointer.count(2000, 0)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as raw:
        raw.execute("begin immediate")
        checkpointer.run(raw)
    assert checkpointer.failures == 1
    assert "a checkpoint" in caplog.text


async def test_log_that_a_reader_keeps_is_reported(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A reader that never ends makes the log grow; it is said once for each doubling."""
    monkeypatch.setattr(checkpoint, "_LARGE", 1024 * 1024)
    await store.claim(HOLDER, expected=await store.lease(), at=1.0)
    with closing(sqlite3.connect(store.path, isolation_level=None)) as reader:
        reader.execute("begin")
        reader.execute("select * from actors").fetchall()
        await fill(store, "a")
        assert "a reader holds it back" in caplog.text
        assert len(caplog.records) < 4


# ── plans ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("active_sound", "actors_active"),
        ("active_frail", "actors_active"),
        ("unbegun", "actors_unbegun"),
        ("due", "actors_due"),
        ("next_wake", "actors_due"),
        ("ended", "actors_ended"),
        ("list_some", "actors_overview"),
        ("count", "COVERING INDEX actors_overview"),
        ("unread_requests", "inbox_requests"),
        ("unread_data", "inbox_data"),
        ("load_messages", "inbox_unread"),
        ("waiting", "inbox_unread"),
        ("any_waiting", "inbox_unread"),
        ("history", "history_of_actor"),
    ],
)
async def test_scans_use_their_indexes(store: SqliteStore, statement: str, index: str) -> None:
    """A scan among a million actors reads only what it is looking for."""
    link = store._link
    assert link is not None
    text = STATEMENTS[statement]
    names = dict.fromkeys(
        (
            "after",
            "deaths",
            "limit",
            "now",
            "before",
            "definition",
            "status",
            "phase",
            "key",
            "created_before",
            "kind",
            "statuses",
            "keys",
        )
    )
    parameters: Any = names if "?" not in text else (1,) * text.count("?")
    plan = await link.writing.run(lambda raw: raw.execute(f"explain query plan {text}", parameters).fetchall())
    details = " / ".join(row[3] for row in plan)
    assert index in details


async def test_a_damaged_row_that_looks_like_a_stray_stops_no_other(store: SqliteStore) -> None:
    """A move of an actor that is not there leaves such a row for a moment; one that was there before is not it."""
    for id in ("good", "bad"):
        await store.write(Create(id, Definition("order", 1, "f"), b"in", 1.0, Snapshot("S", Phase.IDLE, b"one"), ()))
    sql(store.path, "update actors set id = '', definition = 0 where id = 'bad'")
    advance = Advance(1, 1, 0, 2.0, Snapshot("S", Phase.IDLE, b"two"), ())

    assert await store.write(advance) == Done()


class Impatient(sqlite3.Connection):
    """A connection that answers so many questions, and no more."""

    left = 50

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        self.left -= 1
        assert self.left > 0, "it asks without end"
        return super().execute(*arguments)


def test_a_status_that_has_turned_into_bytes_stops_no_count() -> None:
    """One bit of a row makes bytes of a text, and these stand behind all texts. To open a file asks for this count."""
    with closing(sqlite3.connect(":memory:", isolation_level=None, factory=Impatient)) as raw:
        lenient = STATEMENTS["migration_1"].replace(" strict, without", " without").replace(" strict;", ";")
        raw.executescript(lenient)
        raw.executescript("insert into definitions values (1, 'order', 1, 'f'), (2, 'order', 2, 'f')")
        for definition, status in ((1, "RUNNING"), (1, b"RUNNING"), (1, "WAITING"), (2, "RUNNING")):
            raw.execute(
                "insert into actors (id, definition, revision, epoch, status, phase, deaths, created_at, updated_at,"
                " checksum, snapshot) values (hex(randomblob(9)), ?, 1, 1, ?, 2, 0, 1.0, 1.0, 0, x'')",
                (definition, status),
            )
        counts = queries.live(raw, 9)
        assert [(one.definition.version, one.status, one.number) for one in counts] == [
            (1, "RUNNING", 1), (1, "WAITING", 1), (2, "RUNNING", 1),
        ]  # fmt: skip


async def test_a_message_that_was_sent_before_costs_the_rest_of_its_commit_nothing(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Senders repeat themselves all the time: what shares a commit with them must not be done twice, and one by one."""

    def apart(*_arguments: object) -> list[Any]:
        raise AssertionError("the whole batch is repeated")

    monkeypatch.setattr(Applier, "_apart", apart)
    await begin(store, "a")
    message = Accept("a", "m", Lane.DATA, "kind", b"", 1.0, 9)
    first = await store.write(message)
    assert isinstance(first, Accepted)
    other = evolve(message, id="n")
    results = await asyncio.gather(*(store.write(one) for one in (other, message, create("b"))))
    assert [type(result) for result in results] == [Accepted, Duplicate, Created]
    assert [one.id for one in await store.messages(first.key)] == ["m", "n"]
