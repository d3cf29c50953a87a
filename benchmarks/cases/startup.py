"""Starting with a large file: from the start of the process to the end of its first new order."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from .. import alone, bare, ours
from ..case import Case, Setting
from ..figure import Figure
from ..filling import prepared

Started = Callable[[Path, Connection], None]


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


def atone_start(setting: Setting) -> list[Figure]:
    """On a file with so many orders."""
    return first(ours.first_order, prepared(setting, final=setting.number("final"), waiting=setting.number("waiting")))


def bare_start(setting: Setting) -> list[Figure]:
    """On an empty file."""
    return first(bare.first_order, setting.folder / "bare.db")


def alone_start(setting: Setting) -> list[Figure]:
    """On a file with as many rows."""
    orders = setting.number("final") + setting.number("waiting")
    path = setting.shared / f"alone-{orders}.db"
    if not path.exists():
        alone.fill(path, orders)
    return first(alone.first_order, path)


def _case(name: str, about: str, orders: int) -> Case:
    return Case(
        name,
        about,
        size={"final": orders, "waiting": orders},
        quick={"final": min(orders, 500), "waiting": min(orders, 500)},
        measures={"atone": atone_start, "bare": bare_start, "sqlite": alone_start},
        rounds=5,
    )


CASES = [
    _case("startup-empty", "start of a process on a small file", 10),
    _case(
        "startup-large", "start of a process on a file with 1,000,000 orders that ended and 1,000,000 that wait", 10**6
    ),
]
