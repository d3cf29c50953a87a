"""The power fails: every legal content of the disk, at any moment of the whole workload, keeps every promise.

The workload runs once, and its operations are recorded. An image is what a disk may hold if the power fails behind one
of them: all that was synced; of everything since then, any write present, absent or torn at the boundaries of sectors,
in any order, and a file grown without its data.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from enum import Enum
from pathlib import Path
from unittest.mock import patch

from attrs import define, field

from atone import SqliteStore, StoreError
from atone.storage import Query, connection, sqlite
from atone.storage.migration import MIGRATIONS

from . import book, iolog, lives, oracle, shop
from .counts import Case, Counts
from .iolog import Operation

WORKERS = 2
PER_CASE = 1

SECTOR = 512
_EVERY_STORE = 16  #: so many images are read through the whole store
_EVERY_LIFE = 500  #: so many images are brought to life again, and all their orders to an end

Files = dict[str, bytearray]


@define
class Disk:
    """What is surely on the disk, and what is only on its way there."""

    synced: Files = field(factory=dict)
    pending: defaultdict[str, list[Operation]] = field(factory=lambda: defaultdict(list))

    def follow(self, operation: Operation) -> None:
        """Take one more operation into account. A file that is made or removed is so at once."""
        file = operation.file
        match operation.kind:
            case "o" | "e":
                self.synced.setdefault(file, bytearray())
            case "u":
                self.synced.pop(file, None)
                self.pending.pop(file, None)
            case "w" | "t":
                self.pending[file].append(operation)
            case "s" if file in self.synced:
                for earlier in self.pending.pop(file, ()):
                    _apply(self.synced[file], earlier)
            case _:
                pass

    def drop(self, file: str, chance: random.Random) -> None:
        """A sync of the file failed, and the system forgets what it could not write: some of it, or all."""
        luck = chance.choice((0.0, 0.5))
        for operation in self.pending.pop(file, ()):
            if operation.kind == "t" or chance.random() < luck:
                _apply(self.synced[file], operation)

    def image(self, chance: random.Random) -> Files:
        """One legal content of the disk if the power fails now."""
        luck = chance.choice((0.0, 0.2, 0.5, 0.8, 1.0))  #: how much of what is pending arrived
        files = {name: bytearray(content) for name, content in self.synced.items()}
        for name, operations in self.pending.items():
            for operation in operations:
                if name in files:
                    _maybe(files[name], operation, chance, luck)
        return files


def _maybe(content: bytearray, operation: Operation, chance: random.Random, luck: float) -> None:
    draw = chance.random()
    if draw < luck:
        _apply(content, operation)
    elif operation.kind == "w" and luck > 0 and draw < luck + 0.5 * (1 - luck):
        for start in range(0, len(operation.data), SECTOR):
            if chance.random() < 0.5:
                sector = operation.data[start : start + SECTOR]
                _apply(content, Operation("w", operation.file, operation.offset + start, sector))
    elif operation.kind == "w" and luck > 0 and draw < luck + 0.6 * (1 - luck):
        missing = operation.offset + len(operation.data) - len(content)
        content.extend(chance.randbytes(max(missing, 0)))  # the file grew, and what it grew by is garbage


def _apply(content: bytearray, operation: Operation) -> None:
    start, data = operation.offset, operation.data
    if len(content) < start:
        content.extend(bytes(start - len(content)))
    if operation.kind == "w":
        content[start : start + len(data)] = data
    else:
        del content[start:]


def record(folder: Path) -> list[Operation]:
    """Run the workload in a process of its own, and return all that it did to its files."""
    log = folder / "operations"

    def work() -> None:
        iolog.watch(folder / "db", log)
        shop.two_days(folder)

    code = lives.begin(work, folder).wait()
    assert code == lives.DONE, lives.errors(folder)
    return list(iolog.read(log))


def prepare(seed: int, size: int, folder: Path) -> Case:
    """Record the workload, and be ready to lose power behind any operation of it."""
    operations = record(folder)
    moments = [place for place, operation in enumerate(operations) if operation.kind in "owstu"]
    recording = Recording(operations)

    def case(index: int) -> Counts:
        recording.play(moments[index * len(moments) // size])
        with lives.workplace() as place:
            lay_out(recording.disk.image(random.Random(f"{seed}/{index}")), recording.lines, place)
            return Counts(images=1, violations=examine(place, recording.lines, _look_at(index)))

    return case


@define
class Recording:
    """A place in a recording: what was on the disk there, and what had been written in the book."""

    operations: list[Operation]
    disk: Disk = field(factory=Disk)
    lines: list[str] = field(factory=list)
    _place: int = 0  #: of the next operation

    def play(self, last: int) -> None:
        """Go on behind the operation at a place that is no earlier than the last one asked for."""
        for operation in self.operations[self._place : last + 1]:
            if operation.kind == "n":
                self.lines.append(operation.data.decode())
            else:
                self.disk.follow(operation)
        self._place = last + 1


def lay_out(files: Files, lines: list[str], folder: Path) -> None:
    """Write an image, and the book as it was then."""
    for name, content in files.items():
        (folder / "db" / name).write_bytes(content)
    (folder / "book").write_text("".join(f"{line}\n" for line in lines))


class Look(Enum):
    """How thoroughly an image is looked at."""

    FILE = "the file"  #: as the store opens it, by plain SQL
    STORE = "the store"  #: read through the whole store
    LIFE = "a life"  #: hosted again, until all its orders have ended


def _look_at(index: int) -> Look:
    return Look.LIFE if index % _EVERY_LIFE == 0 else Look.STORE if index % _EVERY_STORE == 0 else Look.FILE


def examine(folder: Path, lines: list[str], look: Look) -> list[str]:
    """Open what is left, and see whether every promise in the book is kept."""
    path = folder / "db" / "orders.db"
    if not path.exists():
        return [f"{oracle.DURABLE}: no file, after {line!r}" for line in lines[:1]]
    schema = shop.NEXT_SCHEMA if shop.MONDAY_IS_OVER in lines else MIGRATIONS
    try:
        if look is Look.LIFE:
            return revive(folder)
        wrong = asyncio.run(_read(path, schema)) if look is Look.STORE else []
        with closing(connection.writing(str(path), schema)) as db:
            return wrong + oracle.kept(db, lines)
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


def revive(folder: Path, work: Callable[[Path], None] = shop.two_days) -> list[str]:
    """Live the workload to its end on what is there."""
    code = lives.begin(lambda: work(folder), folder).wait()
    if code != lives.DONE:
        return [f"{oracle.END}: a new life ended with {code}: {lives.errors(folder)}"]
    placed = shop.MONDAY if work is shop.monday else shop.MONDAY + shop.TUESDAY
    return oracle.ended_well(folder / "db" / "orders.db", book.read(folder / "book"), [order.id for order in placed])
