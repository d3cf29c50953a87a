"""Every saga of the examples and of this proof, killed before every callback, and its recovery killed as well.

Nothing is left to chance: each of `SHARES` cases takes its share of all crash points there are, and all of them
together take every one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from attrs import evolve, frozen

from atone import DidNotHappen, Happened, Probe, Retry, Saga, StepContext, parallel, receive, step
from atone.testing import FakeService, Simulation, action
from atone.testing.campaign import Campaign
from atone.testing.disturbance import History
from atone.testing.outcomes import Fate
from atone.testing.story import SagaFailure
from examples import service
from examples.shop import domain
from examples.shop import saga as shop

from .counts import Case, Counts
from .stand_ins import SERVICE, SHOP

WORKERS = 2
PER_CASE = 450  # of 554 on average: no share is so small that a part of a build would try too little
#: cases into which all crash points are dealt; a size of `SHARES * PER_CASE` takes every one of them
SHARES = 100
_ROUND = 25  #: shares by which a seed begins behind the last: a soak, which takes so many a round, comes to all


@frozen
class Order:
    """What is ordered."""

    cents: int = 100


@frozen
class Approve:
    """A person lets it pass."""

    by: str = "alice"


@frozen
class Decline:
    """A person stops it."""

    by: str = "bob"


class Stock(FakeService):
    """Keeps goods."""

    reserve = action(undo="release", find="find_reserved")
    screen = action(read_only=True)


class Bank(FakeService):
    """Takes money."""

    charge = action(undo="refund", find="find_charge")


class Carrier(FakeService):
    """Takes goods away."""

    ship = action(find="find_shipment")
    tell = action()


SERVICES = (Stock, Bank, Carrier)
_BRIEFLY = Retry(attempts=2, first=0.1)


@step(timeout=2, retry=_BRIEFLY)
async def reserve(order: Order, stock: Stock, ctx: StepContext) -> str:
    """Keep the goods."""
    return str(await stock.reserve(key=ctx.key))


@reserve.compensation(timeout=2)
async def release(stock: Stock, ctx: StepContext) -> None:
    """Let them go."""
    await stock.release(key=ctx.action_key)


@step(timeout=2, retry=_BRIEFLY, read_only=True)
async def screen(order: Order, stock: Stock, ctx: StepContext) -> str:
    """Look at the customer."""
    return str(await stock.screen(key=ctx.key))


@step(timeout=2, retry=_BRIEFLY)
async def charge(order: Order, bank: Bank, ctx: StepContext) -> str:
    """Take the money."""
    return str(await bank.charge(key=ctx.key))


@charge.compensation(timeout=2)
async def refund(bank: Bank, ctx: StepContext) -> None:
    """Give it back."""
    await bank.refund(key=ctx.action_key)


@charge.probe(timeout=2, retry=_BRIEFLY)
async def find_charge(bank: Bank, ctx: StepContext) -> Probe[str]:
    """Ask what became of it."""
    found = await bank.find_charge(key=ctx.action_key)
    return Happened(str(found)) if isinstance(found, str) else DidNotHappen()


@step(timeout=2, repeatable=False)
async def charge_once(order: Order, bank: Bank, ctx: StepContext) -> str:
    """Take the money; this bank must not be asked twice."""
    return str(await bank.charge(key=ctx.key))


charge_once.compensation(timeout=2)(refund)


@step(timeout=2, retry=_BRIEFLY, pivot=True)
async def ship(order: Order, carrier: Carrier, ctx: StepContext) -> str:
    """Send the goods."""
    return str(await carrier.ship(key=ctx.key))


@ship.probe(timeout=2, retry=_BRIEFLY)
async def find_shipment(carrier: Carrier, ctx: StepContext) -> Probe[str]:
    """Ask what became of them; the carrier never sends twice."""
    found = await carrier.find_shipment(key=ctx.action_key)
    return Happened(str(found)) if isinstance(found, str) else DidNotHappen()


@step(timeout=2, retry=_BRIEFLY)
async def tell(order: Order, carrier: Carrier, ctx: StepContext) -> str:
    """Write to the customer."""
    return str(await carrier.tell(key=ctx.key))


approval = receive(Approve | Decline, decline=Decline, timeout=timedelta(minutes=1), name="approval")


@frozen
class Trial:
    """A saga, what its order is started with and sent, and who takes part."""

    saga: Saga[Any]
    input: object = Order()
    messages: tuple[object, ...] = ()
    services: Sequence[object] | Mapping[Any, object] = SERVICES


_LARGE = domain.Order("1", "alice", "UK", "lamp", 3, shop.APPROVAL_LIMIT_PENCE + 1)
_GROUPED = Saga("grouped", input=Order, steps=[parallel(reserve, screen), approval, charge, ship, tell])

#: by name; `shop` and `service` are the sagas of the examples, as they are
TRIALS = {
    "readme": Trial(Saga("readme", input=Order, steps=[reserve, charge])),
    "docs": Trial(Saga("docs", input=Order, steps=[charge, ship])),
    "once": Trial(Saga("once", input=Order, steps=[reserve, charge_once, ship, tell])),
    "declined": Trial(Saga("declined", input=Order, steps=[reserve, approval, charge, ship]), messages=(Decline(),)),
    "silent": Trial(Saga("silent", input=Order, steps=[reserve, approval, charge, ship])),
    "grouped": Trial(_GROUPED, messages=(Approve(),)),
    "service": Trial(
        service.order_saga, service.Order("1", "lamp", 1, service.LARGE_CENTS), (service.Approve("ann"),), SERVICE
    ),
    "shop": Trial(shop.shop_saga, _LARGE, (domain.Approve("ann"),), SHOP),
}
#: of which the recovery is killed before every callback; in the others wherever anything has moved
CLOSELY = ("readme", "once", "service")


@frozen
class Point:
    """A moment to die at, in one run of one saga."""

    saga: str
    store: Literal["memory", "sqlite"]
    history: History
    deeper: bool  #: whether the recovery is killed, too


def prepare(seed: int, _size: int, _folder: Path) -> Case:
    """Find every crash point: one watched run for each saga, store and disturbance."""
    points = list(_points(seed))

    def case(index: int) -> Counts:
        counts = Counts()
        share = (index + seed * _ROUND) % SHARES
        for point in points[share::SHARES] if index < SHARES else ():
            if not counts.violations:  # which are told when the share is over
                _kill(seed, point, counts)
        return counts

    return case


def _points(seed: int) -> Iterator[Point]:
    for name in TRIALS:
        for store in ("memory", "sqlite"):
            campaign = _of(seed, name, store)
            quiet = campaign.play(History(), watch=True)
            asked = quiet.asked if store == "memory" else ()
            disturbed = [History((one.disturbed(fate),)) for one in asked for fate in campaign.fates(one)]
            for history in (quiet.history, *disturbed):
                seen = campaign.play(history, watch=True) if history.disturbances else quiet
                brief = all(one.fate == Fate.REFUSED for one in history.disturbances)  # nothing is waited for
                for point in campaign.points(seen, 0):
                    deeper = store == "memory" and (brief or name in ("readme", "docs"))
                    yield Point(name, store, evolve(history, crashes=(point,)), deeper)


def _of(seed: int, name: str, store: Literal["memory", "sqlite"]) -> Campaign:
    trial = TRIALS[name]

    async def scenario(sim: Simulation) -> None:
        id = await sim.start(trial.saga, trial.input, id="1")
        for message in trial.messages:
            await sim.send(id, message, id=type(message).__name__)
        await sim.settle()

    return Campaign.of(
        name, scenario, [trial.saga], trial.services, seed=seed, store=store, every=True, refuse_undos=True
    )


def _kill(seed: int, point: Point, counts: Counts) -> None:
    campaign = _of(seed, point.saga, point.store)
    try:
        seen = campaign.play(point.history, watch=point.deeper)
        counts.crash_points += 1
        if point.deeper:
            campaign.every = point.saga in CLOSELY
            for second in campaign.points(seen, point.history.crashes[0]):
                campaign.play(evolve(point.history, crashes=(*point.history.crashes, second)))
                counts.crash_points += 1
    except SagaFailure as failure:
        counts.violations += [
            f"{one} [{point.saga} on {point.store}: {failure.story.again}]" for one in failure.violations
        ]
    counts.histories += campaign.coverage.histories
