"""The small shop that every layer here torments: one saga, its participants, and orders of every manner.

How an order ends depends on its manner alone, whatever faults come between: that is the whole test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from attrs import frozen

from atone import (
    PermanentError,
    Retry,
    Saga,
    Status,
    StepContext,
    parallel,
    receive,
    step,
)

from .book import Book

T = TypeVar("T")

_QUICKLY = Retry(attempts=3, first=0.002, longest=0.01)
_STUBBORNLY = Retry(attempts=1000, first=0.002, longest=0.05)
_MANY_BYTES = 3000  #: more than a snapshot keeps inside


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
