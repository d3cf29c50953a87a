"""The days of the shop: processes that open it, serve customers and close it, in one life or in several."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, closing, suppress
from datetime import timedelta
from functools import partialmethod
from pathlib import Path
from unittest.mock import patch

from atone import Coordinator, SqliteStore
from atone.actors import Limits
from atone.storage import make_converter, sqlite
from atone.storage.checkpoint import Checkpointer
from atone.storage.migration import MIGRATIONS

from . import lives
from .book import Book, read
from .customers import Customer, again
from .shop import Manner, Order, Participants, orders, proof_saga

#: a release to come, so that a migration of a file with live orders is among what is tested
NEXT_SCHEMA = (
    *MIGRATIONS,
    "create table proof (id integer primary key) strict;\ncreate index proof_at on history (at);",
)
#: pages between two checkpoints: few, since the files here are small
_PAGES = 60
#: seconds for which somebody who browses sees the file as it was
_GLANCE = 0.01
#: the line in the book behind which the next release owns the file
MONDAY_IS_OVER = "monday is over"
_LIMITS = Limits(scan=0.04)
#: Made once, and inherited by every fork: making one takes as long as a day of the shop.
_CONVERTER = make_converter()

MONDAY = orders("monday", [Manner.LARGE, Manner.LOST, Manner.REFUSED, Manner.APPROVED, Manner.CANCELLED])
TUESDAY = orders(
    "tuesday", [Manner.PLAIN, Manner.LARGE, Manner.UNSENT, Manner.LATE, Manner.DECLINED, Manner.CANCELLED, Manner.HASTY]
)


def coordinator(path: Path, book: Book, *, host: bool = True) -> Coordinator:
    """The real thing, with a quick pulse."""
    shop = [Participants(book)] if host else []
    store = SqliteStore(path, busy_timeout=2.0)
    return Coordinator(
        store, sagas=[proof_saga], provide=shop, host=host, shutdown_grace=2.0, limits=_LIMITS, converter=_CONVERTER
    )


async def day(path: Path, book: Book, placed: Sequence[Order], *, purge: bool = False, host: bool = True) -> None:
    """Open, serve some customers (and sweep up behind those of the day before), close."""
    async with coordinator(path, book, host=host) as opened, browsing(path):
        if purge:
            await again(lambda: opened.purge(older_than=timedelta()))
        async with asyncio.TaskGroup() as tasks:
            for order in placed:
                tasks.create_task(Customer(coordinator=opened, book=book, order=order).serve())


@asynccontextmanager
async def browsing(path: Path) -> AsyncGenerator[None]:
    """Somebody looks at the file for a while, again and again: a checkpoint meanwhile moves but a part of the log."""

    async def browse() -> None:
        with suppress(sqlite3.Error), closing(sqlite3.connect(path, isolation_level=None)) as db:  # a fault is for all
            for verb in itertools.cycle(("begin", "commit")):
                db.execute(verb)
                db.execute("select count(*) from sqlite_schema").fetchone()
                await asyncio.sleep(_GLANCE)

    browser = asyncio.create_task(browse())
    try:
        yield
    finally:
        browser.cancel()
        with suppress(asyncio.CancelledError):
            await browser


def work(path: Path, notes: Path, placed: Sequence[Order], *, host: bool = True) -> None:
    """One process that serves some customers and ends."""
    book = Book(notes)
    asyncio.run(day(path, book, placed, host=host))
    book.close()


def host(path: Path, notes: Path, placed: Sequence[Order]) -> None:
    """One process that serves some customers, and stays until it is asked to leave by SIGTERM."""
    book = Book(notes)

    async def stay() -> None:
        leaving = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaving.set)
        lives.heed()
        serving = asyncio.create_task(_day_and_night(path, book, placed))
        left = asyncio.create_task(leaving.wait())
        await asyncio.wait([serving, left], return_when=asyncio.FIRST_COMPLETED)
        left.cancel()
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving

    asyncio.run(stay())
    book.close()


async def _day_and_night(path: Path, book: Book, placed: Sequence[Order]) -> None:
    async with coordinator(path, book) as opened, asyncio.TaskGroup() as tasks:
        for order in placed:
            tasks.create_task(Customer(coordinator=opened, book=book, order=order).serve())
        tasks.create_task(asyncio.Event().wait())


def monday(folder: Path) -> None:
    """The first half of the workload: the file is made, used and closed."""
    book = Book(folder / "book")
    if MONDAY_IS_OVER not in read(folder / "book"):  # else this release must not open the next one's file
        with frequent_checkpoints():
            asyncio.run(day(folder / "db" / "orders.db", book, MONDAY))
        book.write(MONDAY_IS_OVER)
    book.close()


def two_days(folder: Path) -> None:
    """The whole workload: then the file is migrated by the next release, swept, used and closed.

    All of it may be repeated: after a fault, the same call is also what brings every order to its end.
    """
    monday(folder)
    book = Book(folder / "book")
    with frequent_checkpoints(), patch.object(sqlite, "MIGRATIONS", NEXT_SCHEMA):
        asyncio.run(day(folder / "db" / "orders.db", book, TUESDAY, purge=True))
    book.close()


def frequent_checkpoints() -> AbstractContextManager[object]:
    """A checkpoint after a few pages, as often as a large file would see them."""
    return patch.object(Checkpointer, "run", partialmethod(Checkpointer.run, due=_PAGES))
