"""A saga that waits for a person, and whose steps take no time: what is measured is the waiting."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from attrs import frozen

from atone import Coordinator, Saga, Status, receive, step


@frozen
class Order:
    """The input."""

    number: int


@frozen
class Approve:
    """Lets an order pass."""

    by: str


@step
async def reserve(order: Order) -> None:
    """Do nothing."""


@reserve.compensation
async def release(order: Order) -> None:
    """Do nothing."""


@step(pivot=True)
async def ship(order: Order) -> None:
    """Do nothing."""


SAGA = Saga("order", input=Order, steps=[reserve, receive(Approve, timeout=timedelta(days=1)), ship])


async def until(coordinator: Coordinator, status: Status, orders: int) -> None:
    """Wait until so many orders have this status."""
    while (await coordinator.count(status=status)).get(status, 0) != orders:  # noqa: ASYNC110  # counts are not announced
        await asyncio.sleep(0.1)
