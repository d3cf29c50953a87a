"""Two lives of one shop: the first is killed with all its orders under way, the second goes on.

The first life is a child that this process kills by SIGKILL, with all that it has started. The second is timed from
the start of its process, so that imports and the taking over are part of it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter

from . import child
from .case import Setting
from .drive import drive, during
from .figure import Figure
from .shop import STEPS, StepLog, steps_run

READY = "READY"


def recovery(setting: Setting) -> list[Figure]:
    """Kill a first life, and time a second."""
    with _start(setting, "first_life") as first:
        assert first.stdout is not None
        assert any(line.startswith(READY) for line in first.stdout), "the first life ended by itself"
        first.kill()  # and what it has started dies with it
    began = time.monotonic()
    with _start(setting, "second_life") as second:
        output, _ = second.communicate()
    found = {figure.name: figure.value for figure in child.read(output) or ()}
    orders = setting.number("orders")
    rate = orders / (found["all ended"] - found["open"])
    return [
        *(Figure(name, found[name] - began, "s") for name in ("open", "first new order", "all ended")),
        Figure("resumed", rate, "orders/s"),
        Figure("resumed, to steady rate", rate / found["steady"], "x"),
        Figure("steps repeated", repeated(steps_run(setting.folder), orders), "steps"),
    ]


def _start(setting: Setting, life: str) -> subprocess.Popen[str]:
    """A life in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.child", __name__, life, setting.system]
    return subprocess.Popen(
        [*command, str(setting.folder), json.dumps(setting.size)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def repeated(steps: list[str], orders: int) -> int:
    """How often a step ran again; each order is to have run each of its steps once."""
    counts = Counter(line for line in steps if line.split()[1] in STEPS)
    assert len(counts) >= 3 * orders, f"{len(counts)} of {3 * orders} steps have run"
    return sum(counts.values()) - len(counts)


def first_life(setting: Setting) -> list[Figure]:
    """Start all orders, and hang with them until the kill."""

    async def live() -> None:
        orders, flight = setting.number("orders"), setting.number("flight")
        async with setting.shop(log=StepLog(setting.folder, hang=True)) as shop:
            await drive(range(orders), shop.begin, flight=flight)
            await hanging(setting, min(orders, setting.number("window")))
            print(READY, flush=True)
            await asyncio.Event().wait()

    asyncio.run(live())
    return []


async def hanging(setting: Setting, orders: int) -> None:
    """Wait until so many orders are in the middle of the step where they hang."""
    ran = 0
    while ran < sum(number % 3 + 1 for number in range(orders)):
        await asyncio.sleep(0.05)
        ran = len(steps_run(setting.folder))


def second_life(setting: Setting) -> list[Figure]:
    """Go on, serve a new order at once, and bring all to their end."""

    async def live() -> list[Figure]:
        orders = setting.number("orders")
        async with setting.shop(log=StepLog(setting.folder)) as shop:
            opened = time.monotonic()
            await shop.order(orders)
            served = time.monotonic()
            await shop.ended(orders + 1)
            ended = time.monotonic()
            flight = min(1_000, setting.number("flight"))
            steady = await drive(during(setting.size["seconds"], first=orders + 1), shop.order, flight=flight)
        return [
            Figure("open", opened, "s"),
            Figure("first new order", served, "s"),
            Figure("all ended", ended, "s"),
            Figure("steady", steady.rate, "orders/s"),
        ]

    return asyncio.run(live())
