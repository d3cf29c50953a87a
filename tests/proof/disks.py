"""Disks in trouble: commits that fail for certain or with nobody knowing, reads that fail, a disk that is full."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable
from enum import StrEnum
from random import Random
from typing import Any, Self, TypeVar, cast

from attrs import define, field

from atone import StoreError
from atone.storage import Advance, Disk, MemoryStore, SqliteStore, Write, WriteRefused
from atone.storage.errors import DiskFailed, DiskFull, StoreBusy
from atone.testing.loop import SimLoop
from atone.testing.store import InLoopConnection, InLoopStore

from .processes import PROCESS

R = TypeVar("R")
T = TypeVar("T")
_NAME = "the disk"


class Trouble(StrEnum):
    """What becomes of a commit."""

    BUSY = "busy"  #: another process held the lock for too long: certainly not written
    FAILED = "failed"  #: not written, and nobody knows
    UNKNOWN = "unknown"  #: written, and nobody knows


@define(eq=False)
class Faults:
    """What is wrong with the disk, for all processes."""

    chance: Random
    happened: Counter[str]
    commit: float = 0.0  #: how likely a commit is to fail
    read: float = 0.0  #: how likely a read is to fail
    full: bool = False
    cursed: set[int] = field(factory=set)  #: keys of orders whose rows are refused

    def of_commit(self, writes: list[Write[Any]]) -> tuple[Trouble, StoreError] | None:
        """What becomes of a commit; `None` where all is well."""
        if not writes:
            return None
        if self.full:
            self.happened["disk: full"] += 1
            return Trouble.FAILED, DiskFull(_NAME, "no space left")
        if not self.commit or self.chance.random() >= self.commit:
            return None
        trouble = self.chance.choice(list(Trouble))
        self.happened[f"disk: {trouble}"] += 1
        error = StoreBusy(_NAME, "nobody", 0.1) if trouble is Trouble.BUSY else DiskFailed(_NAME, "I/O error")
        return trouble, error

    def of_read(self) -> StoreError | None:
        """What a read meets."""
        if not self.read or self.chance.random() >= self.read:
            return None
        self.happened["disk: read"] += 1
        return DiskFailed(_NAME, "I/O error")

    def refuses(self, write: Write[Any]) -> bool:
        """Whether this row, and no other, is refused."""
        if not isinstance(write, Advance) or write.key not in self.cursed:
            return False
        self.happened["disk: row refused"] += 1
        return True


class TroubledMemory(MemoryStore):
    """The store in memory on such a disk."""

    def __init__(self, disk: Disk, faults: Faults) -> None:
        super().__init__(disk)
        self._faults = faults
        self._sick: StoreError | None = None

    def submit(self, write: Write[R], done: Callable[[R | StoreError], None]) -> None:
        """Queue a write, unless the store is sick."""
        if self._sick is None:
            super().submit(write, done)
        else:
            asyncio.get_running_loop().call_soon(done, self._sick)

    def _commit(self) -> None:
        found = self._faults.of_commit([write for write, _ in self._queue])
        if found is None:
            super()._commit()
            return
        trouble, error = found
        queue, self._queue = self._queue, []
        for write, _ in queue:
            if trouble is Trouble.UNKNOWN:
                super()._apply(write)
        if trouble is not Trouble.BUSY:
            self._sick = error
        for _, done in queue:
            asyncio.get_running_loop().call_soon(done, error)

    def _apply(self, write: Write[Any]) -> Any:
        return WriteRefused(_NAME, "too big") if self._faults.refuses(write) else super()._apply(write)

    async def recover(self) -> None:
        """Become well, unless the disk is full."""
        if self._faults.full:
            raise DiskFull(_NAME, "no space left")
        self._sick = None
        await super().recover()

    def _opened(self) -> Disk:
        error = self._sick or self._faults.of_read()
        if error is not None:
            raise error
        return super()._opened()


class MortalConnection(InLoopConnection):
    """Is closed by the operating system when its process dies."""

    @classmethod
    async def open(cls, connect: Callable[[], sqlite3.Connection]) -> Self:
        """Open a connection between two turns of the loop."""
        process = PROCESS.get()
        assert process is not None

        def opened() -> sqlite3.Connection:
            raw = connect()
            process.leftovers.append(raw.close)  # at once: the process may die before it hears of it
            return raw

        return cls(await cast("SimLoop", asyncio.get_running_loop()).between_turns(opened))


class TroubledFile(InLoopStore):
    """The real store in a file on such a disk."""

    connection_type = cast("Any", MortalConnection)

    def __init__(self, path: str, faults: Faults) -> None:
        super().__init__(path)
        self._faults = faults

    async def _commit(self, writes: list[Write[Any]]) -> list[Any]:
        found = self._faults.of_commit(writes)
        if found is None:
            kept = [write for write in writes if not self._faults.refuses(write)]
            results = iter(await super()._commit(kept) if kept else ())
            refused = WriteRefused(_NAME, "too big")
            return [next(results) if any(write is one for one in kept) else refused for write in writes]
        trouble, error = found
        if trouble is Trouble.UNKNOWN:
            await super()._commit(writes)
        raise error

    async def _recover(self) -> None:
        if self._faults.full:
            error = DiskFull(_NAME, "no space left")
            if self._writer is not None:
                self._writer.fail(error)
            raise error
        await super()._recover()

    async def _run(self, connection: Any, function: Callable[[sqlite3.Connection], T]) -> T:
        if self._link is not None and connection is self._link.reading and (error := self._faults.of_read()):
            raise error
        return await super()._run(connection, function)


Store = TroubledMemory | TroubledFile
assert issubclass(TroubledFile, SqliteStore)
