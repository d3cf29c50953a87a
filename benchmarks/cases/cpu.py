"""Where the time goes: processor time of the event loop and of the thread that writes, for each order."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

from .. import alone, bare
from ..case import Case, Setting
from ..drive import Run, drive, during
from ..figure import Figure


def atone_threads(setting: Setting) -> list[Figure]:
    """The loop runs the engine and the steps; a thread writes, and another reads."""
    flight = setting.number("flight")

    async def measure() -> list[Figure]:
        async with setting.shop() as shop:
            await drive(range(flight), shop.order, flight=flight)
            numbers = during(setting.size["seconds"], first=flight)
            return await shares(lambda: drive(numbers, shop.order, flight=flight))

    return asyncio.run(measure())


def bare_threads(setting: Setting) -> list[Figure]:
    """The same two threads."""
    flight = setting.number("flight")

    async def measure() -> list[Figure]:
        journal = bare.Journal(setting.folder / "bare.db")
        await journal.open()

        async def order(number: int) -> None:
            await bare.order(journal, number, 4, "")

        try:
            return await shares(lambda: drive(during(setting.size["seconds"]), order, flight=flight))
        finally:
            await journal.close()

    return asyncio.run(measure())


def alone_thread(setting: Setting) -> list[Figure]:
    """One thread, which only writes."""
    began = time.thread_time()
    batch = min(alone.BATCH, setting.number("flight"))
    run = alone.run(setting.folder / "alone.db", commits=4, batch=batch, seconds=setting.size["seconds"])
    return [Figure("writer", (time.thread_time() - began) / len(run.latencies) * 1e6, "µs/order")]


async def shares(work: Callable[[], Awaitable[Run]]) -> list[Figure]:
    """What each thread takes for an order: this one, the busiest other, and the rest."""
    before = _times()
    run = await work()
    spent = {ident: seconds - before.get(ident, 0.0) for ident, seconds in _times().items()}
    loop = spent.pop(threading.get_ident())
    writer, *rest = sorted(spent.values(), reverse=True)
    orders = len(run.latencies)
    return [
        Figure("loop", loop / orders * 1e6, "µs/order"),
        Figure("writer", writer / orders * 1e6, "µs/order"),
        Figure("other threads", sum(rest) / orders * 1e6, "µs/order"),
        Figure("loop busy", 100 * loop / run.seconds, "%"),
    ]


def _times() -> dict[int, float]:
    """Seconds of processor time of every thread of this process."""
    idents = [thread.ident for thread in threading.enumerate() if thread.ident is not None]
    return {ident: time.clock_gettime(time.pthread_getcpuclockid(ident)) for ident in idents}


CASES = [
    Case(
        "cpu",
        "processor time of each thread for an order, 1,000 in flight",
        size={"flight": 1_000, "seconds": 4},
        quick={"flight": 100, "seconds": 0.3},
        measures={"atone": atone_threads, "bare": bare_threads, "sqlite": alone_thread},
    )
]
