"""The orders of all cases as sagas: reserve, charge, ship, each of which yields once and returns a small result."""

from __future__ import annotations

from datetime import timedelta

from attrs import frozen

from atone import PermanentError, Saga, receive, step

from .shop import StepLog


@frozen
class Order:
    """The input: as large as the bare loop's."""

    id: str
    sku: str = "widget"
    quantity: int = 2
    amount: int = 9999
    email: str = "a@example.com"


@frozen
class Reservation:
    """The result of the first step."""

    id: str


@frozen
class Charge:
    """The result of the second step."""

    id: str


@frozen
class Shipment:
    """The result of the last step."""

    id: str


@frozen
class Approve:
    """Lets an order pass."""

    by: str


#: Seconds: those that hang on purpose are not to be repeated before the kill.
PATIENCE = 600


@step(timeout=PATIENCE)
async def reserve(order: Order, log: StepLog) -> Reservation:
    """Take the goods."""
    return Reservation(**await log.act(order.id, "reserve"))


@reserve.compensation
async def release(order: Order, log: StepLog) -> None:
    """Give them back."""
    await log.act(order.id, "release")


@step(timeout=PATIENCE)
async def charge(order: Order, log: StepLog) -> Charge:
    """Take the money."""
    return Charge(**await log.act(order.id, "charge"))


@charge.compensation
async def refund(order: Order, log: StepLog) -> None:
    """Give it back."""
    await log.act(order.id, "refund")


@step(timeout=PATIENCE, pivot=True)
async def ship(order: Order, log: StepLog) -> Shipment:
    """Send the goods."""
    return Shipment(**await log.act(order.id, "ship"))


@step(pivot=True)
async def refuse(order: Order, log: StepLog) -> Shipment:
    """Find no carrier."""
    await log.act(order.id, "ship")
    raise PermanentError("no carrier takes it")


SAGA = Saga("order", input=Order, steps=[reserve, charge, ship])
REFUSED = Saga("refused", input=Order, steps=[reserve, charge, refuse])
APPROVED = Saga("approved", input=Order, steps=[reserve, receive(Approve, timeout=timedelta(days=30)), charge, ship])
