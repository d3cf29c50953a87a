"""What may befall one order of a small saga in a simulated world. Each scenario says how its order must end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Any, cast

from attrs import frozen

from atone import CancelAnswer, Saga, SendAnswer, Status, TooLarge
from atone.storage import Message, Store
from atone.storage.codec import LIMIT
from atone.testing import Simulation

from .small import (
    SERVICES,
    SOON,
    Approve,
    Carrier,
    Order,
    Payments,
    asking,
    grouped,
    open_ended,
    straight,
    twofold,
    waiting,
    weighed,
)

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

_MANY = "lost lost lost lost lost lost"

_fated(straight, _DONE)
_fated(straight, _UNDONE, _DONE, charge="refused")
_fated(grouped, _UNDONE, _DONE, charge="refused")
_fated(straight, _DONE, charge="applied_answer_lost", reserve="lost")
_fated(straight, _UNDONE, _DONE, charge="late refused")
_fated(straight, _UNDONE, _DONE, charge="late late")
_fated(straight, _UNDONE, _DONE, charge="hang hang")
_fated(straight, _UNDONE, reserve=_MANY)
_fated(straight, _UNDONE, charge=_MANY)
_fated(straight, _PARKED, ship=_MANY)
_fated(straight, _PARKED, _DONE, ship="late late")
_fated(straight, _PARKED, _UNDONE, _DONE, ship="refused", refund="lost lost")
_fated(asking, _UNDONE, _DONE, charge="late late")
_fated(asking, _DONE, charge="applied_answer_lost")
_fated(waiting, _UNDONE)
_fated(weighed, _DONE)


@_scenario(waiting, _DONE)
async def approved(sim: Simulation, chance: Random) -> None:
    """Somebody says yes in time, to the process that hosts."""
    await sim.start(waiting, Order())
    await sim.advance(chance.uniform(0, SOON / 2))
    assert await sim.send("1", Approve(), id="yes") in {SendAnswer.ACCEPTED, SendAnswer.DUPLICATE}
    await sim.settle()


@_scenario(waiting, _DONE)
async def approved_elsewhere(sim: Simulation, chance: Random) -> None:
    """Somebody says yes in time, to another process: the host has not seen it when the time is over."""
    await sim.start(waiting, Order())
    await sim.advance(SOON - chance.uniform(0.05, 0.45))  # a host looks for such messages at whole seconds: not now
    sim.observer().ask(lambda other: other.order("1").send(Approve(), id="yes"))
    await sim.settle()


class SlowStore:
    """Takes its time to read the messages of one order."""

    def __init__(self, inner: Store) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def messages(self, key: int) -> tuple[Message, ...]:
        """What there was when it was asked."""
        found = await self._inner.messages(key)
        await asyncio.sleep(0.1)
        return found


@_scenario(open_ended, _DONE)
async def approved_too_early(sim: Simulation, chance: Random) -> None:
    """Somebody says yes before the order waits for it, to another process, and the host is slow to read it."""
    real = sim.medium.store
    sim.medium.store = lambda: cast("Store", SlowStore(real()))  # type: ignore[method-assign]
    await sim.advance(4 - chance.uniform(0, 0.02))  # a host looks for such messages every four seconds
    await sim.start(open_ended, Order())
    sim.observer().ask(lambda other: other.order("1").send(Approve(), id="yes"))
    await sim.advance(7)
    status = sim.status("1")
    for _ in range(12):
        await sim.advance(7)  # in which most deaths fall: the next host would find the message
    assert status is _DONE, f"L1 an end: it was approved long ago, and is {status}"


@_scenario(twofold, _DONE)
async def approved_twice(sim: Simulation, chance: Random) -> None:
    """Two people must say yes, and the first one says it again."""
    await sim.start(twofold, Order())
    await sim.send("1", Approve(), id="first")
    await sim.send("1", Approve(), id="first")
    await sim.advance(10)
    status = sim.status("1")
    assert status is Status.WAITING, f"S11 once: one word was taken for two, and the order is {status}"
    await sim.send("1", Approve(), id="second")
    await sim.settle()


@_scenario(twofold, _DONE)
async def approved_twice_and_killed(sim: Simulation, chance: Random) -> None:
    """The same, and the process dies when one of its commits is on disk."""
    sim.crash_at(f"commit {chance.randint(2, 6)}:after")
    await approved_twice(sim, chance)


@_scenario(straight, _UNDONE)
async def killed_between_tries(sim: Simulation, chance: Random) -> None:
    """Nobody answers, and the process dies while it waits for the next try."""
    sim[Payments].charge.plan(*_MANY.split())
    await sim.start(straight, Order())
    await sim.advance(chance.uniform(0.2, 0.8))
    sim.crash()
    await sim.settle()


@_scenario(waiting, _UNDONE)
async def cancelled(sim: Simulation, chance: Random) -> None:
    """The customer changes their mind while the order waits, and says so twice."""
    await sim.start(waiting, Order())
    await sim.advance(chance.uniform(0.5, SOON / 2))
    await sim.cancel("1", id="no")
    await sim.cancel("1", id="no")
    await sim.advance(1)
    status = sim.status("1")
    assert status is _UNDONE, f"S12 truthful answers: the cancel was accepted long ago, and the order is {status}"


@_scenario(straight, None)
async def cancelled_sometime(sim: Simulation, chance: Random) -> None:
    """The customer changes their mind at any time, perhaps too late."""
    await sim.start(straight, Order())
    await sim.advance(chance.uniform(0, 0.15))
    answer = await sim.cancel("1")
    await sim.settle()
    status, wanted = sim.status("1"), _UNDONE if answer is CancelAnswer.ACCEPTED else _DONE
    assert status is wanted, f"S12 truthful answers: the cancel was answered {answer}, and the order is {status}"


@_scenario(straight, _DONE)
async def cancelled_past_the_pivot(sim: Simulation, chance: Random) -> None:
    """The customer changes their mind while nobody knows whether the goods have left."""
    sim[Carrier].ship.plan("late")
    await sim.start(straight, Order())
    await sim.advance(chance.uniform(0.5, 4))
    answer = await sim.cancel("1")
    assert answer is not CancelAnswer.ACCEPTED, f"S4 past the pivot: the goods may have left, and it says {answer}"
    await sim.settle()


@_scenario(straight, _DONE)
async def cancelled_behind_the_end(sim: Simulation, chance: Random) -> None:
    """The customer changes their mind when all is done."""
    await sim.start(straight, Order())
    await sim.settle()
    await sim.cancel("1")
    await sim.settle()


@_scenario(straight, _DONE)
async def started_again(sim: Simulation, chance: Random) -> None:
    """The customer presses the button twice, and the service is deployed in between."""
    await sim.start(straight, Order(), id="1")
    await sim.advance(chance.uniform(0, 0.1))
    await sim.restart()
    await sim.start(straight, Order(), id="1")
    await sim.settle()


@_scenario(straight, _DONE)
async def disk_fails(sim: Simulation, chance: Random) -> None:
    """A commit or two fail, and are on disk or not, at any time."""
    await sim.start(straight, Order())
    await sim.advance(chance.uniform(0, 0.1))
    sim.fail_commits(chance.randint(1, 2))
    await sim.settle()


@_scenario(waiting, _DONE)
async def approved_at_length(sim: Simulation, chance: Random) -> None:
    """Somebody says yes in more words than anybody takes, and then in one."""
    await sim.start(waiting, Order())
    await sim.advance(chance.uniform(0, SOON / 2))
    with suppress(TooLarge):
        await sim.send("1", Approve("x" * (LIMIT + 1)), id="long")
    await sim.send("1", Approve(), id="yes")
    await sim.settle()


@_scenario(straight, _DONE)
async def host_stops(sim: Simulation, chance: Random) -> None:
    """The host stands still until another has taken over, and goes on with what it had begun."""
    sim[Payments].charge.plan("hang")
    await sim.stand_by()
    await sim.start(straight, Order())
    await sim.advance(chance.uniform(0, 0.1))
    await sim.stall(chance.uniform(12, 20))
    await sim.settle()
