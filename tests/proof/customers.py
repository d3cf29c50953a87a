"""The customers of the shop: they repeat every call that met a store in trouble, and write down every answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from attrs import frozen

from atone import AlreadyFinished, AnswerPending, Coordinator, Handle, SendAnswer, StoreError

from .book import Book
from .shop import Approve, Decline, Manner, Order, proof_saga

T = TypeVar("T")


@frozen(kw_only=True)
class Customer:
    """Places one order and sees it through; repeats every call that met a store in trouble, as it is told to."""

    coordinator: Coordinator
    book: Book
    order: Order

    async def serve(self) -> None:
        """From the start to the end, writing down every answer."""
        id = self.order.id
        self.book.write("asked", id)
        try:
            handle = await again(lambda: self.coordinator.start(proof_saga, self.order, id=id))
            self.book.write("started", id)
            await self._say(handle)
            outcome = await again(handle.outcome)
            self.book.write("ended", id, outcome.status)
        except AlreadyFinished:
            return  # purged: it was served in an earlier life

    async def _say(self, handle: Handle) -> None:
        match self.order.manner:
            case Manner.APPROVED:
                await self._send(handle, Approve("alice"))
            case Manner.DECLINED:
                await self._send(handle, Decline("bob"))
            case Manner.CANCELLED | Manner.HASTY:
                number = f"{handle.id}-cancel"
                answer = await again(lambda: handle.cancel("changed their mind", by="carol", id=number, timeout=5.0))
                self.book.write("cancelled", handle.id, number, answer)
            case _:
                pass

    async def _send(self, handle: Handle, message: Approve | Decline) -> None:
        number = f"{handle.id}-word"
        answer = await again(lambda: handle.send(message, id=number))
        if answer in {SendAnswer.ACCEPTED, SendAnswer.DUPLICATE}:
            self.book.write("sent", handle.id, number)


async def again(call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call until the store is well; an error without a type of ours goes through."""
    while True:
        try:
            return await call()
        except (StoreError, AnswerPending):
            await asyncio.sleep(0.01)
