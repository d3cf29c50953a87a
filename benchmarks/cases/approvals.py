"""Orders that wait for a person: first all of them wait, then all are approved, and then all have ended."""

from __future__ import annotations

import asyncio
import time

from .. import alone, bare
from ..case import Case, Setting, everybody
from ..drive import drive
from ..figure import Figure


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


def bare_approvals(setting: Setting) -> list[Figure]:
    """The message, what it sets off, and two steps: four commits; placing one is two."""
    return [
        Figure("approved", bare.figures(setting)[0].value, "orders/s"),
        Figure("placed", bare.figures(setting, commits=2)[0].value, "orders/s"),
    ]


def alone_approvals(setting: Setting) -> list[Figure]:
    """The same commits."""
    return [
        Figure("approved", alone.figures(setting)[0].value, "orders/s"),
        Figure("placed", alone.figures(setting, commits=2)[0].value, "orders/s"),
    ]


CASES = [
    Case(
        "approvals",
        "orders that wait for a person, all of them approved at once",
        size={"orders": 10_000, "flight": 500, "seconds": 2},
        quick={"orders": 200, "flight": 50, "seconds": 0.2},
        measures=everybody(approvals, bare=bare_approvals, sqlite=alone_approvals),
        slow={"orders": 500, "flight": 64},
    )
]
