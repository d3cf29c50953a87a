"""Those who do the real work: a warehouse, a payment provider, a carrier and a mailer.

They know nothing of sagas. What they owe to a saga is in their ledger: keys and tombstones.
"""

from __future__ import annotations

from attrs import frozen

from atone import PermanentError

from .clerk import Clerk
from .domain import Order, Screening
from .ledger import Entry, Kind, Known
from .wire import Wire


@frozen
class Warehouse:
    """Keeps goods for orders."""

    clerk: Clerk
    wire: Wire

    async def reserve(self, order: Order, *, key: str) -> Entry:
        """Take the goods from the shelf."""
        return await self.wire.call(
            key,
            lambda: self.clerk.ask(lambda ledger: ledger.enter(key, Kind.RESERVE, order.id, order.quantity, order.sku)),
            refusal="the goods are damaged",
        )

    async def release(self, order: Order, *, key: str, action_key: str) -> Entry:
        """Put them back, if they were ever taken."""
        return await self.wire.call(
            key, lambda: self.clerk.ask(lambda ledger: ledger.undo(key, action_key, Kind.RELEASE, order.id))
        )


@frozen
class Payments:
    """Takes money, and gives it back."""

    clerk: Clerk
    wire: Wire

    async def screen(self, order: Order, *, key: str) -> Screening:
        """Judge how likely an order is a fraud. Has no effect."""

        async def judge() -> Screening:
            return Screening(risk=self.wire.mischief.draw("risk", order.customer))

        return await self.wire.call(key, judge, refusal="the customer is known for fraud")

    async def charge(self, order: Order, *, key: str) -> Entry:
        """Take the order's total."""
        return await self.wire.call(
            key,
            lambda: self.clerk.ask(lambda ledger: ledger.enter(key, Kind.CHARGE, order.id, order.total_pence)),
            refusal="the card is declined",
        )

    async def refund(self, order: Order, *, key: str, action_key: str) -> Entry:
        """Give it back, if it was ever taken."""
        return await self.wire.call(
            key, lambda: self.clerk.ask(lambda ledger: ledger.undo(key, action_key, Kind.REFUND, order.id))
        )

    async def find(self, *, key: str, action_key: str) -> Known:
        """Say what became of a charge."""
        return await self.wire.call(key, lambda: self.clerk.ask(lambda ledger: ledger.find(action_key)))


@frozen
class Carrier:
    """Takes goods to the customer; they do not come back."""

    clerk: Clerk
    wire: Wire

    async def ship(self, order: Order, *, key: str) -> Entry:
        """Send the goods off.

        A refusal here is a verdict on the address and is written down: the key is closed, so that also a
        probe hears that this shipment will never happen.
        """
        if self.wire.mischief.refuses(key):
            await self.clerk.ask(lambda ledger: ledger.close(key))
            raise PermanentError(f"no way to an address in {order.country}")
        return await self.wire.call(
            key,
            lambda: self.clerk.ask(lambda ledger: ledger.enter(key, Kind.SHIP, order.id, order.quantity)),
        )

    async def find(self, *, key: str, action_key: str) -> Known:
        """Say what became of a shipment."""
        return await self.wire.call(key, lambda: self.clerk.ask(lambda ledger: ledger.find(action_key)))


@frozen
class Mailer:
    """Writes to the customer."""

    clerk: Clerk
    wire: Wire

    async def confirm(self, order: Order, *, key: str) -> Entry:
        """Send one letter."""
        return await self.wire.call(
            key, lambda: self.clerk.ask(lambda ledger: ledger.enter(key, Kind.CONFIRM, order.id, 1))
        )
