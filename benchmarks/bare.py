"""The bare loop: the least that an asyncio program can do to make three steps durable.

No library, no checks, no recovery: it queues the same rows that an order needs and awaits the commit that it
shares with everybody else. What atone takes beyond this is the price of everything it promises.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import aiosqlite
from orjson import dumps

from .case import Setting
from .drive import Run, drive, during
from .figure import Figure
from .process import resident

STEPS = ("reserve", "charge", "ship")
UPSERT = (
    "insert into orders values (?, ?, ?, ?, ?) on conflict (id) do update set seq = excluded.seq, "
    "status = excluded.status, wake_at = excluded.wake_at, snapshot = excluded.snapshot where seq = excluded.seq - 1"
)
INSERT = "insert into history values (?, ?, ?, ?, ?)"
SCHEMA = (
    "pragma journal_mode = wal",
    "pragma synchronous = full",
    "create table orders (id text primary key, seq int, status text, wake_at real, snapshot blob) without rowid",
    "create table history (id text, seq int, at real, event text, data blob, primary key (id, seq)) without rowid",
)

Row = tuple[str, int, str, None, bytes]


class Journal:
    """Rows that wait, and one task that commits all of them at once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._queue: list[tuple[Row, tuple[Any, ...], asyncio.Future[None]]] = []
        self._wake = asyncio.Event()

    async def open(self) -> None:
        """Create the tables and start the writer."""
        self._database = await aiosqlite.connect(self._path, isolation_level=None)
        for statement in SCHEMA:
            await self._database.execute(statement)
        self._writer = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Stop the writer."""
        self._writer.cancel()
        await self._database.close()

    def commit(self, row: Row, event: str) -> asyncio.Future[None]:
        """Queue a row; the future is done when it is on disk."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((row, (row[0], row[1], time.time(), event, b"{}"), done))
        self._wake.set()
        return done

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            batch, self._queue = self._queue, []
            if not batch:
                continue

            def work(batch: list[Any] = batch, database: sqlite3.Connection = self._database._conn) -> None:  # noqa: SLF001
                database.execute("begin immediate")
                database.executemany(UPSERT, [one[0] for one in batch])
                database.executemany(INSERT, [one[1] for one in batch])
                database.execute("commit")

            await self._database._execute(work)  # type: ignore[no-untyped-call]  # noqa: SLF001  # the only door to its thread
            for _, _, done in batch:
                done.set_result(None)


async def order(journal: Journal, number: int, commits: int, payload: str) -> None:
    """One order of so many commits: an action that yields once before each but the first."""
    state: dict[str, Any] = {
        "id": f"order/{number}",
        "input": {"sku": "widget", "quantity": 2, "amount": 9999, "email": "a@example.com", "note": payload},
        "results": {},
    }
    for seq in range(1, commits + 1):
        event = "started" if seq == 1 else STEPS[(seq - 2) % len(STEPS)]
        if seq > 1:
            await asyncio.sleep(0)
            state["results"][event] = {"id": f"{event}-{number}", "note": payload}
        await journal.commit(
            (state["id"], seq, "completed" if seq == commits else "running", None, dumps(state)), event
        )


async def run(path: Path, *, commits: int = 4, flight: int, seconds: float, payload: int = 0) -> Run:
    """Orders for so long, `flight` of them at a time; each costs so many commits."""
    journal, note = Journal(path), "x" * payload
    await journal.open()
    try:
        await drive(range(-flight, 0), lambda number: order(journal, number, commits, note), flight=flight)
        return await drive(during(seconds), lambda number: order(journal, number, commits, note), flight=flight)
    finally:
        await journal.close()


def figures(setting: Setting, *, commits: int = 4, payload: int = 0, unit: str = "orders/s") -> list[Figure]:
    """How many a second, as a reference for a case of the same size."""
    flight, seconds = setting.number("flight"), setting.size["seconds"]
    path = setting.folder / f"bare-{commits}.db"
    found = asyncio.run(run(path, commits=commits, flight=flight, seconds=seconds, payload=payload))
    return [Figure("", found.rate, unit)]


def first_order(path: Path, pipe: Connection) -> None:
    """In a new process: open a file, bring one order to its end, and tell when each was done."""

    async def serve() -> None:
        journal = Journal(path)
        await journal.open()
        opened = time.monotonic()
        await order(journal, 0, 4, "")
        pipe.send((opened, time.monotonic(), resident()))
        await journal.close()

    asyncio.run(serve())
