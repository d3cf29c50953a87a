"""Auditing a store: the same checks as in a simulation, on a real file."""

# ruff: noqa: D102 - the contract of a store says what each method means

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from ..sagas import Saga
from ..storage import HistoryRow, Lease, Query, Record, Store
from .evidence import Evidence, Violation
from .file import AuditedFile
from .oracle import SOUND, WHOLE, judge

#: An order as it is on disk, and its history.
Order = tuple[Record, list[HistoryRow]]
#: Orders, and lines of history, that are read at a time.
PAGE = 500


class Audited(Protocol):
    """What can be audited: a store, or its file."""

    async def lease(self) -> Lease: ...
    async def load(self, keys: Sequence[int]) -> list[Record]: ...
    async def history(self, key: int, *, after: int, limit: int) -> list[HistoryRow]: ...
    async def list(self, query: Query, limit: int) -> list[Record]: ...


async def pages(store: Audited) -> AsyncGenerator[list[Order]]:
    """Every order in an open store, with its messages and its whole history."""
    after = 0
    while listed := await store.list(Query(after_key=after), PAGE):
        after = listed[-1].key
        records = await store.load([one.key for one in listed])
        page = [await _order(store, record) for record in records]
        yield [order for order in page if order is not None]


async def _order(store: Audited, record: Record) -> Order | None:
    """An order and its history as of one moment: one that goes on meanwhile is read again. `None` if it was purged."""
    while True:
        rows = await _history(store, record.key)
        if rows and rows[-1].revision == record.revision:
            return record, rows
        again = await store.load([record.key])
        if not again:
            return None
        if again[0].revision == record.revision:
            return record, rows
        record = again[0]


async def _history(store: Audited, key: int) -> list[HistoryRow]:
    rows: list[HistoryRow] = []
    while more := await store.history(key, after=rows[-1].revision if rows else -1, limit=PAGE):
        rows += more
    return rows


async def verify(store: Store | str | os.PathLike[str], *, sagas: Sequence[Saga[Any]] = ()) -> list[Violation]:
    """Audit every order in a store, given open or by the path of its file; what is wrong, or an empty list.

    Checks what can be seen on disk: checksums, that history has no gaps and was announced before it happened, that
    every order which has not ended has a way out, and that none ended as COMPENSATED with something forgotten. Of a
    file also what SQLite says, that no row belongs to an order that is not there, and that none is there that was
    purged. Without `sagas`, checks that need to know which step stands where are left out.

    Writes nothing, and may look at a file that is in use, was left by a crash, or lies on a medium that cannot be
    written: other processes go on, and no log is worked off. (Beside a log without one, SQLite leaves its index,
    `-shm`.) Raises `FileNotFoundError`, `NotAStore` for a file that is empty or something else, `OlderSchema` and
    `NewerSchema` for one of another release, and `StoreCorrupt` where too little of it can be read.
    """
    if not isinstance(store, (str, os.PathLike)):
        return await _verify(store, sagas)
    while True:
        file = await AuditedFile.open(store)
        try:
            found = [*await _unsound(file), *await _verify(file, sagas)]
        finally:
            await file.close()
        if not file.moved:
            return found


async def _verify(store: Audited, sagas: Sequence[Saga[Any]]) -> list[Violation]:
    found: list[Violation] = []
    async with aclosing(pages(store)) as all_pages:
        async for page in all_pages:
            found += _judged(page, sagas, await store.lease())  # now: its epoch may have risen with these orders
    return found


def _judged(page: list[Order], sagas: Sequence[Saga[Any]], lease: Lease | None) -> list[Violation]:
    """What is wrong with these orders; where damage makes nonsense of some, each is judged alone."""
    try:
        return judge(Evidence(page, sagas, lease=lease))
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        if len(page) > 1:
            return [violation for order in page for violation in _judged([order], sagas, lease)]
        return [Violation(SOUND.name, SOUND.sentence, page[0][0].id, f"its history makes no sense: {error}")]


async def _unsound(file: AuditedFile) -> list[Violation]:
    """What SQLite itself says about the file, and what is wrong between its rows."""
    damaged = [Violation(SOUND.name, SOUND.sentence, None, line) for line in await file.unsound()]
    return damaged + [Violation(WHOLE.name, WHOLE.sentence, None, line) for line in await file.half_done()]
