"""What a transition costs when the file is large: of new orders, and of old ones that are woken at random."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

from atone import SendAnswer, Status

from .. import alone, bare
from ..case import Case, Setting
from ..drive import drive, during
from ..figure import Figure
from ..filling import prepared
from ..orders import SAGA, Approve, Order
from ..ours import coordinator, until


def ours(setting: Setting) -> list[Figure]:
    """New orders in a small file and in a large one, in turn; then old ones of the large file."""
    orders = setting.number("orders")
    small = prepared(setting, final=setting.number("small"), waiting=0)
    large = prepared(setting, final=orders, waiting=orders)
    few, many = asyncio.run(_new(setting, small)), asyncio.run(_new(setting, large))
    return [
        Figure("new, small file", few, "orders/s"),
        Figure("new, large file", many, "orders/s"),
        Figure("cost, large to small", few / many, "x"),
        Figure("woken", asyncio.run(_woken(setting, large)), "orders/s"),
    ]


async def _new(setting: Setting, path: Path) -> float:
    async with coordinator(path) as door:

        async def order(number: int) -> None:
            id = f"new-{random.getrandbits(60)}-{number}"
            await (await door.start(SAGA, Order(id), id=id)).outcome()

        flight = setting.number("flight")
        await drive(range(flight), order, flight=flight)
        return (await drive(during(setting.size["seconds"]), order, flight=flight)).rate


async def _woken(setting: Setting, path: Path) -> float:
    """Approve orders at random for so long; the seconds end when the last of them has ended."""
    async with coordinator(path) as door:
        ended = sum((await door.count(status=Status.COMPLETED)).values())

        async def approve(number: int) -> None:
            answer = await door.order(f"waiting-{number}").send(Approve("alice"))
            assert answer in {SendAnswer.ACCEPTED, SendAnswer.NEVER_EXPECTED, SendAnswer.ALREADY_FINISHED}, answer
            accepted.append(answer is SendAnswer.ACCEPTED)
            if answer is SendAnswer.ACCEPTED:
                await door.order(f"waiting-{number}").outcome()

        accepted: list[bool] = []
        run = await drive(
            _random(setting.size["seconds"], setting.number("orders")), approve, flight=setting.number("flight")
        )
        await until(door, ended + sum(accepted), Status.COMPLETED)
        return sum(accepted) / run.seconds


def _random(seconds: float, orders: int) -> Iterator[int]:
    """Numbers of old orders, without the template's; each once."""
    numbers = list(range(1, orders))
    random.shuffle(numbers)
    return (number for number, _ in zip(numbers, during(seconds), strict=False))


def bare_growth(setting: Setting) -> list[Figure]:
    """New orders in a file of its own; the bare loop is not asked what it costs to grow."""
    rate = bare.figures(setting)[0].value
    return [Figure("new, small file", rate, "orders/s"), Figure("new, large file", rate, "orders/s")]


def alone_growth(setting: Setting) -> list[Figure]:
    """New rows as everywhere, and random rows of a file with as many."""
    orders = setting.number("orders")
    path = setting.shared / f"alone-{2 * orders}.db"
    if not path.exists():
        alone.fill(path, 2 * orders)
    rate = alone.figures(setting)[0].value
    woken = alone.wake(path, orders, commits=4, seconds=setting.size["seconds"])
    return [
        Figure("new, small file", rate, "orders/s"),
        Figure("new, large file", rate, "orders/s"),
        Figure("woken", woken.rate, "orders/s"),
    ]


CASES = [
    Case(
        "growth",
        "new orders beside 1,000, and beside 1,000,000 that ended and as many that wait; some of these woken at random",
        size={"small": 1_000, "orders": 10**6, "flight": 1_000, "seconds": 5},
        quick={"small": 10, "orders": 500, "flight": 50, "seconds": 0.3},
        measures={"atone": ours, "bare": bare_growth, "sqlite": alone_growth},
        rounds=5,
    )
]
