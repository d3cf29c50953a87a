"""What people may ask of one order, say to it or change their minds about, and how that must end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from random import Random
from typing import Any, cast

from atone import AnswerPending, CancelAnswer, Handle, SendAnswer, Status, TooLarge
from atone.storage import Message, Store
from atone.storage.codec import LIMIT
from atone.testing import Simulation

from .scenario import scenario
from .small import SOON, Approve, Carrier, Decline, Order, Payments, leisurely, open_ended, straight, twofold, waiting

_DONE, _UNDONE = Status.COMPLETED, Status.COMPENSATED


@scenario(waiting, _DONE)
async def approved(sim: Simulation, chance: Random) -> None:
    """Somebody says yes in time, to the process that hosts."""
    await sim.start(waiting, Order())
    await sim.advance(chance.uniform(0, SOON / 2))
    assert await sim.send("1", Approve(), id="yes") in {SendAnswer.ACCEPTED, SendAnswer.DUPLICATE}
    await sim.settle()


@scenario(waiting, _DONE)
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


@scenario(open_ended, _DONE)
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


@scenario(twofold, _DONE)
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


@scenario(twofold, _DONE)
async def approved_twice_and_killed(sim: Simulation, chance: Random) -> None:
    """The same, and the process dies when one of its commits is on disk."""
    sim.crash_at(f"commit {chance.randint(2, 6)}:after")
    await approved_twice(sim, chance)


@scenario(waiting, _UNDONE)
async def cancelled(sim: Simulation, chance: Random) -> None:
    """The customer changes their mind while the order waits, and says so twice."""
    await sim.start(waiting, Order())
    await sim.advance(chance.uniform(0.5, SOON / 2))
    await sim.cancel("1", id="no")
    await sim.cancel("1", id="no")
    await sim.advance(1)
    status = sim.status("1")
    assert status is _UNDONE, f"S12 truthful answers: the cancel was accepted long ago, and the order is {status}"


@scenario(straight, None)
async def cancelled_sometime(sim: Simulation, chance: Random) -> None:
    """The customer changes their mind at any time, perhaps too late."""
    await sim.start(straight, Order())
    await sim.advance(chance.uniform(0, 0.15))
    answer = await sim.cancel("1")
    await sim.settle()
    status, wanted = sim.status("1"), _UNDONE if answer is CancelAnswer.ACCEPTED else _DONE
    assert status is wanted, f"S12 truthful answers: the cancel was answered {answer}, and the order is {status}"


@scenario(straight, _UNDONE)
async def cancelled_beside_a_step(sim: Simulation, chance: Random) -> None:
    """The customer changes their mind while the bank does not answer."""
    sim[Payments].charge.plan("hang")
    await sim.start(straight, Order())
    await sim.advance(chance.uniform(0.2, 4))
    await sim.cancel("1", id="no")
    await sim.settle()


@scenario(leisurely, _UNDONE, _DONE)
async def cancelled_when_the_clock_was_set(sim: Simulation, chance: Random) -> None:
    """The customer changes their mind while an attempt that timed out still runs, an hour later by the clock alone."""
    sim[Payments].charge.plan("hang")
    await sim.start(leisurely, Order())
    await sim.advance(chance.uniform(1.5, 4))
    sim.jump(3600)
    await sim.cancel("1", id="no")
    await sim.settle()


@scenario(straight, _DONE)
async def cancelled_past_the_pivot(sim: Simulation, chance: Random) -> None:
    """The customer changes their mind while nobody knows whether the goods have left."""
    sim[Carrier].ship.plan("late")
    await sim.start(straight, Order())
    await sim.advance(chance.uniform(0.5, 4))
    answer = await sim.cancel("1")
    assert answer is not CancelAnswer.ACCEPTED, f"S4 past the pivot: the goods may have left, and it says {answer}"
    await sim.settle()


@scenario(straight, _DONE)
async def cancelled_behind_the_end(sim: Simulation, chance: Random) -> None:
    """The customer changes their mind when all is done."""
    await sim.start(straight, Order())
    await sim.settle()
    await sim.cancel("1")
    await sim.settle()


@scenario(waiting, _DONE)
async def approved_at_length(sim: Simulation, chance: Random) -> None:
    """Somebody says yes in more words than anybody takes, and then in one."""
    await sim.start(waiting, Order())
    await sim.advance(chance.uniform(0, SOON / 2))
    with suppress(TooLarge):
        await sim.send("1", Approve("x" * (LIMIT + 1)), id="long")
    await sim.send("1", Approve(), id="yes")
    await sim.settle()


@scenario(waiting, _UNDONE)
async def declined(sim: Simulation, chance: Random) -> None:
    """Somebody says no in time."""
    await sim.start(waiting, Order())
    await sim.advance(chance.uniform(0, SOON / 2))
    await sim.send("1", Decline(), id="no")
    await sim.settle()


@scenario(open_ended, _DONE)
async def approved_while_suspended(sim: Simulation, chance: Random) -> None:
    """Somebody else pauses the order while it waits; what comes meanwhile is taken when it goes on."""
    await sim.start(open_ended, Order())
    await sim.advance(chance.uniform(0.2, 2))
    _ask_elsewhere(sim, lambda order: order.suspend(by="dave", why="to look at it"))
    await sim.advance(5)  # a host looks for such requests every four seconds
    await sim.send("1", Approve(), id="yes")
    await sim.settle()
    _ask_elsewhere(sim, lambda order: order.resume(by="dave", why="seen"))
    await sim.advance(5)
    await sim.settle()


def _ask_elsewhere(sim: Simulation, verb: Callable[[Handle], Coroutine[Any, Any, object]]) -> None:
    """Ask in a process that does not host, which waits in vain: its time is nobody's."""
    with suppress(AnswerPending):
        sim.observer().ask(lambda other: verb(other.order("1")))
