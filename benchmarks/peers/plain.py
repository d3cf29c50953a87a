"""The honest baseline: what a user would write by hand with asyncio and SQLite.

One connection, a row for each order, a commit after every step, and a loop at the start that goes on with what had not
ended. It has no keys, no retries, no cancel, no guard against a second process, and a failure while a compensation runs
is lost: this is what is left when a saga is written in an afternoon.
"""

# ruff: noqa: D102 - `Shop` says what each method means
from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Self

import aiosqlite

from ..shop import STEPS, StepLog

SCHEMA = """
pragma journal_mode = wal;
pragma synchronous = full;
create table if not exists orders (id text primary key, kind text, status text, step int, results text);
"""
UNDO = ("release", "refund")


class PlainShop:
    """An order is a coroutine; its row says how far it came."""

    def __init__(self, path: Path, log: StepLog) -> None:
        self._path, self._log = path, log
        self._approved: dict[str, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._database = await aiosqlite.connect(self._path)
        await self._database.executescript(SCHEMA)
        rows = await self._database.execute_fetchall(
            "select id, kind, step, results from orders where status in ('running', 'waiting')"
        )
        for id, kind, step, results in rows:
            self._spawn(id, kind, step, json.loads(results))
        return self

    async def __aexit__(self, *error: object) -> None:
        await asyncio.gather(*self._tasks)
        await self._database.close()

    async def order(self, number: int) -> None:
        await self._new(number, "order")
        await self._run(f"o-{number}", "order", 0, {})

    async def refused(self, number: int) -> None:
        await self._new(number, "refused")
        await self._run(f"o-{number}", "refused", 0, {})

    async def begin(self, number: int) -> None:
        await self._new(number, "order")
        self._spawn(f"o-{number}", "order", 0, {})

    async def park(self, number: int) -> None:
        await self._new(number, "approved")
        self._spawn(f"o-{number}", "approved", 0, {})

    async def approve(self, number: int) -> None:
        id = f"o-{number}"
        await self._database.execute("update orders set kind = 'order' where id = ?", (id,))
        await self._database.commit()
        self._gate(id).set()

    async def parked(self, orders: int) -> None:
        await self._until("status = 'waiting'", orders)

    async def ended(self, orders: int) -> None:
        await self._until("status in ('completed', 'compensated')", orders)

    async def _new(self, number: int, kind: str) -> None:
        await self._database.execute("insert into orders values (?, ?, 'running', 0, '{}')", (f"o-{number}", kind))
        await self._database.commit()

    def _spawn(self, id: str, kind: str, step: int, results: dict[str, Any]) -> None:
        task = asyncio.create_task(self._run(id, kind, step, results))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, id: str, kind: str, step: int, results: dict[str, Any]) -> None:
        for place in range(step, len(STEPS)):
            if kind == "approved" and place == 1:
                await self._save(id, "waiting", place, results)
                await self._gate(id).wait()
            results[STEPS[place]] = await self._log.act(id, STEPS[place])
            if kind == "refused" and place + 1 == len(STEPS):
                return await self._undo(id, results)
            await self._save(id, "completed" if place + 1 == len(STEPS) else "running", place + 1, results)
        return None

    async def _undo(self, id: str, results: dict[str, Any]) -> None:
        await self._save(id, "undoing", 2, results)
        for place in (1, 0):
            await self._log.act(id, UNDO[place])
            await self._save(id, "undoing" if place else "compensated", place, results)

    async def _save(self, id: str, status: str, step: int, results: dict[str, Any]) -> None:
        await self._database.execute(
            "update orders set status = ?, step = ?, results = ? where id = ?", (status, step, json.dumps(results), id)
        )
        await self._database.commit()

    def _gate(self, id: str) -> asyncio.Event:
        return self._approved.setdefault(id, asyncio.Event())

    async def _until(self, condition: str, orders: int) -> None:
        count = f"select count(*) from orders where {condition}"  # noqa: S608  # the condition is one of two above
        while next(iter(await self._database.execute_fetchall(count)))[0] < orders:
            await asyncio.sleep(0.02)


def open_shop(system: str, folder: Path, *, log: StepLog | None = None) -> PlainShop:  # noqa: ARG001  # one shop only
    """The shop in this folder."""
    return PlainShop(folder / "plain.db", log or StepLog())
