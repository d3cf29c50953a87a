"""The small shop that every layer here torments: one saga, orders of every manner, and the customers who place them.

How an order ends depends on its manner alone, whatever faults come between: that is the whole test.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import timedelta
from enum import StrEnum
from functools import partialmethod
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

from attrs import frozen

from atone import (
    AlreadyFinished,
    AnswerPending,
    Coordinator,
    Handle,
    PermanentError,
    Retry,
    Saga,
    SendAnswer,
    SqliteStore,
    Status,
    StepContext,
    StoreError,
    parallel,
    receive,
    step,
)
from atone.actors import Limits
from atone.storage import make_converter, sqlite
from atone.storage.checkpoint import Checkpointer
from atone.storage.migration import MIGRATIONS

from . import lives
from .book import Book, read

T = TypeVar("T")

_QUICKLY = Retry(attempts=3, first=0.002, longest=0.01)
_STUBBORNLY = Retry(attempts=1000, first=0.002, longest=0.05)
_MANY_BYTES = 3000  #: more than a snapshot keeps inside

#: a release to come, so that a migration of a file with live orders is among what is tested
NEXT_SCHEMA = (
    *MIGRATIONS,
    "create table proof (id integer primary key) strict;\ncreate index proof_at on history (at);",
)
#: pages between two checkpoints: few, since the files here are small
_PAGES = 60
#: the line in the book behind which the next release owns the file
MONDAY_IS_OVER = "monday is over"
_LIMITS = Limits(scan=0.04, poll=0.005)
#: Made once, and inherited by every fork: making one takes as long as a day of the shop.
_CONVERTER = make_converter()


class Manner(StrEnum):
    """What is special about an order."""

    PLAIN = "plain"
    LARGE = "large"  #: input and results that need rows of their own
    LOST = "lost"  #: the first answer of each action is lost
    UNSENT = "unsent"  #: the first request of each action never arrives
    REFUSED = "refused"  #: the charge is refused
    LATE = "late"  #: the charge arrives when nobody waits for it any more
    APPROVED = "approved"
    DECLINED = "declined"  #: and the first answer of each undoing is lost
    CANCELLED = "cancelled"  #: while it waits for an approval
    HASTY = "hasty"  #: cancelled at once, which may come too late


#: How each must end; of a hasty one, its customer was told.
ENDS = {
    Manner.PLAIN: Status.COMPLETED,
    Manner.LARGE: Status.COMPLETED,
    Manner.LOST: Status.COMPLETED,
    Manner.UNSENT: Status.COMPLETED,
    Manner.APPROVED: Status.COMPLETED,
    Manner.REFUSED: Status.COMPENSATED,
    Manner.LATE: Status.COMPENSATED,
    Manner.DECLINED: Status.COMPENSATED,
    Manner.CANCELLED: Status.COMPENSATED,
}
_WAITING = {Manner.APPROVED, Manner.DECLINED, Manner.CANCELLED}


@frozen
class Order:
    """What a customer asks for."""

    id: str
    manner: Manner
    letter: str = ""


@frozen
class Receipt:
    """What a participant answers."""

    text: str


@frozen
class Quote:
    """What a participant says that changes nothing."""

    text: str


@frozen
class Approve:
    """A person says yes."""

    by: str


@frozen
class Decline:
    """A person says no."""

    by: str


@frozen
class Participants:
    """Those who do the work, each call under its key."""

    book: Book

    async def act(self, order: Order, context: StepContext) -> Receipt:
        """Carry an action out, or be the trouble that the order's manner asks for."""
        await asyncio.sleep(0)
        match order.manner, context.step:
            case Manner.REFUSED, "charge":
                raise PermanentError("the card is declined")
            case Manner.LATE, "charge":
                asyncio.get_running_loop().call_later(0.02, self._late, context)
                raise ConnectionError("no answer")
            case Manner.UNSENT, _ if context.attempt == 1:
                raise ConnectionError("no connection")
            case _:
                pass
        calls = self.book.do(context)
        if order.manner is Manner.LOST and calls == 1:
            raise ConnectionError("the answer is lost")
        return Receipt(order.letter or context.step)

    def undo(self, order: Order, context: StepContext) -> None:
        """Take an action back, safe also when it never happened."""
        self.book.undo(context)
        if order.manner is Manner.DECLINED and context.attempt == 1:
            raise ConnectionError("the answer is lost")

    def _late(self, context: StepContext) -> None:
        with suppress(PermanentError, OSError):  # refused, or the shop has closed: nobody hears of it
            self.book.do(context)


@step(timeout=5, retry=_QUICKLY)
async def reserve(order: Order, shop: Participants, ctx: StepContext) -> Receipt:
    """Keep the goods."""
    return await shop.act(order, ctx)


@reserve.compensation(timeout=5, retry=_STUBBORNLY)
async def release(order: Order, shop: Participants, ctx: StepContext) -> None:
    """Put them back."""
    shop.undo(order, ctx)


@step(timeout=5, retry=_QUICKLY, read_only=True)
async def quote(order: Order) -> Quote:
    """Look something up."""
    return Quote(order.letter)


