"""The order saga: from the reservation to the letter, and the way back.

Timeouts, waits and backoffs are short, because a year of orders is to be replayed in a minute.
"""

from __future__ import annotations

from datetime import timedelta

from atone import (
    DidNotHappen,
    Happened,
    NeverWillHappen,
    Probe,
    Retry,
    Saga,
    StepContext,
    parallel,
    receive,
    step,
)

from .domain import Approve, Charge, Confirmation, Decline, Order, Reservation, Screening, Shipment
from .ledger import Known
from .participants import Carrier, Mailer, Payments, Warehouse

APPROVAL_LIMIT_PENCE = 250_000  #: a larger order waits for a person
APPROVAL_TIMEOUT = timedelta(seconds=3)
TIMEOUT = 1.0  #: seconds for one call
BRIEFLY = Retry(attempts=3, first=0.05, factor=2.0, longest=0.5)
STUBBORNLY = Retry(attempts=20, first=0.05, factor=2.0, longest=0.5)


@step(timeout=TIMEOUT, retry=BRIEFLY)
async def reserve(order: Order, warehouse: Warehouse, ctx: StepContext) -> Reservation:
    """Keep the goods for this order."""
    entry = await warehouse.reserve(order, key=ctx.key)
    return Reservation(entry.reference)


@reserve.compensation(timeout=TIMEOUT, retry=STUBBORNLY)
async def release(order: Order, reservation: Reservation | None, warehouse: Warehouse, ctx: StepContext) -> None:
    """Put the goods back; safe when they were never taken."""
    await warehouse.release(order, key=ctx.key, action_key=ctx.action_key)


@step(timeout=TIMEOUT, retry=BRIEFLY, read_only=True)
async def check_fraud(order: Order, payments: Payments, ctx: StepContext) -> Screening:
    """Ask the payment provider about the customer. Changes nothing, so nothing is ever owed for it."""
    return await payments.screen(order, key=ctx.key)


def needs_approval(order: Order) -> bool:
    """Whether a person has to look at this order."""
    return order.total_pence > APPROVAL_LIMIT_PENCE


@step(timeout=TIMEOUT, retry=BRIEFLY)
async def charge(order: Order, payments: Payments, ctx: StepContext) -> Charge:
    """Take the money."""
    entry = await payments.charge(order, key=ctx.key)
    return Charge(entry.reference)


@charge.compensation(timeout=TIMEOUT, retry=STUBBORNLY)
async def refund(order: Order, charge: Charge | None, payments: Payments, ctx: StepContext) -> None:
    """Give the money back; safe when it was never taken, also when the charge arrives later."""
    await payments.refund(order, key=ctx.key, action_key=ctx.action_key)


@charge.probe(timeout=TIMEOUT, retry=BRIEFLY)
async def find_charge(order: Order, payments: Payments, ctx: StepContext) -> Probe[Charge]:
    """Ask what became of a charge whose answer was lost."""
    known = await payments.find(key=ctx.key, action_key=ctx.action_key)
    return Happened(Charge(known.entry.reference)) if known.entry else nothing_yet(known)


@step(timeout=TIMEOUT, retry=STUBBORNLY, pivot=True)
async def ship(order: Order, charge: Charge, carrier: Carrier, ctx: StepContext) -> Shipment:
    """Send the goods off: the point of no return."""
    entry = await carrier.ship(order, key=ctx.key)
    return Shipment(entry.reference)


@ship.probe(timeout=TIMEOUT, retry=BRIEFLY)
async def find_shipment(order: Order, carrier: Carrier, ctx: StepContext) -> Probe[Shipment]:
    """Ask what became of a shipment whose answer was lost."""
    known = await carrier.find(key=ctx.key, action_key=ctx.action_key)
    return Happened(Shipment(known.entry.reference)) if known.entry else nothing_yet(known)


def nothing_yet(known: Known) -> DidNotHappen | NeverWillHappen:
    """Only a closed key is a promise that nothing will come."""
    return NeverWillHappen() if known.closed else DidNotHappen()


@step(timeout=TIMEOUT, retry=STUBBORNLY)
async def send_confirmation(order: Order, shipment: Shipment, mailer: Mailer, ctx: StepContext) -> Confirmation:
    """Write to the customer; after the pivot, so this is repeated and never undone."""
    entry = await mailer.confirm(order, key=ctx.key)
    return Confirmation(entry.reference)


shop_saga = Saga(
    "shop",
    version=1,
    input=Order,
    steps=[
        parallel(reserve, check_fraud),
        receive(Approve | Decline, decline=Decline, timeout=APPROVAL_TIMEOUT, when=needs_approval, name="approval"),
        charge,
        ship,
        send_confirmation,
    ],
)
