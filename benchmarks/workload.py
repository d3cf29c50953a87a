"""What is asked of every shop in the same way, whatever system it is on."""

from __future__ import annotations

import asyncio
import time

from .case import Setting
from .drive import drive, during
from .figure import Figure
from .statistic import percentiles


def orders(setting: Setting) -> list[Figure]:
    """Orders that succeed."""
    return asyncio.run(_rate(setting, "order"))


def refused(setting: Setting) -> list[Figure]:
    """Orders that are undone."""
    return asyncio.run(_rate(setting, "refused"))


async def _rate(setting: Setting, kind: str) -> list[Figure]:
    flight = setting.number("flight")
    async with setting.shop() as shop:
        call = getattr(shop, kind)
        await drive(range(min(flight, 64)), call, flight=flight)  # connections are made, statements are prepared
        run = await drive(during(setting.size["seconds"], first=flight), call, flight=flight)
    return [Figure("", run.rate, "orders/s")]


def one_by_one(setting: Setting) -> list[Figure]:
    """One order after the other."""

    async def measure() -> list[float]:
        async with setting.shop() as shop:
            await drive(range(5), shop.order, flight=1)
            return (await drive(during(setting.size["seconds"], first=5), shop.order, flight=1)).latencies

    return percentiles(asyncio.run(measure()))


def approvals(setting: Setting) -> list[Figure]:
    """From the first approval to the last end."""
    return asyncio.run(_approvals(setting))


async def _approvals(setting: Setting) -> list[Figure]:
    orders, flight = setting.number("orders"), setting.number("flight")
    async with setting.shop() as shop:
        placed = await drive(range(orders), shop.park, flight=flight)
        await shop.parked(orders)
        began = time.perf_counter()
        await drive(range(orders), shop.approve, flight=flight)
        await shop.ended(orders)
        seconds = time.perf_counter() - began
    return [Figure("approved", orders / seconds, "orders/s"), Figure("placed", placed.rate, "orders/s")]
