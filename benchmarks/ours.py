"""The shop on atone."""

# ruff: noqa: D102 - `Shop` says what each method means
from __future__ import annotations

import asyncio
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Self

from atone import Coordinator, Handle, Saga, SendAnswer, SqliteStore, Status

from .orders import APPROVED, REFUSED, SAGA, Approve, Order
from .process import resident
from .shop import StepLog

FINAL = [status for status in Status if status.final]


def coordinator(path: Path, log: StepLog | None = None, *, host: bool = True) -> Coordinator:
    """A coordinator that knows all sagas of the benchmarks."""
    return Coordinator(SqliteStore(path), sagas=[SAGA, REFUSED, APPROVED], provide=[log or StepLog()], host=host)


async def until(door: Coordinator, orders: int, *statuses: Status) -> None:
    """Wait until so many orders have one of these statuses. To count them takes long where there are many."""
    while True:
        began = time.perf_counter()
        if sum((await door.count(status=statuses)).values()) >= orders:
            return
        await asyncio.sleep(max(0.02, 10 * (time.perf_counter() - began)))


class AtoneShop:
    """As its documentation says: open a coordinator, start an order, await its outcome."""

    def __init__(self, folder: Path, log: StepLog) -> None:
        self.door = coordinator(folder / "orders.db", log)

    async def __aenter__(self) -> Self:
        await self.door.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.door.__aexit__(None, None, None)

    async def _start(self, saga: Saga[Order], number: int) -> Handle:
        return await self.door.start(saga, Order(f"o-{number}"), id=f"o-{number}")

    async def order(self, number: int) -> None:
        outcome = await (await self._start(SAGA, number)).outcome()
        assert outcome.status is Status.COMPLETED, outcome

    async def refused(self, number: int) -> None:
        outcome = await (await self._start(REFUSED, number)).outcome()
        assert outcome.status is Status.COMPENSATED, outcome

    async def begin(self, number: int) -> None:
        await self._start(SAGA, number)

    async def park(self, number: int) -> None:
        await self._start(APPROVED, number)

    async def approve(self, number: int) -> None:
        answer = await self.door.order(f"o-{number}").send(Approve("alice"))
        assert answer is SendAnswer.ACCEPTED, answer

    async def parked(self, orders: int) -> None:
        await until(self.door, orders, Status.WAITING)

    async def ended(self, orders: int) -> None:
        await until(self.door, orders, *FINAL)


def open_shop(system: str, folder: Path, *, log: StepLog | None = None) -> AtoneShop:  # noqa: ARG001  # one shop only
    """The shop in this folder."""
    return AtoneShop(folder, log or StepLog())


def first_order(path: Path, pipe: Connection) -> None:
    """In a new process: open the file, bring one order to its end, and tell when each was done."""

    async def serve() -> None:
        async with coordinator(path) as door:
            opened = time.monotonic()
            id = f"first-{time.time_ns()}-0"
            await (await door.start(SAGA, Order(id), id=id)).outcome()
            pipe.send((opened, time.monotonic(), resident()))

    asyncio.run(serve())
