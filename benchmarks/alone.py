"""SQLite alone: one thread that does nothing but commit the rows of transitions, with no program around it.

Nothing that keeps its orders in SQLite, with a commit for each group of transitions, can be faster than this.
"""

from __future__ import annotations

import itertools
import random
import sqlite3
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

from .case import Setting
from .drive import Run
from .figure import Figure
from .process import resident

SCHEMA = """
pragma journal_mode = wal;
pragma synchronous = full;
create table if not exists orders (id text primary key, seq int, status text, snapshot blob) without rowid;
create table if not exists journal (seq integer primary key, id text, revision int, event text, data blob);
"""
UPSERT = (
    "insert into orders values (?, ?, ?, ?) on conflict (id) do update set seq = excluded.seq, "
    "status = excluded.status, snapshot = excluded.snapshot"
)
INSERT = "insert into journal (id, revision, event, data) values (?, ?, ?, ?)"
#: As many rows as a program has orders in flight: the pages of these stay at hand.
WARM = 1_000
#: Transitions in one commit, where there are so many at a time.
BATCH = 512

Transition = tuple[str, int, str, bytes]


def connect(path: Path) -> sqlite3.Connection:
    """A connection that commits when it is told to."""
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript(SCHEMA)
    return database


def commit(database: sqlite3.Connection, transitions: list[Transition]) -> None:
    """One transaction: the order's row and a line of its history for each."""
    database.execute("begin immediate")
    database.executemany(UPSERT, transitions)
    database.executemany(INSERT, transitions)
    database.execute("commit")


def transitions(payload: int) -> Iterator[Transition]:
    """Transitions of some orders in turn, about as large as those of a small order."""
    body = b"x" * (300 + payload)
    return ((f"order/{n % WARM}", n // WARM, "running", body) for n in itertools.count())


def run(path: Path, *, commits: int, batch: int, seconds: float, payload: int = 0) -> Run:
    """Orders for so long, each of so many transitions; `batch` of these share a transaction."""
    rows, latencies = transitions(payload), list[float]()
    database = connect(path)
    began = time.perf_counter()
    while (now := time.perf_counter()) < began + seconds:
        for _ in range(commits):
            commit(database, list(itertools.islice(rows, batch)))
        latencies += [time.perf_counter() - now] * batch
    database.close()
    return Run(time.perf_counter() - began, latencies)


def figures(setting: Setting, *, commits: int = 4, payload: int = 0, unit: str = "orders/s") -> list[Figure]:
    """How many a second, as a reference for a case of the same size."""
    batch, seconds = min(BATCH, setting.number("flight")), setting.size["seconds"]
    found = run(setting.folder / "alone.db", commits=commits, batch=batch, seconds=seconds, payload=payload)
    return [Figure("", found.rate, unit)]


def fill(path: Path, orders: int) -> None:
    """Put so many orders into a file, in order of arrival."""
    database = connect(path)
    for first in range(0, orders, 10_000):
        commit(database, [(f"old/{n}", 1, "waiting", b"x" * 300) for n in range(first, min(orders, first + 10_000))])
    database.close()


def wake(path: Path, orders: int, *, commits: int, seconds: float) -> Run:
    """Random old orders for so long: the same pattern as approvals that come after months."""
    database, latencies = connect(path), list[float]()
    began = time.perf_counter()
    while (now := time.perf_counter()) < began + seconds:
        old = [f"old/{random.randrange(orders)}" for _ in range(BATCH)]
        for seq in range(commits):
            commit(database, [(id, seq + 2, "running", b"x" * 300) for id in old])
        latencies += [time.perf_counter() - now] * BATCH
    database.close()
    return Run(time.perf_counter() - began, latencies)


def first_order(path: Path, pipe: Connection) -> None:
    """In a new process: open a file, commit four times, and tell when each was done."""
    database = connect(path)
    opened = time.monotonic()
    for seq in range(4):
        commit(database, [("first", seq, "running", b"x" * 300)])
    pipe.send((opened, time.monotonic(), resident()))
    database.close()
