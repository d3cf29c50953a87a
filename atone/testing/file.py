"""A store's file that is only looked at: what an audit needs of a store, and nothing that could write."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

from attrs import frozen

from ..storage import HistoryRow, Lease, NotAStore, Query, ReadOnlyStore, Record, queries
from ..storage.connection import Connection, at_one_moment, auditing, patiently
from ..storage.failure import translate
from ..storage.lease import read_lease
from ..storage.migration import MIGRATIONS
from .halves import BESIDE, half_done

P = ParamSpec("P")
T = TypeVar("T")

#: Seconds for which a read waits for a process that begins or ends to use the file.
PATIENCE = 5.0
_NO_INDEX = "SQLite cannot read its log there without an index, and cannot make one; or audit a copy of file and log"


@frozen
class AuditedFile:
    """The file of a store, open for reading. It may be in use, or on a medium that cannot be written."""

    path: str
    _connection: Connection
    _as_it_lay: tuple[int, int] | None  #: without a log no lock is taken, and what was read may have been half written

    @classmethod
    async def open(cls, name: str | os.PathLike[str]) -> Self:
        """Open a file. Raises `FileNotFoundError` or a `StoreError`."""
        path = _existing(name)
        as_it_lies = _state(path)
        connect = partial(auditing, path, len(MIGRATIONS), logged=as_it_lies is None)
        try:
            connection = await patiently(partial(Connection.open, connect), PATIENCE)
        except (OSError, sqlite3.Error) as error:
            found = translate(path, error, waited=PATIENCE)
            raise (ReadOnlyStore(path, _NO_INDEX) if isinstance(found, ReadOnlyStore) else found) from error
        return cls(path, connection, as_it_lies)

    async def close(self) -> None:
        """Let go of it."""
        await self._connection.close()

    @property
    def moved(self) -> bool:
        """Whether somebody began to write it after it was opened as a file that nobody uses."""
        return self._as_it_lay is not None and self._as_it_lay != _state(self.path)

    async def unsound(self) -> list[str]:
        """What SQLite itself says about the file."""
        found = await self._read(_integrity)
        return [] if found == ["ok"] else found

    async def half_done(self) -> list[str]:
        """Rows that belong to nothing, or that cannot stand beside each other."""
        return await self._read(lambda connection: list(half_done(connection, BESIDE)))

    async def lease(self) -> Lease:
        """Who owns the store."""
        return await self._read(read_lease)

    async def load(self, keys: Sequence[int]) -> list[Record]:
        """Orders whole."""
        return await self._read(queries.load, sorted(keys))

    async def history(self, key: int, *, after: int, limit: int) -> list[HistoryRow]:
        """An order's history above a revision."""
        return await self._read(queries.history, key, after, limit)

    async def _read(
        self, query: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        try:
            return await patiently(lambda: self._connection.run(at_one_moment(query, *args, **kwargs)), PATIENCE)
        except sqlite3.Error as error:
            raise translate(self.path, error, waited=PATIENCE) from error

    async def list(self, query: Query, limit: int) -> list[Record]:
        """Orders in order of arrival, without messages."""
        return await self._read(queries.list_actors, query, limit)


def _existing(name: str | os.PathLike[str]) -> str:
    path = Path(os.path.realpath(os.fsdecode(name)))
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "there is no such file", os.fspath(name))
    if path.stat().st_size == 0:
        raise NotAStore(str(path), "an empty file")  # which SQLite would call an empty database
    return str(path)


def _state(path: str) -> tuple[int, int] | None:
    """What changes when a file without a log is written; `None` for one with a log, left over or in use."""
    log = Path(path + "-wal")
    if log.exists() and (log.stat().st_size > 0 or Path(path + "-shm").exists()):
        return None
    state = Path(path).stat()
    return state.st_mtime_ns, state.st_size


def _integrity(connection: sqlite3.Connection) -> list[str]:
    return [line for (line,) in connection.execute("pragma integrity_check")]
