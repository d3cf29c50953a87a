"""The stores of a simulation: the real ones, on no thread, and what of them outlives a process."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any, Self, TypeVar, cast

from ..storage import (
    Disk,
    MemoryStore,
    SqliteStore,
    Store,
    Write,
)
from .loop import SimLoop

R = TypeVar("R")
T = TypeVar("T")

#: Told of every write that was carried out, in the order of the disk, with its result.
Watch = Callable[[Write[Any], object], None]


def _nobody(_write: Write[Any], _result: object) -> None:
    """Nobody watches."""


class InLoopConnection:
    """Stands in for the connection's thread: functions run in the loop, one at a time, each of them whole.

    A turn of the loop before and after each makes both a moment at which the process may die.
    """

    def __init__(self, raw: sqlite3.Connection) -> None:
        self._raw = raw

    @classmethod
    async def open(cls, connect: Callable[[], sqlite3.Connection]) -> Self:
        """Open a connection between two turns of the loop."""
        loop = _running()

        def opened() -> sqlite3.Connection:
            raw = connect()
            loop.leftovers.append(raw.close)  # at once: the process may die before it hears of it
            return raw

        return cls(await loop.between_turns(opened))

    async def run(self, function: Callable[[sqlite3.Connection], T]) -> T:
        """Call a function with the connection; it runs to its end even when the caller is cancelled."""
        return await asyncio.shield(_running().between_turns(function, self._raw))

    async def close(self) -> None:
        """Close the connection."""
        await _running().between_turns(self._raw.close)


def _running() -> SimLoop:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    return loop


class InLoopStore(SqliteStore):
    """The real SQLite store, with every statement and setting, on no thread."""

    connection_type = cast("Any", InLoopConnection)
    watch: Watch = staticmethod(_nobody)  #: told of every write that was carried out

    def _apply(self, applier: Any, writes: list[Write[Any]], connection: sqlite3.Connection) -> list[Any]:
        results = super()._apply(applier, writes, connection)
        for write, result in zip(writes, results, strict=True):
            self.watch(write, result)
        return results


class WatchedDisk(Disk):
    """A disk in memory, and somebody who is told of every write that was carried out."""

    watch: Watch = staticmethod(_nobody)

    def apply(self, write: Write[Any]) -> Any:
        """Carry a write out whole, or return why not."""
        result = super().apply(write)
        self.watch(write, result)
        return result


class MemoryMedium:
    """What a simulated process leaves behind when it dies: a disk in memory."""

    def __init__(self, watch: Watch = _nobody) -> None:
        self.disk = WatchedDisk()
        self.disk.watch = watch

    def store(self) -> Store:
        """A new handle on it."""
        return MemoryStore(self.disk)

    def content(self) -> int:
        """Changes with every commit about an order."""
        return len(self.disk.history) + len(self.disk.mails)

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run what only reads: in memory nothing has to be waited for, and so no loop is needed."""
        try:
            work.send(None)
        except StopIteration as stop:
            return cast("T", stop.value)
        raise RuntimeError("a read in memory waited for something")

    def close(self) -> None:
        """Nothing to remove."""


class FileMedium:
    """A real SQLite file, on a file system in memory where there is one."""

    def __init__(self, watch: Watch = _nobody) -> None:
        self._watcher = watch
        shared = Path("/dev/shm")  # noqa: S108  # a private directory is made below it
        self.folder = Path(tempfile.mkdtemp(prefix="atone-", dir=shared if shared.is_dir() else None))
        self.path = self.folder / "orders.db"
        self._watch: sqlite3.Connection | None = None
        self._loop = SimLoop(Random("observer"))  # noqa: S311  # a simulation must be reproducible

    def store(self) -> Store:
        """A new handle on it."""
        store = InLoopStore(self.path)
        store.watch = self._watcher
        return store

    def content(self) -> int:
        """Changes with every commit about an order."""
        return self._ask(
            "select (select ifnull(sum(seq), 0) from sqlite_sequence) + (select ifnull(max(seq), 0) from history)"
        )

    def _ask(self, question: str) -> int:
        if self._watch is None:
            self._watch = sqlite3.connect(self.path, isolation_level=None)
        try:
            return int(self._watch.execute(question).fetchone()[0])
        except sqlite3.OperationalError:  # the file has no tables yet
            return 0

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run what only reads."""
        return self._loop.call(work)

    def close(self) -> None:
        """Remove the file."""
        if self._watch is not None:
            with contextlib.suppress(sqlite3.Error):
                self._watch.close()
        self._loop.abandon()
        shutil.rmtree(self.folder, ignore_errors=True)


Medium = MemoryMedium | FileMedium