@step(timeout=5, retry=_QUICKLY)
async def charge(order: Order, quote: Quote, shop: Participants, ctx: StepContext) -> Receipt:
    """Take the money."""
    return await shop.act(order, ctx)


@charge.compensation(timeout=5, retry=_STUBBORNLY)
async def refund(order: Order, shop: Participants, ctx: StepContext) -> None:
    """Give it back."""
    shop.undo(order, ctx)


@step(timeout=5, retry=_STUBBORNLY, pivot=True)
async def ship(order: Order, charge: Receipt, shop: Participants, ctx: StepContext) -> Receipt:
    """Send the goods off."""
    return await shop.act(order, ctx)


@step(timeout=5, retry=_STUBBORNLY)
async def confirm(order: Order, ship: Receipt, shop: Participants, ctx: StepContext) -> Receipt:
    """Write to the customer."""
    return await shop.act(order, ctx)


def needs_approval(order: Order) -> bool:
    """Whether the order waits for a person."""
    return order.manner in _WAITING


proof_saga = Saga(
    "proof",
    version=1,
    input=Order,
    steps=[
        parallel(reserve, quote),
        receive(Approve | Decline, decline=Decline, timeout=timedelta(hours=1), when=needs_approval, name="approval"),
        charge,
        ship,
        confirm,
    ],
)


def orders(name: str, manners: Sequence[Manner]) -> list[Order]:
    """One order of each manner. Their ids tell the manner, so that an audit needs nothing else."""
    return [
        Order(f"{manner}-{name}-{number}", manner, "x" * _MANY_BYTES if manner is Manner.LARGE else "")
        for number, manner in enumerate(manners)
    ]


MONDAY = orders("monday", [Manner.LARGE, Manner.LOST, Manner.REFUSED, Manner.APPROVED, Manner.CANCELLED])
TUESDAY = orders(
    "tuesday", [Manner.PLAIN, Manner.LARGE, Manner.UNSENT, Manner.LATE, Manner.DECLINED, Manner.CANCELLED, Manner.HASTY]
)


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


def coordinator(path: Path, book: Book, *, host: bool = True) -> Coordinator:
    """The real thing, with a quick pulse."""
    shop = [Participants(book)] if host else []
    store = SqliteStore(path, busy_timeout=2.0)
    return Coordinator(
        store, sagas=[proof_saga], provide=shop, host=host, shutdown_grace=2.0, limits=_LIMITS, converter=_CONVERTER
    )


async def day(path: Path, book: Book, placed: Sequence[Order], *, purge: bool = False, host: bool = True) -> None:
    """Open, serve some customers (and sweep up behind those of the day before), close."""
    async with coordinator(path, book, host=host) as opened:
        if purge:
            await again(lambda: opened.purge(older_than=timedelta()))
        async with asyncio.TaskGroup() as tasks:
            for order in placed:
                tasks.create_task(Customer(coordinator=opened, book=book, order=order).serve())


def work(path: Path, notes: Path, placed: Sequence[Order], *, host: bool = True) -> None:
    """One process that serves some customers and ends."""
    book = Book(notes)
    asyncio.run(day(path, book, placed, host=host))
    book.close()


def host(path: Path, notes: Path, placed: Sequence[Order]) -> None:
    """One process that serves some customers, and stays until it is asked to leave by SIGTERM."""
    book = Book(notes)

    async def stay() -> None:
        leaving = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leaving.set)
        lives.heed()
        serving = asyncio.create_task(_day_and_night(path, book, placed))
        left = asyncio.create_task(leaving.wait())
        await asyncio.wait([serving, left], return_when=asyncio.FIRST_COMPLETED)
        left.cancel()
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving

    asyncio.run(stay())
    book.close()


async def _day_and_night(path: Path, book: Book, placed: Sequence[Order]) -> None:
    async with coordinator(path, book) as opened, asyncio.TaskGroup() as tasks:
        for order in placed:
            tasks.create_task(Customer(coordinator=opened, book=book, order=order).serve())
        tasks.create_task(asyncio.Event().wait())


def monday(folder: Path) -> None:
    """The first half of the workload: the file is made, used and closed."""
    book = Book(folder / "book")
    if MONDAY_IS_OVER not in read(folder / "book"):  # else this release must not open the next one's file
        with frequent_checkpoints():
            asyncio.run(day(folder / "db" / "orders.db", book, MONDAY))
        book.write(MONDAY_IS_OVER)
    book.close()


def two_days(folder: Path) -> None:
    """The whole workload: then the file is migrated by the next release, swept, used and closed.

    All of it may be repeated: after a fault, the same call is also what brings every order to its end.
    """
    monday(folder)
    book = Book(folder / "book")
    with frequent_checkpoints(), patch.object(sqlite, "MIGRATIONS", NEXT_SCHEMA):
        asyncio.run(day(folder / "db" / "orders.db", book, TUESDAY, purge=True))
    book.close()


def frequent_checkpoints() -> AbstractContextManager[object]:
    """A checkpoint after a few pages, as often as a large file would see them."""
    return patch.object(Checkpointer, "run", partialmethod(Checkpointer.run, due=_PAGES))
