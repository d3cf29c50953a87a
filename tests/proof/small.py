"""Small sagas for simulations, and their participants."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from attrs import frozen

from atone import (
    DidNotHappen,
    Happened,
    Probe,
    Retry,
    Saga,
    StepContext,
    parallel,
    receive,
    step,
)
from atone.testing import FakeService, action

_TWICE = Retry(attempts=2, first=1.0, longest=1.0)


@frozen
class Order:
    """What a customer asks for."""

    cents: int = 100


@frozen
class Approve:
    """A person says yes."""

    words: str = "yes"


@frozen
class Decline:
    """A person says no."""

    words: str = "no"


class Stock(FakeService):
    """Holds the goods."""

    reserve = action(undo="release")
    pack = action(undo="unpack")


class Payments(FakeService):
    """Takes the money."""

    charge = action(undo="refund", find="find_charge")


class Carrier(FakeService):
    """Ships the goods."""

    ship = action()


@step(timeout=5, retry=_TWICE)
async def reserve(order: Order, stock: Stock, ctx: StepContext) -> str:
    """Keep the goods."""
    return str(await stock.reserve(key=ctx.key))


@reserve.compensation(timeout=5, retry=_TWICE)
async def release(order: Order, stock: Stock, ctx: StepContext) -> None:
    """Put them back."""
    await stock.release(key=ctx.action_key)


@step(timeout=5, retry=_TWICE)
async def pack(order: Order, stock: Stock, ctx: StepContext) -> str:
    """Wrap them."""
    return str(await stock.pack(key=ctx.key))


@pack.compensation(timeout=5, retry=_TWICE)
async def unpack(order: Order, stock: Stock, ctx: StepContext) -> None:
    """Unwrap them."""
    await stock.unpack(key=ctx.action_key)


@step(timeout=5, retry=_TWICE)
async def charge(order: Order, payments: Payments, ctx: StepContext) -> str:
    """Take the money."""
    return str(await payments.charge(key=ctx.key))


@charge.compensation(timeout=5, retry=_TWICE)
async def refund(order: Order, payments: Payments, ctx: StepContext) -> None:
    """Give it back."""
    await payments.refund(key=ctx.action_key)


@step(timeout=5, retry=_TWICE)
async def probed(order: Order, payments: Payments, ctx: StepContext) -> str:
    """Take the money from somebody who can be asked what became of it."""
    return str(await payments.charge(key=ctx.key))


@probed.compensation(timeout=5, retry=_TWICE)
async def refund_probed(order: Order, payments: Payments, ctx: StepContext) -> None:
    """Give it back."""
    await payments.refund(key=ctx.action_key)


@probed.probe
async def find_charge(order: Order, payments: Payments, ctx: StepContext) -> Probe[str]:
    """Ask what became of it. A request may still arrive."""
    found = await payments.find_charge(key=ctx.action_key)
    return Happened(found) if isinstance(found, str) else DidNotHappen()


@step(timeout=5, retry=_TWICE, pivot=True)
async def ship(order: Order, carrier: Carrier, ctx: StepContext) -> str:
    """Let the goods go for good."""
    return str(await carrier.ship(key=ctx.key))


@step(timeout=1, retry=Retry(attempts=1))
async def charge_at_leisure(order: Order, payments: Payments, ctx: StepContext) -> str:
    """Take the money, and do not heed for a while that it is time to end."""
    try:
        return str(await payments.charge(key=ctx.key))
    except asyncio.CancelledError:
        await asyncio.sleep(10)
        raise


charge_at_leisure.compensation(timeout=5, retry=_TWICE)(refund)


@step(timeout=5, retry=_TWICE)
async def weigh(order: Order, ctx: StepContext) -> str:
    """Find out what it weighs, for which the memory is too small the first time."""
    if ctx.attempt == 1:
        raise MemoryError
    return "heavy"


@weigh.compensation
async def unweigh(order: Order) -> None:
    """Nothing is to be undone."""


#: Seconds that a person has: few enough that a host keeps the order in memory, with a timer of its own.
SOON = 2.6


_approval = receive(Approve | Decline, decline=Decline, timeout=timedelta(seconds=SOON), name="approval")

straight = Saga("straight", input=Order, steps=[reserve, charge, ship])
grouped = Saga("grouped", input=Order, steps=[parallel(reserve, pack), charge, ship])
leisurely = Saga("leisurely", input=Order, steps=[reserve, charge_at_leisure, ship])
asking = Saga("asking", input=Order, steps=[reserve, probed, ship])
waiting = Saga("waiting", input=Order, steps=[reserve, _approval, charge, ship])
twofold = Saga(
    "twofold", input=Order, steps=[reserve, receive(Approve, name="one"), receive(Approve, name="two"), ship]
)
open_ended = Saga("open-ended", input=Order, steps=[reserve, receive(Approve, name="approval"), ship])

weighed = Saga("weighed", input=Order, steps=[reserve, weigh, ship])

SERVICES = (Stock, Payments, Carrier)

#: What must stand at the participants of each saga when its order is completed.
EFFECTS = {
    "straight": {"reserve", "charge", "ship"},
    "grouped": {"reserve", "pack", "charge", "ship"},
    "leisurely": {"reserve", "charge", "ship"},
    "asking": {"reserve", "charge", "ship"},
    "waiting": {"reserve", "charge", "ship"},
    "twofold": {"reserve", "ship"},
    "open-ended": {"reserve", "ship"},
    "weighed": {"reserve", "ship"},
}
