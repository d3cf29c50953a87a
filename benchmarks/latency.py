"""How long another process waits for its cancels and approvals: `python -m benchmarks.latency`.

A child process hosts the orders; this one has a coordinator that never hosts, as a script has.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import statistics
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from atone import CancelAnswer, Coordinator, Handle, SqliteStore, Status

from .approvals import SAGA, Approve, Order, until

ORDERS = 200  #: for each of the two figures


def host(path: Path, pipe: Connection) -> None:
    """Host the orders until the parent says that it is done."""

    async def serve() -> None:
        async with Coordinator(SqliteStore(path), sagas=[SAGA]):
            pipe.send("ready")
            await asyncio.to_thread(pipe.recv)

    asyncio.run(serve())


async def cancel(order: Handle) -> float:
    """Seconds until the answer to a cancel."""
    begin = perf_counter()
    answer = await order.cancel("to measure", by="benchmark")
    seconds = perf_counter() - begin
    assert answer is CancelAnswer.ACCEPTED, answer
    return seconds


async def approve(order: Handle) -> float:
    """Seconds until an approval is seen to be consumed, by one who was watching."""
    watch = order.watch((await order.status()).revision)
    change = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)  # let it begin to watch
    begin = perf_counter()
    await order.send(Approve("alice"))
    seen = await change
    seconds = perf_counter() - begin
    assert seen.event == "RECEIVED", seen
    return seconds


async def place(coordinator: Coordinator, name: str) -> list[Handle]:
    """Start orders, and see all of them wait."""
    orders = [await coordinator.start(SAGA, Order(n), id=f"{name}-{n}") for n in range(ORDERS)]
    await until(coordinator, Status.WAITING, ORDERS)
    return orders


async def measure(path: Path) -> None:
    """Ask one after the other, and print the figures."""
    asks: dict[str, Callable[[Handle], Awaitable[float]]] = {"cancel": cancel, "approve": approve}
    async with Coordinator(SqliteStore(path), sagas=[SAGA], host=False) as coordinator:
        for name, ask in asks.items():
            seconds = [await ask(order) for order in await place(coordinator, name)]
            p99 = statistics.quantiles(seconds, n=100)[98]
            print(f"{name:8} median {statistics.median(seconds) * 1000:6.1f} ms   p99 {p99 * 1000:6.1f} ms")


def main() -> None:
    """Measure with a host in a process of its own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    with TemporaryDirectory(prefix="latency-") as folder:
        path = Path(folder) / "orders.db"
        child = context.Process(target=host, args=(path, theirs), daemon=True)
        child.start()
        ours.recv()
        asyncio.run(measure(path))
        ours.send("done")
        child.join()


if __name__ == "__main__":
    main()
