"""A store as one process sees it: behind a gate that closes when the process dies, and noted in the journal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, TypeVar

from ..storage import (
    Accept,
    Advance,
    Create,
    Holder,
    Lease,
    Quarantine,
    Record,
    Store,
    StoreError,
    StoreUnavailable,
    Write,
)
from .journal import Journal, Reopened
from .tasks import DEAD, GRAVE
from .world import Void

R = TypeVar("R")

#: Writes that say something about orders; beats of the lease do not count as commits.
COUNTED = (Create, Advance, Accept, Quarantine)


class Gate(Protocol):
    """Whether a process lives, what is to be told about its commits, and what is wrong with its disk."""

    def alive(self) -> bool:
        """Whether the process lives."""
        ...

    def committing(self) -> int:
        """A commit is about to be handed over; returns its number. May kill the process."""
        ...

    def failing(self, number: int) -> tuple[StoreUnavailable | None, bool]:
        """What a commit is answered instead of its result, and whether it is on disk."""
        ...

    def refusal(self) -> StoreUnavailable | None:
        """What any other write is answered instead of its result."""
        ...

    def committed(self, number: int) -> bool:
        """A commit was carried out; whether the process lives to hear of it."""
        ...


async def _unheard(*_: object, **__: object) -> Any:
    """What a process asks for in the very callback in which it dies: it is not to learn anything any more."""
    if asyncio.get_running_loop() is GRAVE:
        raise RuntimeError(DEAD)  # nobody could wait
    await Void()


class GatedStore:
    """A store as one process sees it. Once that process is dead, nothing goes in and nothing comes out."""

    def __init__(self, inner: Store, gate: Gate, journal: Journal, process: str) -> None:
        self._inner = inner
        self._gate = gate
        self._journal = journal
        self._process = process

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name) if self._gate.alive() else _unheard

    def hurry(self, write: Write[Any]) -> None:
        """Do not let a write wait for others."""
        if self._gate.alive():
            self._inner.hurry(write)

    def submit(self, write: Write[R], done: Callable[[R | StoreError], None]) -> None:
        """Queue a write. The process may die before it is carried out, and after; and the disk may fail."""
        gate = self._gate
        if not gate.alive():
            return
        if self._journal.troubled:
            self._journal.submitted(self._process, write)
        if type(write) not in COUNTED:
            self._submit(write, gate.refusal(), partial(self._pass_on, write, done))
            return
        number = gate.committing()
        if not gate.alive():
            return
        error, on_disk = gate.failing(number)
        if not on_disk:
            self._submit(write, error, partial(self._pass_on, write, done))
            return

        def answer(result: R | StoreError) -> None:
            if gate.committed(number):
                self._answer(write, done, result if error is None else error)

        self._inner.submit(write, answer)

    def _submit(self, write: Write[R], error: StoreError | None, done: Callable[[R | StoreError], None]) -> None:
        if error is None:
            self._inner.submit(write, done)
        else:
            asyncio.get_running_loop().call_soon(done, error)

    def _pass_on(self, write: Write[Any], done: Callable[[Any], None], result: object) -> None:
        if self._gate.alive():
            self._answer(write, done, result)

    def _answer(self, write: Write[Any], done: Callable[[Any], None], result: object) -> None:
        self._journal.answered(self._process, write, result)
        done(result)

    async def load(self, keys: Sequence[int]) -> list[Record]:
        """Read actors whole."""
        load, since = self.__getattr__("load"), len(self._journal.events)
        records: list[Record] = await load(keys)
        self._journal.loaded(self._process, keys, since)
        return records

    async def recover(self) -> None:
        """Open the store again."""
        await self.__getattr__("recover")()
        self._journal.events.append(Reopened(self._process))

    async def claim(self, holder: Holder, *, expected: Lease, at: float) -> Lease | None:
        """Take the lease."""
        lease: Lease | None = await self.__getattr__("claim")(holder, expected=expected, at=at)
        if lease is not None:
            self._journal.events.append(Reopened(self._process))
        return lease

    async def write(self, write: Write[R]) -> R:
        """Commit a write and return its result."""
        future: asyncio.Future[R | StoreError] = asyncio.get_running_loop().create_future()
        self.submit(write, lambda result: None if future.done() else future.set_result(result))
        result = await future
        if isinstance(result, StoreError):
            raise result.with_traceback(None)
        return result
