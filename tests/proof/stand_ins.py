"""The participants of the example sagas as fakes: the same methods, and behind them ledgers that the oracle reads."""

from __future__ import annotations

from typing import Any

from attrs import frozen

from atone.testing import FakeService, action
from examples import outside
from examples.shop import participants
from examples.shop.domain import Screening


@frozen
class Receipt:
    """What a participant of the shop answers."""

    reference: str


@frozen
class Known:
    """What one of them knows of a key."""

    entry: Receipt | None
    closed: bool = False


class Warehouse(FakeService):
    """Keeps goods."""

    keep = action(undo="put_back")

    async def reserve(self, order: object, *, key: str) -> Receipt:
        """Keep them for an order."""
        return Receipt(str(await self.keep(key=key)))

    async def release(self, order: object, *, key: str, action_key: str) -> None:
        """Put them back."""
        await self.put_back(key=action_key)


class Payments(FakeService):
    """Takes money."""

    take = action(undo="give_back", find="find_taken")
    judge = action(read_only=True)

    async def screen(self, order: object, *, key: str) -> Screening:
        """Judge the customer."""
        await self.judge(key=key)
        return Screening(risk=0.1)

    async def charge(self, order: object, *, key: str) -> Receipt:
        """Take it."""
        return Receipt(str(await self.take(key=key)))

    async def refund(self, order: object, *, key: str, action_key: str) -> None:
        """Give it back."""
        await self.give_back(key=action_key)

    async def find(self, *, key: str, action_key: str) -> Known:
        """Say what became of it."""
        return _known(await self.find_taken(key=action_key))


class Carrier(FakeService):
    """Takes goods away."""

    send = action(find="find_sent")

    async def ship(self, order: object, *, key: str) -> Receipt:
        """Take them to the customer."""
        return Receipt(str(await self.send(key=key)))

    async def find(self, *, key: str, action_key: str) -> Known:
        """Say what became of them."""
        return _known(await self.find_sent(key=action_key))


class Mailer(FakeService):
    """Writes letters."""

    write = action()

    async def confirm(self, order: object, *, key: str) -> Receipt:
        """Write one."""
        return Receipt(str(await self.write(key=key)))


class Outside(FakeService):
    """Anybody outside of the service: does a thing, and undoes it."""

    act = action(undo="take_back")

    async def do(self, key: str, order: str, amount: int) -> None:
        """Do it."""
        await self.act(key=key)

    async def undo(self, action_key: str) -> None:
        """Undo it."""
        await self.take_back(key=action_key)


class Goods(Outside):
    """The warehouse of the service."""


class Money(Outside):
    """Its bank."""


class Vans(Outside):
    """Its carrier."""


#: by what the steps ask for
SHOP: dict[Any, type[FakeService]] = {
    participants.Warehouse: Warehouse,
    participants.Payments: Payments,
    participants.Carrier: Carrier,
    participants.Mailer: Mailer,
}
SERVICE: dict[Any, type[FakeService]] = {outside.Warehouse: Goods, outside.Payments: Money, outside.Carrier: Vans}


def _known(found: object) -> Known:
    return Known(Receipt(found) if isinstance(found, str) else None)
