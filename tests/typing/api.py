"""What the type checkers know of the public face. It is checked and never run; errors that must be found say so."""

from collections.abc import Mapping
from typing import assert_type

from attrs import frozen

from atone import (
    CancelAnswer,
    Coordinator,
    Handle,
    Happened,
    NeverWillHappen,
    OrderStatus,
    Probe,
    Retry,
    Saga,
    SendAnswer,
    Status,
    StepContext,
    StepStatus,
    Transition,
    VerbAnswer,
    parallel,
    step,
)


@frozen
class Order:
    total_cents: int


@frozen
class Charge:
    reference: str


class Payments:
    async def charge(self, cents: int, *, key: str) -> Charge:
        return Charge(f"{key}/{cents}")


@step
async def reserve(order: Order, ctx: StepContext) -> int:
    """A step without options."""
    return order.total_cents


@reserve.compensation
async def release(order: Order, reserved: int | None) -> None:
    """A compensation without options."""


@step(timeout=10, retry=Retry(attempts=5))
async def charge(order: Order, payments: Payments, ctx: StepContext) -> Charge:
    """A step with options."""
    return await payments.charge(order.total_cents, key=ctx.key)


@charge.compensation(retry=Retry(attempts=9))
async def refund(order: Order, paid: Charge | None) -> None:
    """A compensation with options."""


@charge.probe
async def find_charge(order: Order, ctx: StepContext) -> Probe[Charge]:
    """A probe."""
    return Happened(Charge(ctx.action_key)) if order.total_cents else NeverWillHappen()


@step(pivot=True)
def ship(order: Order) -> str:
    """A step in a thread."""
    return "label"


order_saga = Saga("order", input=Order, steps=[parallel(reserve, charge), ship])
assert_type(order_saga, Saga[Order])
assert_type(order_saga.diagram(), str)


async def helpers_stay_functions(context: StepContext) -> None:
    """A unit test calls them with the types that they were written with."""
    assert_type(await release(Order(1), None), None)
    assert_type(await refund(Order(1), Charge("x")), None)
    assert_type(await find_charge(Order(1), context), Probe[Charge])
    await charge(Order(1), Payments(), context)
    await charge(Order(1), context)  # type: ignore[call-arg]
    await charge(Charge("x"), Payments(), context)  # type: ignore[arg-type]
    ship(order=Order(1))
    ship("order")  # type: ignore[arg-type]


async def orders_and_outcomes(coordinator: Coordinator) -> None:
    """Inputs go with their saga, results with their step."""
    order = await coordinator.start(order_saga, Order(1), id="1")
    await coordinator.start(order_saga, Charge("x"), id="1")  # type: ignore[misc]
    await coordinator.start(order_saga, Order(1))  # type: ignore[call-arg]

    assert_type(order, Handle)
    assert_type(coordinator.order("1"), Handle)
    outcome = await order.outcome(timeout=30)
    assert_type(outcome.result(reserve), int)
    assert_type(outcome.result(charge), Charge)
    assert_type(outcome.result(ship), str)
    assert_type(outcome.status, Status)
    assert_type(outcome.error, Exception | None)
    outcome.result("ship")  # type: ignore[arg-type]


async def answers(coordinator: Coordinator, order: Handle) -> None:
    """Each question has answers of its own."""
    assert_type(await order.send(Charge("x"), id="m"), SendAnswer)
    assert_type(await order.cancel("why", by="ann"), CancelAnswer)
    assert_type(await order.retry(1, by="ann", why="because"), VerbAnswer)
    assert_type(await order.status(), OrderStatus)
    assert_type((await order.status()).steps, Mapping[str, StepStatus])
    assert_type(await coordinator.count(), dict[Status, int])
    async for change in order.watch(after=7):
        assert_type(change, Transition)
    async for one in coordinator.orders(status=Status.PARKED):
        assert_type(one, OrderStatus)
    await order.cancel("why")  # type: ignore[call-arg]
