"""Auditing a store: the same checks as in a simulation, on a real file."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from ..sagas import Saga
from ..storage import HistoryRow, Lease, NotAStore, Query, Record, SqliteStore, Store
from .evidence import Evidence, Violation
from .oracle import SOUND, judge

#: An order as it is on disk, and its history.
Order = tuple[Record, list[HistoryRow]]
#: Orders, and lines of history, that are read at a time.
PAGE = 500


async def pages(store: Store) -> AsyncIterator[list[Order]]:
    """Every order in an open store, with its messages and its whole history."""
    after = 0
    while listed := await store.list(Query(after_key=after), PAGE):
        after = listed[-1].key
        records = await store.load([one.key for one in listed])
        yield [(record, await _history(store, record.key)) for record in records]


async def _history(store: Store, key: int) -> list[HistoryRow]:
    rows: list[HistoryRow] = []
    while more := await store.history(key, after=rows[-1].revision if rows else -1, limit=PAGE):
        rows += more
    return rows


async def verify(store: Store | str | os.PathLike[str], *, sagas: Sequence[Saga[Any]] = ()) -> list[Violation]:
    """Audit every order in a store, given open or by the path of its file; what is wrong, or an empty list.

    Checks what can be seen on disk: checksums and the file itself, that history has no gaps and was announced
    before it happened, that every order which has not ended has a way out, and that none ended as COMPENSATED with
    something forgotten. Without `sagas`, checks that need to know which step stands where are left out.

    Writes nothing, and may look at a file that is in use: other processes go on. Raises `FileNotFoundError`,
    `NotAStore` for a file that is empty or something else, and `StoreCorrupt` where too little of it can be read.
    """
    if not isinstance(store, (str, os.PathLike)):
        return await _verify(store, sagas)
    path = _existing(store)
    opened = SqliteStore(path)
    await opened.open()
    try:
        return [*_unsound(path), *await _verify(opened, sagas)]
    finally:
        await opened.close()


async def _verify(store: Store, sagas: Sequence[Saga[Any]]) -> list[Violation]:
    lease = await store.lease()
    return [violation async for page in pages(store) for violation in _judged(page, sagas, lease)]


def _judged(page: list[Order], sagas: Sequence[Saga[Any]], lease: Lease | None) -> list[Violation]:
    """What is wrong with these orders; where damage makes nonsense of some, each is judged alone."""
    try:
        return judge(Evidence(page, sagas, lease=lease))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        if len(page) > 1:
            return [violation for order in page for violation in _judged([order], sagas, lease)]
        return [Violation(SOUND.name, SOUND.sentence, page[0][0].id, f"its history makes no sense: {error}")]


def _existing(name: str | os.PathLike[str]) -> Path:
    """The path of a file; opening a store that is not there would make one."""
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(errno.ENOENT, "there is no such file", str(path))
    if path.stat().st_size == 0 or _is_blank(path):
        raise NotAStore(str(path), "an empty file")  # SQLite would take it for an empty database, and fill it
    return path


def _is_blank(path: Path) -> bool:
    """Whether it is a database without tables, in which the store would make its own."""
    with closing(sqlite3.connect(path)) as connection, suppress(sqlite3.DatabaseError):
        return not connection.execute("select count(*) from sqlite_schema").fetchone()[0]
    return False


def _unsound(path: Path) -> list[Violation]:
    """What SQLite itself says about the file."""
    with closing(sqlite3.connect(path)) as connection:
        found = [row[0] for row in connection.execute("pragma integrity_check")]
    return [] if found == ["ok"] else [Violation(SOUND.name, SOUND.sentence, None, line) for line in found]
