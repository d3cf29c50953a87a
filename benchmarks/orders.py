"""The same orders through atone: reserve, charge, ship, each of which yields once and returns a small result."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from atone import Coordinator, Saga, SqliteStore, step


@frozen
class Order:
    """The input: as large as the bare loop's."""

    id: str
    sku: str
    quantity: int
    amount: int
    email: str


@frozen
class Reservation:
    """The result of the first step."""

    id: str


@frozen
class Charge:
    """The result of the second step."""

    id: str


@frozen
class Shipment:
    """The result of the last step."""

    id: str


@step
async def reserve(order: Order) -> Reservation:
    """Yield once."""
    await asyncio.sleep(0)
    return Reservation(f"reserve-{order.id}")


@reserve.compensation
async def release() -> None:
    """Yield once."""
    await asyncio.sleep(0)


@step
async def charge(order: Order) -> Charge:
    """Yield once."""
    await asyncio.sleep(0)
    return Charge(f"charge-{order.id}")


@charge.compensation
async def refund() -> None:
    """Yield once."""
    await asyncio.sleep(0)


@step(pivot=True)
async def ship(order: Order) -> Shipment:
    """Yield once."""
    await asyncio.sleep(0)
    return Shipment(f"ship-{order.id}")


SAGA = Saga("order", input=Order, steps=[reserve, charge, ship])


async def run(path: Path, orders: int, flight: int) -> float:
    """Seconds for so many orders, `flight` of them at a time."""
    numbers = iter(range(orders))
    async with Coordinator(SqliteStore(path), sagas=[SAGA]) as coordinator:

        async def worker(numbers: Iterator[int]) -> None:
            for number in numbers:
                text = str(number)
                order = Order(text, "widget", 2, 9999, "a@example.com")
                handle = await coordinator.start(SAGA, order, id=f"order/{text}")
                await handle.outcome()

        began = time.perf_counter()
        await asyncio.gather(*(worker(numbers) for _ in range(flight)))
        return time.perf_counter() - began
