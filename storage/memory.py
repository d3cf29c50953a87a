"""The store without a file, for tests and simulations; it passes the same tests as the one in SQLite."""

# ruff: noqa: D102 - the contract says what each method means
from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, TypeVar

from attrs import evolve

from .disk import Disk
from .errors import StoreClosed, StoreError
from .failure import of_one_row
from .lease import Claim, Release
from .records import Count, HistoryRow, Holder, Lane, Lease, Message, Phase, Query, Record, Tombstone
from .store import Store
from .writer import answer
from .writes import Write

R = TypeVar("R")

_NAME = ":memory:"


class MemoryStore(Store):
    """A store in memory. Several on one `Disk` behave as processes that share a file.

    Writes are carried out together in the next turn of the event loop, and answered in the turn after it:
    as with a disk, there is a moment in which a write is done and nobody knows it yet.
    """

    def __init__(self, disk: Disk | None = None) -> None:
        self._disk = disk if disk is not None else Disk()
        self._open = False
        self._queue: list[tuple[Write[Any], Callable[[Any], None]]] = []
        self._commits = 0  # of this store; the disk counts everybody's
        self._foreign = 0

    async def open(self) -> None:
        if self._open:
            raise StoreError(f"{_NAME!r} is open already: give each coordinator a store of its own")
        self._foreign = self._disk.commits - self._commits
        self._open = True

    async def close(self) -> None:
        self._commit()
        self._open = False

    def submit(self, write: Write[R], done: Callable[[R | StoreError], None]) -> None:
        loop = asyncio.get_running_loop()
        if not self._open:
            loop.call_soon(done, StoreClosed(_NAME))
            return
        if not self._queue:
            loop.call_soon(self._commit)
        self._queue.append((write, done))

    def _commit(self) -> None:
        queue, self._queue = self._queue, []
        loop = asyncio.get_running_loop()
        for write, done in sorted(queue, key=lambda item: not item[0].urgent):
            loop.call_soon(done, self._apply(write))

    def _apply(self, write: Write[Any]) -> Any:
        before = self._disk.commits
        try:
            return self._disk.apply(write)
        except (ValueError, TypeError, AttributeError) as error:
            return of_one_row(_NAME, error)
        finally:
            self._commits += self._disk.commits - before

    def hurry(self, write: Write[Any]) -> None:
        """All that waits is written in the next turn of the event loop, whatever its haste."""

    async def write(self, write: Write[R]) -> R:
        return await answer(self.submit, write)

    async def recover(self) -> None:
        self._opened()

    # the lease

    async def lease(self) -> Lease:
        return self._opened().lease

    async def claim(self, holder: Holder, *, expected: Lease, at: float) -> Lease | None:
        return await self.write(Claim(holder, expected, at))

    async def release(self, epoch: int, at: float) -> None:
        await self.write(Release(epoch, at))

    # reading

    async def foreign(self) -> bool:
        before, self._foreign = self._foreign, self._opened().commits - self._commits
        return before != self._foreign

    async def load(self, keys: Sequence[int]) -> list[Record]:
        rows = [self._opened().rows[key] for key in sorted(keys) if key in self._disk.rows]
        return [evolve(row.record, messages=tuple(row.unread())) for row in rows]

    async def messages(self, key: int) -> tuple[Message, ...]:
        row = self._opened().rows.get(key)
        return tuple(row.unread()) if row else ()

    async def active(self, *, after: int, limit: int, frail: bool, deaths: int) -> list[int]:
        disk = self._opened()
        chosen = (
            key for key in disk.active if key > after and (disk.rows[key].record.snapshot.deaths >= deaths) is frail
        )
        return heapq.nsmallest(limit, chosen)

    async def unbegun(self, after: int, limit: int) -> list[int]:
        return heapq.nsmallest(limit, (key for key in self._opened().unbegun if key > after))

    async def due(self, now: float, limit: int) -> list[int]:
        timers = ((wake_at, key) for key, wake_at in self._opened().timers.items() if wake_at <= now)
        return [key for _, key in heapq.nsmallest(limit, timers)]

    async def next_wake(self) -> float | None:
        return min(self._opened().timers.values(), default=None)

    async def unread(self, lane: Lane, after: int, limit: int) -> list[tuple[int, int]]:
        return self._opened().unread(lane, after, limit)

    async def find(self, id: str) -> Record | Tombstone | None:
        disk = self._opened()
        if id in disk.keys:
            return disk.rows[disk.keys[id]].record
        return disk.tombstones.get(id)

    async def answer(self, seq: int) -> str | None:
        mail = self._opened().mails.get(seq)
        return mail.answer if mail else None

    async def history(self, key: int, *, after: int, limit: int) -> list[HistoryRow]:
        return self._opened().history_of(key, after, limit)

    async def tail(self, after: int, limit: int) -> list[tuple[int, str | None]]:
        return self._opened().tail(after, limit)

    async def last_seq(self) -> int:
        history = self._opened().history
        return history[-1].seq if history else 0

    async def count(self, query: Query) -> list[Count]:
        records = self._opened().matching(query)
        groups = Counter((record.definition, record.snapshot.status, record.snapshot.phase) for record in records)
        counts = [Count(definition, status, phase, number) for (definition, status, phase), number in groups.items()]
        return sorted(counts, key=_place)

    async def live(self, limit: int) -> Sequence[Count]:
        counts = await self.count(Query())
        return [evolve(one, number=min(one.number, limit)) for one in counts if one.phase is not Phase.FINAL]

    async def list(self, query: Query, limit: int) -> list[Record]:
        return list(islice(self._opened().matching(query), limit))

    def _opened(self) -> Disk:
        if not self._open:
            raise StoreClosed(_NAME)
        return self._disk


def _place(count: Count) -> tuple[str, int, str, str, int]:
    definition = count.definition
    return (definition.kind, definition.version, definition.fingerprint, count.status, count.phase)
