"""Hostile data: rows that were damaged, forged or confused, and callers who pass whatever they like.

A file with many waiting orders is mutated row by row, then hosted. The host lives; orders that nobody touched go on to
their end; an order whose bytes are damaged is parked and its bytes stay as they are; every question is answered, or
refused with a typed error.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import traceback
from collections.abc import Awaitable, Iterable
from contextlib import closing
from pathlib import Path
from zlib import crc32

from atone import AtoneError, Coordinator, CoordinatorFailed, Status

from . import callers, days, lives
from .book import Book
from .counts import Case, Counts
from .shop import Approve, Manner, Order, proof_saga
from .vandal import Vandal

WORKERS = 2
PER_CASE = 500

_ORDERS = 300
_UNTOUCHED = 60  #: of these
_SOON = 10.0  #: seconds in which a sound order must end
_EVERY_CALLER = 8  #: so many cases bother with hostile callers too, whom the rows make no difference to


def prepare(seed: int, _size: int, folder: Path) -> Case:
    """Make the file that every case mutates a copy of."""
    life = lives.begin(lambda: _fill(folder), folder)
    assert life.wait() == lives.DONE, lives.errors(folder)

    def case(index: int) -> Counts:
        chance = random.Random(f"{seed}/{index}")
        with lives.workplace() as place:
            shutil.copytree(folder, place, dirs_exist_ok=True)
            return torment(place, chance, calls=index % _EVERY_CALLER == 0)

    return case


def _fill(folder: Path) -> None:
    """Orders that wait, a third of them with results in rows of their own."""
    (folder / "db").mkdir(exist_ok=True)

    async def wait() -> None:
        book = Book(folder / "book")
        async with days.coordinator(folder / "db" / "orders.db", book) as opened:
            handles = await asyncio.gather(*(opened.start(proof_saga, order, id=order.id) for order in placed()))
            while await opened.count() != {Status.WAITING: len(handles)}:
                await asyncio.sleep(0.01)

    asyncio.run(wait())


def placed() -> list[Order]:
    """The orders in the file."""
    return [
        Order(f"approved-x-{number}", Manner.APPROVED, "x" * 3000 if number % 3 == 0 else "x" * 10)
        for number in range(_ORDERS)
    ]


def torment(folder: Path, chance: random.Random, *, calls: bool) -> Counts:
    """Mutate the file, host it, ask everything about it, and see who was harmed."""
    path = folder / "db" / "orders.db"
    with closing(sqlite3.connect(path)) as db:
        db.text_factory = bytes
        keys = [key for (key,) in db.execute("select key from actors order by key")]
        vandal = Vandal(db, chance)
        vandal.rage(keys[_UNTOUCHED:], PER_CASE)
        db.commit()
        broken, before = _broken(db), _standing(db)
    sound = [order.id for key, order in zip(keys, placed(), strict=True) if key not in vandal.touched]
    said = folder / "said"
    life = lives.begin(lambda: said.write_text("\n".join(asyncio.run(_host(folder, sound, calls=calls)))), folder)
    code = life.wait()
    wrong = said.read_text().splitlines() if said.exists() else []
    if code != lives.DONE:
        wrong.append(f"L1 an end: the host ended with {code}: {lives.errors(folder)}")
    with closing(sqlite3.connect(path)) as db:
        db.text_factory = bytes
        after = _standing(db)
    for key in broken & vandal.flipped:
        if after[key][0] != b"PARKED":
            wrong.append(f"S15 quarantine: damaged order {key} is not shown as parked, it is {after[key][0]!r}")
    for key in broken:
        if after[key][1:] != before[key][1:]:
            wrong.append(f"S15 quarantine: the bytes of damaged order {key} were changed")
        if after[key][0] not in {before[key][0], b"PARKED"}:
            wrong.append(f"S15 quarantine: damaged order {key} went on, it is {after[key][0]!r}")
    return Counts(hostile_rows=vandal.rows, violations=wrong)


def _broken(db: sqlite3.Connection) -> set[int]:
    """Keys of the orders whose bytes no longer fit their checksums."""
    queries = (
        "select key, checksum - revision, snapshot from actors where revision between 0 and 1000",
        "select key, checksum, body from inputs",
        "select key, checksum, body from parts",
    )
    return {key for query in queries for key, found, body in db.execute(query) if found != crc32(body)}


def _standing(db: sqlite3.Connection) -> dict[int, list[bytes]]:
    """The status of each order, and everything it is made from."""
    found = {key: [status, body] for key, status, body in db.execute("select key, status, snapshot from actors")}
    for query in ("select key, body from inputs", "select key, body from parts order by key, name"):
        for key, body in db.execute(query):
            found[key].append(body)
    return found


async def _host(folder: Path, sound: list[str], *, calls: bool) -> list[str]:
    """Approve all orders, and ask about each; what went wrong."""
    path = folder / "db" / "orders.db"
    async with days.coordinator(path, Book(folder / "book")) as opened:
        wrong = await _all(_tried(_approve(opened, order.id)) for order in placed())
        wrong += await _all(_sound(opened, id) for id in sound)
        wrong += await _tried(_list(opened))
        wrong += await _all(_tried(_ask(opened, order.id)) for order in placed())
        return wrong + (await callers.Caller(opened, path).torment() if calls else [])


async def _all(calls: Iterable[Awaitable[list[str]]]) -> list[str]:
    """What went wrong in any of these, made at the same time."""
    return [text for found in await asyncio.gather(*calls) for text in found]


async def _sound(opened: Coordinator, id: str) -> list[str]:
    """An order which nobody damaged must be completed."""
    try:
        outcome = await opened.order(id).outcome(timeout=_SOON)
    except (AtoneError, TimeoutError) as error:
        return [f"S15 others run: order {id}, which nobody damaged, {error!r:.200}"]
    return (
        []
        if outcome.status is Status.COMPLETED
        else [f"S15 others run: order {id}, which nobody damaged, ended {outcome.status}"]
    )


async def _approve(opened: Coordinator, id: str) -> None:
    await opened.order(id).send(Approve("alice"), id="approval")


async def _list(opened: Coordinator) -> None:
    await opened.count()
    found = [status.id async for status in opened.orders()]
    if len(found) < _ORDERS:
        raise LookupError(f"the list holds {len(found)} orders")


async def _ask(opened: Coordinator, id: str) -> None:
    handle = opened.order(id)
    await handle.status()
    async for _ in handle.history():
        pass
    await handle.cancel("why not", by="eve", timeout=0.01)


async def _tried(call: Awaitable[None]) -> list[str]:
    """What a call raised that is no error of ours."""
    try:
        await call
    except CoordinatorFailed as error:
        return [f"S15 others run: the coordinator failed, {error.__cause__!r}"]
    except AtoneError:
        return []
    except Exception as error:
        name, place = getattr(call, "__name__", ""), traceback.extract_tb(error.__traceback__)[-1]
        return [f"X2 typed errors: {name} raised {error!r:.200} at {place}"]
    return []
