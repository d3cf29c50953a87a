"""Files with many orders in them, made quickly.

One order is run for real while its writes are listened to; the others are written as it stood in the end, through the
same store, a row each. So the bytes are those of the release that is measured, and no table is known here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve

from atone import Coordinator, Saga, SqliteStore, Status

from .case import Setting
from .orders import APPROVED, SAGA, Order
from .ours import until
from .shop import StepLog

#: Orders that are handed to the store at a time.
SLICE = 4_000


class Tape(SqliteStore):
    """A store that remembers what was written, until it is told to stop."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.writes: list[Any] | None = []

    def submit(self, write: Any, done: Callable[[Any], None]) -> None:
        """Write it, and keep it when an order is created or moves on."""
        if self.writes is not None and type(write).__name__ in {"Create", "Advance"}:
            self.writes.append(write)
        super().submit(write, done)

    def stop(self) -> Any:
        """The creation of an order that stands at once where the one that was run stands."""
        assert self.writes is not None, "it was stopped before"
        (first, *_, last), writes, self.writes = self.writes, self.writes, None
        history = tuple(entry for write in writes for entry in write.history)
        return evolve(first, snapshot=last.snapshot, history=history)


def copy(template: Any, id: str) -> Any:
    """The same under another id."""
    return evolve(template, id=id, input=template.input.replace(template.id.encode(), id.encode()))


async def fill(path: Path, *, final: int, waiting: int) -> None:
    """Make a file with so many orders that have ended, and so many that wait for a person, in turn."""
    for saga, orders, status, prefix in (
        (SAGA, final, Status.COMPLETED, "final"),
        (APPROVED, waiting, Status.WAITING, "waiting"),
    ):
        if orders:
            await _copies(path, saga, orders, status, prefix)


async def _copies(path: Path, saga: Saga[Order], orders: int, status: Status, prefix: str) -> None:
    tape = Tape(path)
    async with Coordinator(tape, sagas=[SAGA, APPROVED], provide=[StepLog()]) as door:
        id = f"{prefix}-template-0"
        await door.start(saga, Order(id), id=id)
        await until(door, 1, status)
        template = tape.stop()
        for first in range(1, orders, SLICE):
            copies = [copy(template, f"{prefix}-{number}") for number in range(first, min(orders, first + SLICE))]
            await asyncio.gather(*map(tape.write, copies))


def prepared(setting: Setting, *, final: int, waiting: int) -> Path:
    """Such a file; the first case of a run that asks for it has it made."""
    path = setting.shared / f"orders-{final}-{waiting}.db"
    if not path.exists():
        half = path.with_suffix(".half.db")
        for left in half.parent.glob(f"{half.name}*"):  # by one that was stopped
            left.unlink()
        asyncio.run(fill(half, final=final, waiting=waiting))
        half.rename(path)
    return path
