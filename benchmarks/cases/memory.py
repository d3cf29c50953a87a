"""Memory of the host: for each order under way, and for each that waits for a person."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from atone import Status

from .. import bare
from ..case import Case, Setting
from ..drive import drive
from ..figure import Figure
from ..orders import SAGA, Order
from ..ours import AtoneShop, coordinator, until
from ..process import resident
from ..shop import StepLog

FLIGHT = 500


def active(setting: Setting) -> list[Figure]:
    """Orders that are all in the middle of a step."""

    async def measure() -> int:
        log = StepLog(setting.folder, hang=True)
        door = await coordinator(setting.folder / "orders.db", log).__aenter__()
        orders = setting.number("orders")

        async def start(number: int) -> None:
            await door.start(SAGA, Order(f"o-{number}"), id=f"o-{number}")

        return await growth(start, orders)  # the process ends as it is: what hangs would only delay it

    return _each(setting, asyncio.new_event_loop().run_until_complete(measure()))


def bare_active(setting: Setting) -> list[Figure]:
    """Tasks of the bare loop that have committed their first row, and hang."""

    async def measure() -> int:
        journal = bare.Journal(setting.folder / "bare.db")
        await journal.open()
        tasks: list[asyncio.Task[None]] = []

        async def hang(number: int) -> None:
            state = {"id": f"order/{number}", "input": {"sku": "widget", "email": "a@example.com"}}
            await journal.commit((str(state["id"]), 1, "running", None, b"{}"), "started")
            await asyncio.Event().wait()
            del state

        async def start(number: int) -> None:
            tasks.append(asyncio.create_task(hang(number)))
            await asyncio.sleep(0)

        return await growth(start, setting.number("orders"))

    return _each(setting, asyncio.new_event_loop().run_until_complete(measure()))


async def growth(start: Callable[[int], Awaitable[None]], orders: int) -> int:
    """Bytes that this process has grown by with so many orders; a few come first, to warm up."""
    warm = orders // 10
    await drive(range(warm), start, flight=FLIGHT)
    await asyncio.sleep(0.5)  # what is shared has been made, and the first steps are under way
    before = resident()
    await drive(range(warm, warm + orders), start, flight=FLIGHT)
    await asyncio.sleep(0.5)
    return resident() - before


def _each(setting: Setting, grown: int) -> list[Figure]:
    return [Figure("each", grown / setting.number("orders") / 1024, "KiB")]


def waiting(setting: Setting) -> list[Figure]:
    """How much the process grows between its first thousands of waiting orders and the last."""

    async def measure() -> float:
        few, many = setting.number("few"), setting.number("many")
        async with AtoneShop(setting.folder, StepLog()) as shop:
            await drive(range(few), shop.park, flight=FLIGHT)
            await until(shop.door, few, Status.WAITING)
            before = resident()
            await drive(range(few, many), shop.park, flight=FLIGHT)
            await until(shop.door, many, Status.WAITING)
            return (resident() - before) / 1e6

    return [Figure("growth", asyncio.run(measure()), "MB")]


CASES = [
    Case(
        "memory-active",
        "memory for each order that is in the middle of a step",
        size={"orders": 8_000},
        quick={"orders": 500},
        measures={"atone": active, "bare": bare_active},
        rounds=3,
    ),
    Case(
        "memory-waiting",
        "growth of the process from 10,000 to 1,000,000 orders that wait for a person",
        size={"few": 10_000, "many": 10**6},
        quick={"few": 200, "many": 1_000},
        measures={"atone": waiting},
        rounds=1,
    ),
]
