"""What participants, disks and processes may do to one order, and how that must end."""

from __future__ import annotations

from random import Random
from typing import Any

from atone import Saga, Status
from atone.testing import Simulation

from .scenario import SCENARIOS, Scenario, scenario
from .small import SERVICES, Order, Payments, asking, grouped, straight, waiting, weighed


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


@scenario(straight, _UNDONE)
async def killed_between_tries(sim: Simulation, chance: Random) -> None:
    """Nobody answers, and the process dies while it waits for the next try."""
    sim[Payments].charge.plan(*_MANY.split())
    await sim.start(straight, Order())
    await sim.advance(chance.uniform(0.2, 0.8))
    sim.crash()
    await sim.settle()


@scenario(straight, _DONE)
async def started_again(sim: Simulation, chance: Random) -> None:
    """The customer presses the button twice, and the service is deployed in between."""
    await sim.start(straight, Order(), id="1")
    await sim.advance(chance.uniform(0, 0.1))
    await sim.restart()
    await sim.start(straight, Order(), id="1")
    await sim.settle()


@scenario(straight, _DONE)
async def disk_fails(sim: Simulation, chance: Random) -> None:
    """A commit or two fail, and are on disk or not, at any time."""
    await sim.start(straight, Order())
    await sim.advance(chance.uniform(0, 0.1))
    sim.fail_commits(chance.randint(1, 2))
    await sim.settle()


@scenario(straight, _DONE)
async def host_stops(sim: Simulation, chance: Random) -> None:
    """The host stands still until another has taken over, and goes on with what it had begun."""
    sim[Payments].charge.plan("hang")
    await sim.stand_by()
    await sim.start(straight, Order())
    await sim.advance(chance.uniform(0, 0.1))
    await sim.stall(chance.uniform(12, 20))
    await sim.settle()
