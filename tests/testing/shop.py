"""A shop in ten lines of steps, and its participants."""

from datetime import timedelta

from attrs import frozen

from atone import Retry, Saga, StepContext, receive, step
from atone.testing import FakeService, action


@frozen
class Order:
    cents: int = 100


@frozen
class Approve:
    by: str = "alice"


@frozen
class Decline:
    why: str = "too dear"


class Stock(FakeService):
    reserve = action(undo="release")


class Payments(FakeService):
    charge = action(undo="refund", find="find_charge")


class Carrier(FakeService):
    ship = action()


SERVICES = (Stock, Payments, Carrier)


@step
async def reserve(order: Order, stock: Stock, ctx: StepContext) -> str:
    """Take it off the shelf."""
    receipt: str = await stock.reserve(key=ctx.key)
    return receipt


@reserve.compensation
async def release(order: Order, stock: Stock, ctx: StepContext) -> None:
    """Put it back."""
    await stock.release(key=ctx.action_key)


@step(timeout=5, retry=Retry(attempts=2, first=1.0))
async def charge(order: Order, payments: Payments, ctx: StepContext) -> str:
    """Take the money."""
    receipt: str = await payments.charge(key=ctx.key, cents=order.cents)
    return receipt


@charge.compensation
async def refund(order: Order, payments: Payments, ctx: StepContext) -> None:
    """Give it back."""
    await payments.refund(key=ctx.action_key)


@step(pivot=True)
async def ship(order: Order, carrier: Carrier, ctx: StepContext) -> str:
    """Let it go for good."""
    receipt: str = await carrier.ship(key=ctx.key)
    return receipt


shop = Saga("shop", input=Order, steps=[reserve, charge, ship])

approval = receive(Approve | Decline, decline=Decline, timeout=timedelta(days=300), name="approval")
patient = Saga("patient", input=Order, steps=[reserve, approval, charge, ship])


@step(timeout=5, retry=Retry(attempts=1))
async def pay(order: Order, payments: Payments, ctx: StepContext) -> str:
    """Take the money."""
    receipt: str = await payments.charge(key=ctx.key)
    return receipt


@pay.compensation
async def repay(pay: str | None, payments: Payments, ctx: StepContext) -> None:
    """Give it back, where it is known to have been taken: the bug that most sagas have."""
    if pay is not None:
        await payments.refund(key=ctx.action_key)


forgetful = Saga("forgetful", input=Order, steps=[pay, ship])
