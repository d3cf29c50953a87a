"""A connection to SQLite on a thread of its own, opened with every setting that the promises rest on."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

import aiosqlite

from .errors import NotAStore, OlderSchema, StoreUnavailable, UnsafeStore
from .failure import is_busy
from .migration import inspect, migrate

P = ParamSpec("P")
T = TypeVar("T")

#: SQLite's own waiting is short, since it blocks the thread; `patiently` does the rest
_TIMEOUT = 0.2
_STATEMENTS = 256


class Connection:
    """Runs plain functions on the connection's thread, each of them to its end."""

    def __init__(self, proxy: aiosqlite.Connection, raw: sqlite3.Connection) -> None:
        self._proxy = proxy
        self._raw = raw

    @classmethod
    async def open(cls, connect: Callable[[], sqlite3.Connection]) -> Connection:
        """Call `connect` on a new thread, where the connection then stays."""
        failures: list[Exception] = []

        def connector() -> sqlite3.Connection:
            try:
                connections.append(connect())
            except Exception as error:  # noqa: BLE001 - carried over to the caller
                # aiosqlite would not wait for the end of a thread whose connection failed.
                failures.append(error)
                connections.append(sqlite3.connect(":memory:"))
            return connections[0]

        connections: list[sqlite3.Connection] = []
        proxy = aiosqlite.Connection(connector, iter_chunk_size=64)
        cast("Any", proxy)._thread.daemon = True  # noqa: SLF001 - a process whose loop has died must still end
        await proxy
        if failures:
            await proxy.close()
            raise failures[0]
        return cls(proxy, connections[0])

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Call a function on the thread. When the caller is cancelled, the function still runs to its end.

        A transaction is one such function: several awaits on one connection would let a cancellation
        between them leave it open, to be committed by a stranger. What has been handed to the thread cannot be
        called off, so nothing needs to be shielded here.
        """
        try:
            # aiosqlite's only door to its thread is private; hence the upper bound on its version.
            door: Callable[..., Awaitable[T]] = cast("Any", self._proxy)._execute  # noqa: SLF001
            return await door(function, self._raw)
        except ValueError as error:
            if str(error) == "Connection closed":
                raise StoreUnavailable("the store is being opened again: repeat the call") from None
            raise

    async def close(self) -> None:
        """Finish what was queued, then close. Closing twice does nothing."""
        await self._proxy.close()


def at_one_moment(
    query: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
) -> Callable[[sqlite3.Connection], T]:
    """Make a query one that sees the file as it is at one moment, however many statements it has."""

    def ask(connection: sqlite3.Connection) -> T:
        connection.execute("begin")
        try:
            return query(connection, *args, **kwargs)
        finally:
            if connection.in_transaction:
                connection.execute("rollback")

    return ask


async def patiently(attempt: Callable[[], Awaitable[T]], timeout: float) -> T:
    """Repeat an attempt that found the database locked, with jitter, for `timeout` seconds."""
    clock = asyncio.get_running_loop().time
    deadline, pause = clock() + timeout, 0.001
    while True:
        try:
            return await attempt()
        except sqlite3.Error as error:
            if not is_busy(error) or clock() >= deadline:
                raise
        await asyncio.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - this chance guards nothing
        pause = min(2 * pause, 0.1)


def writing(path: str, migrations: Sequence[str], *, known: bool = False) -> sqlite3.Connection:
    """Open the connection that writes, after creating the file where there is none.

    One that is `known` to have been there is never made anew: where its volume is gone, an empty file in its place
    would know of no order, and each would be started once more.
    """
    _create(path, known=known)

    def prepare(connection: sqlite3.Connection) -> None:
        # before anything is changed in somebody else's file
        if not inspect(connection, path, len(migrations)) and known:
            raise NotAStore(path, "an empty file in its place")
        _demand(connection, path, "journal_mode", "wal")
        _demand(connection, path, "synchronous", "full", "2")
        # A checkpoint waits for the disk; only the owner makes one, and when it chooses.
        _demand(connection, path, "wal_autocheckpoint", "0")
        migrate(connection, path, migrations)

    return _connect(path, prepare)


def reading(path: str) -> sqlite3.Connection:
    """Open a connection that cannot write."""
    return _connect(path, lambda connection: _demand(connection, path, "query_only", "on", "1"))


def auditing(path: str, known: int, *, logged: bool) -> sqlite3.Connection:
    """Open a connection that changes nothing: not the file, not its log, and not its schema.

    A log is read through SQLite's index of it (`-shm`), under SQLite's locks; the index is made where there is none. A
    file without a log is taken as it lies, without locks: nothing appears beside it, and it may lie where nothing can
    be written. Raises `NotAStore`, `NewerSchema`, `OlderSchema`.
    """

    def prepare(connection: sqlite3.Connection) -> None:
        version = inspect(connection, path, known)
        if not version:
            raise NotAStore(path, "an empty file")
        if version < known:
            raise OlderSchema(path, version, known)

    return _connect(f"{Path(path).as_uri()}?{'mode=ro' if logged else 'immutable=1'}", prepare, uri=True)


def _create(path: str, *, known: bool) -> None:
    """Make the file, readable for its owner alone, where it is not known; SQLite gives its companions the same mode."""
    for companion in (Path(path + "-wal"), Path(path + "-shm")):
        if companion.is_symlink():
            raise UnsafeStore(path, companion.name, "a plain file", "a symbolic link")
    # A file that exists must never be opened here, not even to look at it: POSIX drops all locks that this process
    # holds on a file when it closes any descriptor of it, and another process would then take the log of a live
    # host for an orphan, and delete it.
    if Path(path).is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not os.path.lexists(path):
        if known:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        with suppress(FileExistsError):  # another process was faster, and may use it already
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    elif not os.access(path, os.R_OK | os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def _connect(path: str, prepare: Callable[[sqlite3.Connection], None], *, uri: bool = False) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_TIMEOUT, isolation_level=None, cached_statements=_STATEMENTS, uri=uri)
    try:
        connection.text_factory = _text
        connection.execute("pragma trusted_schema = off")
        connection.execute("pragma cell_size_check = on")
        prepare(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _text(raw: bytes) -> str:
    """Damaged text is kept as it is, so that one bad row hides no other; whoever reads it reports it."""
    return raw.decode("utf-8", "surrogateescape")


def _demand(connection: sqlite3.Connection, path: str, setting: str, value: str, shown: str | None = None) -> None:
    """Make a setting and read it back: SQLite does not complain about what it cannot do."""
    connection.execute(f"pragma {setting} = {value}").fetchall()
    (found,) = connection.execute(f"pragma {setting}").fetchone()
    if str(found) != (shown or value):
        raise UnsafeStore(path, setting, value, str(found))
