"""The store: versioned snapshots, inbox, history and timers of actors, one atomic commit per transition.

This file is the contract. `MemoryStore` and `SqliteStore` pass one and the same suite of tests.

*What one commit contains.* Everything that one `Write` names, or nothing of it: the snapshot with its
revision, the history entries, the consumed messages with their answers, the timer, the large parts.
Writes that wait at the same time share a transaction; one that cannot be done (a guard does not match,
a row is refused) never harms the others. Writes that wait at the same time are concurrent: they may be
carried out in any order.

*What it promises.* When `submit` calls back with a result, that result is on disk, and survives the loss of
power (`MemoryStore` promises it for the life of its `Disk`). A cancelled caller loses only its answer.

*What the answers mean.* A result such as `Stale` or `Fenced` is certain: nothing of that write was done.
A `StoreError` is *unknown*: the write may be on disk. Whoever gets one drops what it knows and reads again.

The store knows nothing of sagas. It is told the time and never asks for it. All times are UTC seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from .errors import StoreError
from .records import Count, HistoryRow, Holder, Lane, Lease, Message, Query, Record, Tombstone
from .writes import Write

R = TypeVar("R")


class Store(Protocol):
    """The contract of every store; see the head of this file for what a commit promises."""

    async def open(self) -> None:
        """Open or create the store, and bring its schema up to date. Raises a `StoreError`."""
        ...

    async def close(self) -> None:
        """Finish what was submitted, then close. Closing twice does nothing."""
        ...

    def submit(self, write: Write[R], done: Callable[[R | StoreError], None]) -> None:
        """Queue a write and return at once; `done` is called in the event loop, once, in every case."""
        ...

    def hurry(self, write: Write[Any]) -> None:
        """Let a write that was submitted go before ordinary ones, if it still waits."""
        ...

    async def write(self, write: Write[R]) -> R:
        """Commit a write and return its result; raises the `StoreError` where the outcome is unknown.

        It goes on when the caller is cancelled.
        """
        ...

    async def recover(self) -> None:
        """After a `StoreError`: throw the connections away, open them again, and prove that a write works."""
        ...

    # the lease

    async def lease(self) -> Lease:
        """Read who owns the store."""
        ...

    async def claim(self, holder: Holder, *, expected: Lease, at: float) -> Lease | None:
        """Take the lease over if it is still as `expected`; `None` where somebody was faster, or its owner has beaten.

        What led to the claim may be no longer true when it comes to the disk: it may have waited for long.
        """
        ...

    async def release(self, epoch: int, at: float) -> None:
        """Give the lease back; does nothing where the epoch is not the current one."""
        ...

    # what the owner asks

    async def foreign(self) -> bool:
        """Whether another process has committed since this was last asked."""
        ...

    async def load(self, keys: Sequence[int]) -> list[Record]:
        """Read actors whole, with inputs, parts and unconsumed messages. Missing keys are left out."""
        ...

    async def messages(self, key: int) -> tuple[Message, ...]:
        """The unconsumed messages of an actor, control lane first, in order of acceptance."""
        ...

    async def active(self, *, after: int, limit: int, frail: bool, deaths: int) -> list[int]:
        """Keys of active actors above `after`, in order; `frail` ones have at least `deaths` deaths."""
        ...

    async def unbegun(self, after: int, limit: int) -> list[int]:
        """Keys of actors at revision 0 above `after`, oldest first."""
        ...

    async def due(self, now: float, limit: int) -> list[int]:
        """Keys of idle actors whose timer is due, the longest overdue first."""
        ...

    async def next_wake(self) -> float | None:
        """The earliest timer of any idle actor."""
        ...

    async def unread(self, lane: Lane, after: int, limit: int) -> list[tuple[int, int]]:
        """Sequence number and actor's key of unconsumed messages in a lane above `after`, in order."""
        ...

    # what anybody asks

    async def find(self, id: str) -> Record | Tombstone | None:
        """An actor by its id, with input and parts but without messages; or its tombstone."""
        ...

    async def answer(self, seq: int) -> str | None:
        """What a message was answered; `None` while it waits (or when it is gone)."""
        ...

    async def history(self, key: int, *, after: int, limit: int) -> list[HistoryRow]:
        """History of an actor above revision `after`, in order, never splitting a revision."""
        ...

    async def tail(self, after: int, limit: int) -> list[tuple[int, str | None]]:
        """Sequence number and actor id of history above `after`: what has changed, for watchers.

        An id of `None` says that actors were purged, with all their history: any that a watcher waits for may be gone.
        """
        ...

    async def last_seq(self) -> int:
        """The sequence number of the newest history row; 0 when there is none."""
        ...

    async def count(self, query: Query) -> list[Count]:
        """How many actors match, by status and definition."""
        ...

    async def live(self, limit: int) -> Sequence[Count]:
        """How many live actors there are, by status and definition, each counted up to `limit`.

        However many actors there are, it costs no more.
        """
        ...

    async def list(self, query: Query, limit: int) -> list[Record]:
        """Actors in order of arrival, with input and parts but without messages."""
        ...
