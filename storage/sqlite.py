"""The store in one SQLite file: one connection that writes, one that reads, a thread for each."""

# ruff: noqa: D102 - the contract says what each method means
from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Concatenate, ParamSpec, TypeVar

from . import queries
from .apply import Applier
from .checkpoint import Checkpointer
from .connection import Connection, at_one_moment, patiently, reading, writing
from .errors import StoreBusy, StoreClosed, StoreError, StoreUnavailable
from .failure import is_busy, translate
from .lease import Claim, Release, read_lease
from .migration import MIGRATIONS
from .records import Count, HistoryRow, Holder, Lane, Lease, Message, Query, Record, Tombstone
from .statements import STATEMENTS
from .store import Store
from .values import frozen
from .writer import Writer, answer, weigh
from .writes import Write

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
_LOG = logging.getLogger(__name__)


@frozen
class _Link:
    """Both connections, opened together and thrown away together."""

    writing: Connection
    reading: Connection
    applier: Applier

    async def close(self) -> None:
        try:
            await self.reading.close()
        finally:
            await self.writing.close()


class SqliteStore(Store):
    """A store in a file on a local disk, which several processes may open at once.

    `busy_timeout` is how many seconds a write waits for a process that holds SQLite's write lock.
    """

    #: what its connections run on; a simulation has one without threads
    connection_type: type[Connection] = Connection

    def __init__(self, path: str | os.PathLike[str], *, busy_timeout: float = 5.0) -> None:
        self.path = os.path.realpath(os.fsdecode(path))
        self._busy_timeout = busy_timeout
        self._checkpointer = Checkpointer(self.path)
        self._link: _Link | None = None
        self._writer: Writer | None = None
        self._lock = asyncio.Lock()  # held by whoever uses or replaces the writing connection
        self._version: int | None = None
        self._opening: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        if self._closing is not None and not self._closing.done():
            await asyncio.shield(self._closing)
        opening = self._opening is not None and not self._opening.done()
        if opening or self._link is not None or self._writer is not None:  # without a link it is being opened again
            raise StoreError(f"{self.path!r} is open already: give each coordinator a store of its own")
        self._closing = None  # now, and not while it is waited for: who gives that up leaves it to the next one
        self._lock = asyncio.Lock()  # it belongs to the event loop that it was first waited for in
        self._opening = asyncio.create_task(self._open())
        try:
            await asyncio.shield(self._opening)
        except asyncio.CancelledError:
            self._closing = asyncio.create_task(self._close())
            raise

    async def _open(self) -> None:
        self._link = await self._connect()
        try:
            self._version = await self._run(self._link.writing, _data_version)
        except StoreError:
            await self._drop()
            raise
        self._writer = Writer(self._commit)

    async def _connect(self) -> _Link:
        """Open both connections, or none."""
        connect = partial(writing, self.path, MIGRATIONS, known=self._writer is not None)
        try:
            writer = await self._patiently(partial(self.connection_type.open, connect))
            try:
                reader = await self._patiently(partial(self.connection_type.open, partial(reading, self.path)))
            except BaseException:
                await writer.close()
                raise
        except Exception as error:
            raise translate(self.path, error, waited=self._busy_timeout) from error
        return _Link(writer, reader, await writer.run(partial(Applier, self.path)))

    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        if self._opening is not None:
            await asyncio.wait([self._opening])
        if self._writer is not None:
            await self._writer.close(StoreClosed(self.path))
        async with self._lock:
            self._writer = None
            if self._link is not None:
                with suppress(StoreError):
                    await self._link.writing.run(partial(self._checkpointer.run, due=1))
            self._checkpointer.epoch = None
            await self._drop()

    async def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            try:
                await link.close()
            except sqlite3.Error as error:
                _LOG.warning("closing %r failed: %s", self.path, error)

    # writing

    def submit(self, write: Write[R], done: Callable[[R | StoreError], None]) -> None:
        if self._writer is None:
            asyncio.get_running_loop().call_soon(done, StoreClosed(self.path))
        else:
            self._writer.submit(write, done)

    def hurry(self, write: Write[Any]) -> None:
        if self._writer is not None:
            self._writer.hurry(write)

    async def write(self, write: Write[R]) -> R:
        return await answer(self.submit, write)

    async def _commit(self, writes: list[Write[Any]]) -> list[Any]:
        async with self._lock:
            link = self._linked()
            try:
                return await self._patiently(lambda: link.writing.run(partial(self._apply, link.applier, writes)))
            except Exception as error:
                if is_busy(error):
                    raise StoreBusy(self.path, await self._holder(), self._busy_timeout) from None
                raise translate(self.path, error) from error

    def _apply(self, applier: Applier, writes: list[Write[Any]], connection: sqlite3.Connection) -> list[Any]:
        self._checkpointer.run(connection)
        results = applier.commit(writes)
        self._checkpointer.count(len(writes), sum(map(weigh, writes)))
        return results

    async def recover(self) -> None:
        await asyncio.shield(asyncio.create_task(self._recover()))

    async def _recover(self) -> None:
        async with self._lock:
            if self._writer is None:
                raise StoreClosed(self.path)
            await self._drop()
            try:
                self._link = await self._connect()
                await self._patiently(partial(self._link.writing.run, _prove))
            except Exception as error:
                failure = translate(self.path, error, waited=self._busy_timeout)
                # A lock would say that the store is well, and nobody would try again; what is wrong with a file that
                # was in use is trouble like any other, and callers wait for its end.
                if isinstance(failure, StoreBusy) or not isinstance(failure, StoreUnavailable):
                    failure = StoreUnavailable(f"the store could not be opened again, and will be: {failure}")
                self._writer.fail(failure)
                raise failure from error
            self._version = None
            self._writer.heal()

    # the lease

    async def lease(self) -> Lease:
        return await self._read(read_lease)

    async def claim(self, holder: Holder, *, expected: Lease, at: float) -> Lease | None:
        lease = await self.write(Claim(holder, expected, at))
        if lease is not None:
            self._checkpointer.epoch = lease.epoch
        return lease

    async def release(self, epoch: int, at: float) -> None:
        self._checkpointer.epoch = None
        await self.write(Release(epoch, at))

    async def _holder(self) -> str:
        """Who to name when the database is locked."""
        try:
            return str((await self.lease()).holder or "nobody")
        except StoreError:
            return "unknown"

    # reading

    async def foreign(self) -> bool:
        before, self._version = self._version, await self._run(self._linked().writing, _data_version)
        return before != self._version

    async def load(self, keys: Sequence[int]) -> list[Record]:
        return await self._read(queries.load, sorted(keys))

    async def messages(self, key: int) -> tuple[Message, ...]:
        return await self._read(queries.messages, key)

    async def active(self, *, after: int, limit: int, frail: bool, deaths: int) -> list[int]:
        statement = "active_frail" if frail else "active_sound"
        return await self._read(queries.column, statement, after=after, limit=limit, deaths=deaths)

    async def unbegun(self, after: int, limit: int) -> list[int]:
        return await self._read(queries.column, "unbegun", after=after, limit=limit)

    async def due(self, now: float, limit: int) -> list[int]:
        return await self._read(queries.column, "due", now=now, limit=limit)

    async def next_wake(self) -> float | None:
        return await self._read(queries.value, "next_wake")

    async def unread(self, lane: Lane, after: int, limit: int) -> list[tuple[int, int]]:
        return await self._read(queries.unread, lane, after, limit)

    async def find(self, id: str) -> Record | Tombstone | None:
        return await self._read(queries.find, id)

    async def answer(self, seq: int) -> str | None:
        return await self._read(queries.value, "answer", seq=seq)

    async def history(self, key: int, *, after: int, limit: int) -> list[HistoryRow]:
        return await self._read(queries.history, key, after, limit)

    async def tail(self, after: int, limit: int) -> list[tuple[int, str | None]]:
        return await self._read(queries.rows, "tail", after=after, limit=limit)

    async def last_seq(self) -> int:
        return await self._read(queries.value, "last_seq")

    async def count(self, query: Query) -> list[Count]:
        return await self._read(queries.count, query)

    async def live(self, limit: int) -> Sequence[Count]:
        return await self._read(queries.live, limit)

    async def list(self, query: Query, limit: int) -> list[Record]:
        return await self._read(queries.list_actors, query, limit)

    # the connections

    def _linked(self) -> _Link:
        if self._link is not None:
            return self._link
        if self._writer is None:
            raise StoreClosed(self.path)
        raise self._writer.sickness or StoreUnavailable("the store is being opened again: repeat the call")

    async def _read(
        self, query: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._run(self._linked().reading, at_one_moment(query, *args, **kwargs))

    async def _run(self, connection: Connection, function: Callable[[sqlite3.Connection], T]) -> T:
        try:
            return await self._patiently(partial(connection.run, function))
        except Exception as error:
            raise translate(self.path, error, waited=self._busy_timeout) from error

    async def _patiently(self, attempt: Callable[[], Awaitable[T]]) -> T:
        return await patiently(attempt, self._busy_timeout)


def _data_version(connection: sqlite3.Connection) -> int:
    """A number that changes with every commit of another connection, and with none of this one's."""
    return int(connection.execute("pragma data_version").fetchone()[0])


def _prove(connection: sqlite3.Connection) -> None:
    """Write something that means nothing: an open file is no proof that the disk takes writes."""
    connection.execute("begin immediate")
    try:
        connection.execute(STATEMENTS["prove"])
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise
