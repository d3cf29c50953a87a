"""What an order costs its host while it waits for a person: `python -m benchmarks.waiting`, for Linux.

Orders that wait are rows on disk, so the memory of the host should not grow with their number. In the end each is
approved, and has to complete.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import resource
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

from atone import Coordinator, SendAnswer, SqliteStore, Status

from .approvals import SAGA, Approve, Order, until

FLIGHT = 500  #: calls at a time
FIRST = 1_000  #: orders with which the host has warmed up


def resident() -> int:
    """Bytes of this process in memory, without what the allocator could give back."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


async def for_each(numbers: Iterable[int], call: Callable[[int], Awaitable[None]]) -> float:
    """Make a call for each number, some at a time; the seconds that it took."""
    rest = iter(numbers)

    async def worker() -> None:
        for number in rest:
            await call(number)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(FLIGHT)))
    return time.perf_counter() - began


async def measure(path: Path, orders: int) -> None:
    """Fill the store in four strides, and empty it in one."""
    async with Coordinator(SqliteStore(path), sagas=[SAGA]) as coordinator:

        async def place(number: int) -> None:
            await coordinator.start(SAGA, Order(number), id=f"order-{number}")

        async def approve(number: int) -> None:
            answer = await coordinator.order(f"order-{number}").send(Approve("alice"))
            assert answer is SendAnswer.ACCEPTED, answer

        began, first = 0, 0
        for total in (FIRST, orders // 10, orders // 2, orders):
            await for_each(range(began, total), place)
            await until(coordinator, Status.WAITING, total)
            began, bytes_now = total, resident()
            first = first or bytes_now
            each = (bytes_now - first) / (total - FIRST) if total > FIRST else 0
            print(f"{total:9,} waiting: {bytes_now / 1e6:6.1f} MB, {each:5.0f} bytes for each", flush=True)

        seconds = await for_each(range(orders), approve)
        print(f"{orders:9,} approved in {seconds:.0f} s", flush=True)
        await until(coordinator, Status.COMPLETED, orders)
        print(f"{orders:9,} completed; {resident() / 1e6:.1f} MB")


def main() -> None:
    """Measure in a folder that is thrown away."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--dir", default=None, help="a folder on the disk to be measured")
    options = parser.parse_args()
    with TemporaryDirectory(dir=options.dir) as folder:
        asyncio.run(measure(Path(folder, "orders.db"), options.orders))


if __name__ == "__main__":
    main()
