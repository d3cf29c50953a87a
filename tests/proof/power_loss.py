"""The power fails: every legal content of the disk, at any moment of the whole workload, keeps every promise.

The workload runs once, and its operations are recorded. An image is what a disk may hold if the power fails behind one
of them: all that was synced; of everything since then, any write present, absent or torn at the boundaries of sectors,
in any order, and a file grown without its data.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from enum import Enum
from itertools import islice
from mmap import mmap
from pathlib import Path
from unittest.mock import patch

from attrs import define, field

from atone import SqliteStore, StoreError
from atone.storage import Query, connection, sqlite
from atone.storage.migration import MIGRATIONS

from . import book, days, iolog, lives, oracle
from .counts import Case, Counts
from .disk import Arrived, Disk, Files
from .iolog import Operation

#: What is wrong in an open file, after what the lines of a book promise.
Judge = Callable[[sqlite3.Connection, list[str]], list[str]]

WORKERS = 2
PER_CASE = 0.72  # since not every moment has as many contents as are asked for, and some are those of another

_EVERY_STORE = 100  #: so many images are read through the whole store
_EVERY_LIFE = 1_000  #: so many images are brought to life again, and all their orders to an end


def record(folder: Path) -> list[Operation]:
    """Run the workload in a process of its own, and return all that it did to its files."""
    log = folder / "operations"

    def work() -> None:
        iolog.watch(folder / "db", log)
        days.two_days(folder)

    code = lives.begin(work, folder).wait()
    assert code == lives.DONE, lives.errors(folder)
    return list(iolog.read(log))


def prepare(seed: int, size: int, folder: Path) -> Case:
    """Record the workload, and be ready to lose power behind any operation of it."""
    operations = record(folder)
    moments = [place for place, operation in enumerate(operations) if operation.kind in "owstu"]
    recording = Recording(operations, seed)
    verdicts, met = Verdicts(), Met()

    def case(index: int) -> Counts:
        place = index * len(moments) // size
        arrived = recording.outage(moments[place], index - -(-place * size // len(moments)))
        if arrived is None:
            return Counts()
        scratch = folder / f"scratch-{os.getpid()}"  # workers share all but this
        (scratch / "db").mkdir(parents=True, exist_ok=True)
        lay_out(files := recording.disk.image(arrived), scratch)
        new = met.add(recording.content(files))
        return Counts(images=int(new), violations=examine(scratch, recording.lines, _look_at(index), verdicts.kept))

    return case


@define
class Recording:
    """A place in a recording: what was on the disk there, and what had been written in the book."""

    operations: list[Operation]
    seed: int
    disk: Disk = field(factory=Disk)
    lines: list[str] = field(factory=list)
    _place: int = 0  #: of the next operation
    _outages: Iterator[Arrived] = field(factory=lambda: iter(()))
    _drawn: int = 0  #: of these
    _still: dict[str, int] = field(factory=dict)  #: hashes of the files that are the same in all outages here

    def outage(self, last: int, rank: int) -> Arrived | None:
        """Go on to an operation, no earlier than the last one asked for; one of the outages there, if so many exist."""
        if self._place <= last:
            self._play(last)
            self._outages, self._drawn = self.disk.outages(random.Random(f"{self.seed}/{last}")), 0
        skipped, self._drawn = rank - self._drawn, rank + 1
        return next(islice(self._outages, skipped, None), None)

    def content(self, files: Files) -> int:
        """A hash of an image of this place, of which mostly one file of several differs."""
        for name in files:
            if name not in self._still and not self.disk.pending.get(name):
                self._still[name] = hash(bytes(files[name]))
        return hash(tuple((name, self._still.get(name) or hash(bytes(files[name]))) for name in sorted(files)))

    def _play(self, last: int) -> None:
        self._still.clear()
        for operation in self.operations[self._place : last + 1]:
            if operation.kind == "n":
                self.lines.append(operation.data.decode())
            else:
                self.disk.follow(operation)
        self._place = last + 1


def lay_out(files: Files, folder: Path) -> None:
    """Write an image, and nothing else of a store."""
    place = f"{folder}/db"  # no `Path`: so many images are laid out that making it would be felt
    for name in os.listdir(place):  # noqa: PTH208
        if name not in files:
            os.unlink(f"{place}/{name}")  # noqa: PTH108
    for name, content in files.items():
        with open(f"{place}/{name}", "wb", buffering=0) as file:  # noqa: PTH123
            file.write(content)


class Met:
    """Contents that were met already, by any of the workers: they share what was made before they were forked.

    One bit for each hash: of sixteen million, few are set, and what they hide is counted once too seldom.
    """

    _BITS = 1 << 24

    def __init__(self) -> None:
        self._bits = mmap(-1, self._BITS // 8)

    def add(self, content: int) -> bool:
        """Whether it is new."""
        place, bit = divmod(content % self._BITS, 8)
        known = self._bits[place] >> bit & 1
        self._bits[place] |= 1 << bit
        return not known


@define
class Verdicts:
    """Judges what SQLite has made of an image, once where many images come to the same."""

    _lines: int = 0  #: in the book, when these were judged
    _known: dict[bytes, list[str]] = field(factory=dict)  #: by all pages of the database

    def kept(self, db: sqlite3.Connection, lines: list[str]) -> list[str]:
        """As the oracle says it, which sees nothing but these pages and the book."""
        if len(lines) != self._lines:
            self._lines = len(lines)
            self._known.clear()
        content = db.serialize()
        if content not in self._known:
            self._known[content] = oracle.kept(db, lines)
        return self._known[content]


class Look(Enum):
    """How thoroughly an image is looked at."""

    FILE = "the file"  #: as the store opens it, by plain SQL
    STORE = "the store"  #: read through the whole store
    LIFE = "a life"  #: hosted again, until all its orders have ended


def _look_at(index: int) -> Look:
    return Look.LIFE if index % _EVERY_LIFE == 0 else Look.STORE if index % _EVERY_STORE == 0 else Look.FILE


def examine(folder: Path, lines: list[str], look: Look, kept: Judge = oracle.kept) -> list[str]:
    """Open what is left, and see whether every promise in the book is kept."""
    path = folder / "db" / "orders.db"
    if not path.exists():
        return [f"{oracle.DURABLE}: no file, after {line!r}" for line in lines[:1]]
    schema = days.NEXT_SCHEMA if days.MONDAY_IS_OVER in lines else MIGRATIONS
    try:
        if look is Look.LIFE:
            (folder / "book").write_text("".join(f"{line}\n" for line in lines))
            return revive(folder)
        wrong = asyncio.run(_read(path, schema)) if look is Look.STORE else []
        with closing(connection.writing(str(path), schema)) as db:
            return wrong + kept(db, lines)
    except (sqlite3.Error, StoreError) as error:
        return [f"{oracle.SOUND}: the file cannot be opened, {error}"]


async def _read(path: Path, schema: tuple[str, ...]) -> list[str]:
    """Every order, through the store itself."""
    store = SqliteStore(path)
    with patch.object(sqlite, "MIGRATIONS", schema):
        await store.open()
    try:
        records = await store.list(Query(), 1000)
    finally:
        await store.close()
    return [f"{oracle.SOUND}: order {record.id}, {record.damage}" for record in records if record.damage]


def revive(folder: Path, work: Callable[[Path], None] = days.two_days) -> list[str]:
    """Live the workload to its end on what is there."""
    code = lives.begin(lambda: work(folder), folder).wait()
    if code != lives.DONE:
        return [f"{oracle.EXIT}: a new life ended with {code}: {lives.errors(folder)}"]
    return ended(folder, work)


def ended(folder: Path, work: Callable[[Path], None]) -> list[str]:
    """What is wrong where the workload has come to its end."""
    placed = days.MONDAY if work is days.monday else days.MONDAY + days.TUESDAY
    return oracle.ended_well(folder / "db" / "orders.db", book.read(folder / "book"), [order.id for order in placed])
