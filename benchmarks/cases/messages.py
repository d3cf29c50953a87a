"""Messages from another process than the one that hosts: how long until they have had their effect, and how many."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Generator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from atone import CancelAnswer, Coordinator, Handle, SendAnswer, Status

from .. import alone, bare
from ..case import Case, Setting
from ..drive import drive
from ..figure import Figure
from ..orders import APPROVED, Approve, Order
from ..ours import FINAL, coordinator, until
from ..statistic import percentiles


def host(path: Path, pipe: Connection) -> None:
    """Host the orders until the other process says that it is done."""

    async def serve() -> None:
        async with coordinator(path):
            pipe.send("ready")
            await asyncio.to_thread(pipe.recv)

    asyncio.run(serve())


@contextmanager
def hosted(path: Path) -> Generator[None, None, None]:
    """A process that hosts."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=host, args=(path, theirs), daemon=True)
    child.start()
    ours.recv()
    try:
        yield
    finally:
        ours.send("done")
        child.join()


def ours(setting: Setting) -> list[Figure]:
    """Asked by a coordinator that never hosts, as a script has it."""
    path = setting.folder / "orders.db"
    with hosted(path):
        return asyncio.run(_ask(path, setting))


async def _ask(path: Path, setting: Setting) -> list[Figure]:
    async with coordinator(path, host=False) as door:
        count = setting.number("messages")
        cancels = [await cancelled(order) for order in await place(door, "c", count)]
        approvals = [await approved(order) for order in await place(door, "a", count)]
        accepted, consumed = await rate(door, setting)
    return [
        *percentiles(cancels, "cancel, "),
        *percentiles(approvals, "message, "),
        Figure("accepted", accepted, "messages/s"),
        Figure("orders ended", consumed, "orders/s"),
    ]


async def place(door: Coordinator, name: str, orders: int) -> list[Handle]:
    """Orders that wait."""
    found = [await door.start(APPROVED, Order(f"{name}-{n}"), id=f"{name}-{n}") for n in range(orders)]
    await until(door, orders, Status.WAITING)
    return found


async def cancelled(order: Handle) -> float:
    """Seconds until the answer to a cancel."""
    began = time.perf_counter()
    answer = await order.cancel("to measure", by="benchmark")
    assert answer is CancelAnswer.ACCEPTED, answer
    return time.perf_counter() - began


async def approved(order: Handle) -> float:
    """Seconds until a message is seen to have been consumed, by one who was watching."""
    watch = order.watch((await order.status()).revision)
    change = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)  # let it begin to watch
    began = time.perf_counter()
    await order.send(Approve("alice"))
    seen = await change
    assert seen.event == "RECEIVED", seen
    return time.perf_counter() - began


async def rate(door: Coordinator, setting: Setting) -> tuple[float, float]:
    """Messages accepted a second, and orders a second that these have brought to their end."""
    orders = await place(door, "r", setting.number("orders"))
    ended = sum((await door.count(status=FINAL)).values())

    async def send(number: int) -> None:
        answer = await orders[number].send(Approve("alice"))
        assert answer is SendAnswer.ACCEPTED, answer

    began = time.perf_counter()
    run = await drive(range(len(orders)), send, flight=setting.number("flight"))
    await until(door, ended + len(orders), *FINAL)
    return run.rate, len(orders) / (time.perf_counter() - began)


def bare_messages(setting: Setting) -> list[Figure]:
    """Within one process: a message is one commit, its effect another."""
    path, seconds = setting.folder / "latency.db", setting.size["seconds"]
    run = asyncio.run(bare.run(path, commits=2, flight=1, seconds=seconds))
    return _named(run.latencies, bare.figures(setting, commits=1)[0].value, bare.figures(setting)[0].value)


def alone_messages(setting: Setting) -> list[Figure]:
    """The same commits."""
    run = alone.run(setting.folder / "latency.db", commits=2, batch=1, seconds=setting.size["seconds"])
    return _named(run.latencies, alone.figures(setting, commits=1)[0].value, alone.figures(setting)[0].value)


def _named(latencies: list[float], messages: float, orders: float) -> list[Figure]:
    return [
        *percentiles(latencies, "cancel, "),
        *percentiles(latencies, "message, "),
        Figure("accepted", messages, "messages/s"),
        Figure("orders ended", orders, "orders/s"),
    ]


CASES = [
    Case(
        "messages",
        "cancels and approvals from another process, one at a time; then many approvals, 64 at a time",
        size={"messages": 200, "orders": 5_000, "flight": 64, "seconds": 1},
        quick={"messages": 10, "orders": 100, "flight": 16, "seconds": 0.2},
        measures={"atone": ours, "bare": bare_messages, "sqlite": alone_messages},
    )
]
