"""How long a cancel waits for its answer while thousands of orders run in the same process."""

from __future__ import annotations

import asyncio
import random
import time

from atone import CancelAnswer, Coordinator

from .. import alone, bare
from ..case import Case, Setting
from ..drive import drive, during
from ..figure import Figure
from ..orders import APPROVED, SAGA, Order
from ..ours import coordinator
from ..statistic import percentiles


def ours(setting: Setting) -> list[Figure]:
    """Cancels of orders that wait, and of orders that run, one at a time, at random moments."""
    return asyncio.run(_ours(setting))


async def _ours(setting: Setting) -> list[Figure]:
    async with coordinator(setting.folder / "orders.db") as door:
        waiting = [await door.start(APPROVED, Order(f"w-{n}"), id=f"w-{n}") for n in range(setting.number("cancels"))]
        running: dict[int, None] = {}

        async def order(number: int) -> None:
            handle = await door.start(SAGA, Order(f"o-{number}"), id=f"o-{number}")
            running[number] = None
            await handle.outcome()
            del running[number]

        load = asyncio.create_task(drive(during(setting.size["seconds"]), order, flight=setting.number("flight")))
        await asyncio.sleep(setting.size["seconds"] / 5)  # until all of them are under way
        still, moving = list[float](), list[float]()
        while not load.done() and waiting:
            still.append(await cancel(door, waiting.pop().id))
            await asyncio.sleep(random.uniform(0, 0.02))
            if running:
                moving.append(await cancel(door, f"o-{random.choice(list(running))}"))
        rate = (await load).rate
    return [
        *percentiles(still, "waiting, "),
        *percentiles(moving, "running, "),
        Figure("orders meanwhile", rate, "orders/s"),
    ]


async def cancel(door: Coordinator, id: str) -> float:
    """Seconds until the answer; whatever it is, it is one."""
    began = time.perf_counter()
    answer = await door.order(id).cancel("to measure", by="benchmark", timeout=60)
    assert answer is not CancelAnswer.NOT_FOUND, id
    return time.perf_counter() - began


def bare_load(setting: Setting) -> list[Figure]:
    """Two more commits, one after the other, beside the same load: the request and its answer."""
    return asyncio.run(_bare(setting))


async def _bare(setting: Setting) -> list[Figure]:
    journal = bare.Journal(setting.folder / "bare.db")
    await journal.open()

    async def order(number: int) -> None:
        await bare.order(journal, number, 4, "")

    try:
        load = asyncio.create_task(drive(during(setting.size["seconds"]), order, flight=setting.number("flight")))
        await asyncio.sleep(setting.size["seconds"] / 5)
        waits = list[float]()
        while not load.done():
            began = time.perf_counter()
            for seq in (1, 2):
                await journal.commit((f"request/{len(waits)}", seq, "asked", None, b"{}"), "asked")
            waits.append(time.perf_counter() - began)
            await asyncio.sleep(random.uniform(0, 0.02))
        rate = (await load).rate
    finally:
        await journal.close()
    each = [figure for kind in ("waiting, ", "running, ") for figure in percentiles(waits, kind)]
    return [*each, Figure("orders meanwhile", rate, "orders/s")]


def alone_load(setting: Setting) -> list[Figure]:
    """The same load."""
    return [Figure("orders meanwhile", alone.figures(setting)[0].value, "orders/s")]


_CASE = Case(
    "fairness",
    "answers to cancels while 10,000 orders run in the same process",
    size={"flight": 10_000, "seconds": 10, "cancels": 1_000},
    quick={"flight": 200, "seconds": 0.6, "cancels": 50},
    measures={"atone": ours, "bare": bare_load, "sqlite": alone_load},
)
CASES = [_CASE, _CASE.tuned()]
