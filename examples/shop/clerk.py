"""The one thread that writes in the ledger, so that the event loop never waits for a disk.

Requests that wait at the same time share a commit: with hundreds of orders in flight that is what makes
the difference between hundreds and thousands of effects a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import closing
from queue import Empty, SimpleQueue
from threading import Thread
from types import TracebackType
from typing import Any, Self, TypeVar

from attrs import frozen

from .ledger import Ledger, Refused

T = TypeVar("T")

BATCH = 256  #: requests in one commit, at most


@frozen
class _Request:
    answer: asyncio.Future[Any]
    work: Callable[[Ledger], Any]


class Clerk:
    """Used as `async with Clerk(ledger) as clerk`; closes the ledger in the end."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._desk: SimpleQueue[_Request | None] = SimpleQueue()
        self._thread = Thread(target=self._serve, name="clerk")

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._desk.put(None)
        await asyncio.to_thread(self._thread.join)

    async def ask(self, work: Callable[[Ledger], T]) -> T:
        """Return what `work` returns or raises, once its effect is committed.

        The effect takes place even if the caller stops waiting, as with any distant party.
        """
        answer: asyncio.Future[T] = self._loop.create_future()
        self._desk.put(_Request(answer, work))
        return await answer

    def _serve(self) -> None:
        with closing(self._ledger.db):
            while (request := self._desk.get()) is not None:
                batch = [request, *self._waiting()]
                answers = self._commit(batch)
                self._loop.call_soon_threadsafe(_deliver, batch, answers)

    def _waiting(self) -> Iterator[_Request]:
        for _ in range(BATCH - 1):
            try:
                request = self._desk.get_nowait()
            except Empty:
                return
            if request is None:
                self._desk.put(None)  # the end: leave it for the next look
                return
            yield request

    def _commit(self, batch: list[_Request]) -> list[Any]:
        try:
            self._ledger.db.execute("begin immediate")
            answers = [self._answer(request) for request in batch]
            self._ledger.db.execute("commit")
        except Exception as error:  # noqa: BLE001 - whatever it is, everyone in the batch must hear of it
            if self._ledger.db.in_transaction:
                self._ledger.db.execute("rollback")
            return [error] * len(batch)
        return answers

    def _answer(self, request: _Request) -> Any:
        try:
            return request.work(self._ledger)
        except Refused as refused:
            return refused


def _deliver(batch: list[_Request], answers: list[Any]) -> None:
    for request, answer in zip(batch, answers, strict=True):
        if request.answer.done():
            continue  # the caller stopped waiting
        if isinstance(answer, Exception):
            request.answer.set_exception(answer)
        else:
            request.answer.set_result(answer)
