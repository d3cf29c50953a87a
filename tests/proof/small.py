"""Small sagas in a simulated world, and what may befall them. Each scenario says how its order must end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import Random
from typing import Any

from attrs import frozen

from atone import (
    CancelAnswer,
    DidNotHappen,
    Happened,
    Probe,
    Retry,
    Saga,
    SendAnswer,
    Status,
    StepContext,
    parallel,
    receive,
    step,
)
from atone.testing import FakeService, Simulation, action

_TWICE = Retry(attempts=2, first=1.0, longest=1.0)


@frozen
class Order:
    """What a customer asks for."""

    cents: int = 100


@frozen
class Approve:
    """A person says yes."""


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


#: Seconds that a person has: few enough that a host keeps the order in memory, with a timer of its own.
_SOON = 4


def _approval(name: str) -> Any:
    return receive(Approve, timeout=timedelta(seconds=_SOON), name=name)


_straight = Saga("straight", input=Order, steps=[reserve, charge, ship])
_grouped = Saga("grouped", input=Order, steps=[parallel(reserve, pack), charge, ship])
_asking = Saga("asking", input=Order, steps=[reserve, probed, ship])
_waiting = Saga("waiting", input=Order, steps=[reserve, _approval("approval"), charge, ship])
_twofold = Saga(
    "twofold", input=Order, steps=[reserve, receive(Approve, name="one"), receive(Approve, name="two"), ship]
)

SERVICES = (Stock, Payments, Carrier)

#: What must stand at the participants of each saga when its order is completed.
EFFECTS = {
    "straight": {"reserve", "charge", "ship"},
    "grouped": {"reserve", "pack", "charge", "ship"},
    "asking": {"reserve", "charge", "ship"},
    "waiting": {"reserve", "charge", "ship"},
    "twofold": {"reserve", "ship"},
}

#: What people do, at moments that are drawn.
Play = Callable[[Simulation, Random], Awaitable[None]]


@frozen
class Scenario:
    """What happens to one order, and how it may end: by itself, and where the process died on the way."""

    name: str
    saga: Saga[Any]
    play: Play
    end: Status | None  #: `None` where `play` judges that itself
    also: tuple[Status, ...]


SCENARIOS: list[Scenario] = []


def _scenario(saga: Saga[Any], end: Status | None, *also: Status) -> Callable[[Play], Play]:
    def register(play: Play) -> Play:
        SCENARIOS.append(Scenario(play.__name__, saga, play, end, also))
        return play

    return register


def _fated(saga: Saga[Any], end: Status, *also: Status, **fates: str) -> None:
    """A scenario in which nobody does anything, and calls of services have these fates, one after another."""

    async def play(sim: Simulation, chance: Random) -> None:
        for call, planned in fates.items():
            service = next(one for one in SERVICES if hasattr(one, call))
            getattr(sim[service], call).plan(*planned.split())
        await sim.start(saga, Order())
        await sim.settle()

    name = " ".join([saga.name, *(f"{call}: {planned}" for call, planned in fates.items())])
    SCENARIOS.append(Scenario(name, saga, play, end, also))


_DONE, _UNDONE, _PARKED = Status.COMPLETED, Status.COMPENSATED, Status.PARKED

_fated(_straight, _DONE)
_fated(_straight, _UNDONE, _DONE, charge="refused")
_fated(_grouped, _UNDONE, _DONE, charge="refused")
_fated(_straight, _DONE, charge="applied_answer_lost", reserve="lost")
_fated(_straight, _UNDONE, _DONE, charge="late refused")
_fated(_straight, _UNDONE, _DONE, charge="late late")
_fated(_straight, _UNDONE, _DONE, charge="hang hang")
_fated(_straight, _UNDONE, charge=" ".join(["lost"] * 6))
_fated(_straight, _PARKED, _DONE, ship="late late")
_fated(_straight, _PARKED, _UNDONE, _DONE, ship="refused", refund="lost lost")
_fated(_asking, _UNDONE, _DONE, charge="late late")
_fated(_asking, _DONE, charge="applied_answer_lost")
_fated(_waiting, _UNDONE)


@_scenario(_waiting, _DONE)
async def approved(sim: Simulation, chance: Random) -> None:
    """Somebody says yes in time, to the process that hosts."""
    await sim.start(_waiting, Order())
    await sim.advance(chance.uniform(0, _SOON / 2))
    assert await sim.send("1", Approve(), id="yes") in {SendAnswer.ACCEPTED, SendAnswer.DUPLICATE}
    await sim.settle()


@_scenario(_waiting, _DONE)
async def approved_elsewhere(sim: Simulation, chance: Random) -> None:
    """Somebody says yes in time, to another process: the host has not seen it when the time is over."""
    await sim.start(_waiting, Order())
    await sim.advance(_SOON - chance.uniform(0, 0.2))  # a host looks for such messages every 2 seconds
    sim.observer().ask(lambda other: other.order("1").send(Approve(), id="yes"))
    await sim.settle()


@_scenario(_twofold, _DONE)
async def approved_twice(sim: Simulation, chance: Random) -> None:
    """Two people must say yes, and the first one says it again."""
    await sim.start(_twofold, Order())
    await sim.send("1", Approve(), id="first")
    await sim.send("1", Approve(), id="first")
    await sim.advance(10)
    status = sim.status("1")
    assert status is Status.WAITING, f"S11 once: one word was taken for two, and the order is {status}"
    await sim.send("1", Approve(), id="second")
    await sim.settle()


@_scenario(_waiting, _UNDONE)
async def cancelled(sim: Simulation, chance: Random) -> None:
    """The customer changes their mind while the order waits, and says so twice."""
    await sim.start(_waiting, Order())
    await sim.advance(chance.uniform(0.5, _SOON / 2))
    await sim.cancel("1", id="no")
    await sim.cancel("1", id="no")
    await sim.advance(1)
    status = sim.status("1")
    assert status is _UNDONE, f"S12 truthful answers: the cancel was accepted long ago, and the order is {status}"


@_scenario(_straight, None)
async def cancelled_sometime(sim: Simulation, chance: Random) -> None:
    """The customer changes their mind at any time, perhaps too late."""
    await sim.start(_straight, Order())
    await sim.advance(chance.uniform(0, 0.15))
    answer = await sim.cancel("1")
    await sim.settle()
    status, wanted = sim.status("1"), _UNDONE if answer is CancelAnswer.ACCEPTED else _DONE
    assert status is wanted, f"S12 truthful answers: the cancel was answered {answer}, and the order is {status}"


@_scenario(_straight, _DONE)
async def cancelled_past_the_pivot(sim: Simulation, chance: Random) -> None:
    """The customer changes their mind while nobody knows whether the goods have left."""
    sim[Carrier].ship.plan("late")
    await sim.start(_straight, Order())
    await sim.advance(chance.uniform(0.5, 4))
    answer = await sim.cancel("1")
    assert answer is not CancelAnswer.ACCEPTED, f"S4 past the pivot: the goods may have left, and the answer is {answer}"
    await sim.settle()


@_scenario(_straight, _DONE)
async def cancelled_behind_the_end(sim: Simulation, chance: Random) -> None:
    """The customer changes their mind when all is done."""
    await sim.start(_straight, Order())
    await sim.settle()
    await sim.cancel("1")
    await sim.settle()


@_scenario(_straight, _DONE)
async def started_again(sim: Simulation, chance: Random) -> None:
    """The customer presses the button twice, and the service is deployed in between."""
    await sim.start(_straight, Order())
    await sim.advance(chance.uniform(0, 0.1))
    await sim.restart()
    await sim.start(_straight, Order())
    await sim.settle()
