"""Stand-ins for the services that `service.py` calls. Their books are a file, and outlive each process."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from atone import PermanentError

SCHEMA = "create table if not exists book (key primary key, participant, order_id, amount, undone)"


class Participant:
    """Does things for orders, once for each key.

    A repeat under a known key changes nothing, and undoing closes the action's key for ever, so that an
    action which arrives later is refused. A real service must do both, for the whole to be exactly once.
    """

    latency = 0.02  #: seconds that a call takes

    def __init__(self, books: Path) -> None:
        self._books = books

    async def do(self, key: str, order_id: str, amount: int) -> None:
        """Do something. Raises `PermanentError` if it was undone before it came."""
        entry = (key, type(self).__name__, order_id, amount)
        if await self._write("values (?, ?, ?, ?, 0) on conflict do update set key = key", entry):
            raise PermanentError(f"{order_id}: this was undone already")

    async def undo(self, action_key: str) -> None:
        """Undo what was done under a key, if anything was, and refuse it from now on."""
        entry = (action_key, type(self).__name__)
        await self._write("values (?, ?, null, 0, 1) on conflict do update set undone = 1", entry)

    async def _write(self, values: str, entry: tuple[object, ...]) -> bool:
        await asyncio.sleep(self.latency)
        return await asyncio.to_thread(self._write_now, values, entry)

    def _write_now(self, values: str, entry: tuple[object, ...]) -> bool:
        """Write an entry; whether it is undone."""
        with closing(sqlite3.connect(self._books, timeout=30, isolation_level=None)) as db:
            db.execute(SCHEMA)
            [(undone,)] = db.execute(f"insert into book {values} returning undone", entry)
            return bool(undone)


class Warehouse(Participant):
    """Keeps goods."""


class Payments(Participant):
    """Takes money."""


class Carrier(Participant):
    """Takes goods to the customer."""
