"""Starting with a large file: from the start of the process to the end of its first new order."""

from __future__ import annotations

import asyncio
import multiprocessing
import sqlite3
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from .. import alone, bare
from ..case import Case, Setting
from ..figure import Figure
from ..filling import prepared
from ..orders import SAGA, Order
from ..ours import coordinator
from ..process import resident

Started = Callable[[Path, Connection], None]


def atone_first(path: Path, pipe: Connection) -> None:
    """Open the file, and bring one order to its end."""

    async def serve() -> None:
        async with coordinator(path) as door:
            opened = time.monotonic()
            id = f"first-{time.time_ns()}-0"
            await (await door.start(SAGA, Order(id), id=id)).outcome()
            pipe.send((opened, time.monotonic(), resident()))

    asyncio.run(serve())


def bare_first(path: Path, pipe: Connection) -> None:
    """The same through the bare loop, which has nothing to look after."""

    async def serve() -> None:
        journal = bare.Journal(path)
        await journal.open()
        opened = time.monotonic()
        await bare.order(journal, 0, 4, "")
        pipe.send((opened, time.monotonic(), resident()))
        await journal.close()

    asyncio.run(serve())


def alone_first(path: Path, pipe: Connection) -> None:
    """Open the file, and commit four times."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("select count(*) from (select 1 from orders limit 1)").fetchone()
    opened = time.monotonic()
    for seq in range(4):
        alone.commit(database, [("first", seq, "running", b"x" * 300)])
    pipe.send((opened, time.monotonic(), resident()))
    database.close()


def first(target: Started, path: Path) -> list[Figure]:
    """Seconds since the process was asked for."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    began = time.monotonic()
    child = context.Process(target=target, args=(path, theirs))
    child.start()
    theirs.close()
    opened, served, memory = ours.recv()
    child.join()
    return [
        Figure("open", opened - began, "s"),
        Figure("first order", served - began, "s"),
        Figure("memory", memory / 1e6, "MB"),
    ]


def ours(setting: Setting) -> list[Figure]:
    """On a file with so many orders."""
    return first(atone_first, prepared(setting, final=setting.number("final"), waiting=setting.number("waiting")))


def bare_start(setting: Setting) -> list[Figure]:
    """On an empty file."""
    return first(bare_first, setting.folder / "bare.db")


def alone_start(setting: Setting) -> list[Figure]:
    """On a file with as many rows."""
    orders = setting.number("final") + setting.number("waiting")
    path = setting.shared / f"alone-{orders}.db"
    if not path.exists():
        alone.fill(path, orders)
    return first(alone_first, path)


def _case(name: str, about: str, orders: int) -> Case:
    return Case(
        name,
        about,
        size={"final": orders, "waiting": orders},
        quick={"final": min(orders, 500), "waiting": min(orders, 500)},
        measures={"atone": ours, "bare": bare_start, "sqlite": alone_start},
        rounds=5,
    )


CASES = [
    _case("startup-empty", "start of a process on a small file", 10),
    _case("startup-large", "start of a process on a file with 1,000,000 orders that ended and 1,000,000 that wait", 10**6),
]
