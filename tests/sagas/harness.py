"""Processes that live and die on one disk, and the world outside them, which remembers everything."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any, Self, TypeVar

from attrs import define, field

from atone import Coordinator, Handle, Retry, Saga, Status, StoreUnavailable
from atone.actors import Limits
from atone.storage import Disk, Holder
from tests.faulty_store import FaultyMemory
from tests.manual_runtime import Clock, ManualRuntime, settle
from tests.sagas.world import Line, Order, World

T = TypeVar("T")

ONCE = Retry(attempts=1)
#: A policy with a pause of one second, and no luck in it.
TWICE = Retry(attempts=2, first=1.0, factor=1.0, jitter=0.0)
#: Few wake-ups, so that a test may let much time pass.
QUIET = Limits(poll=0.5, scan=1.0)


@define(eq=False)
class Life:
    """One process: a coordinator that may leave in good order, or die at any moment."""

    sagas: Sequence[Saga[Any]]
    world: World
    disk: Disk = field(factory=Disk)
    clock: Clock = field(factory=Clock)
    options: dict[str, Any] = field(factory=dict)
    store: FaultyMemory = field(init=False)
    runtime: ManualRuntime = field(init=False)
    coordinator: Coordinator = field(init=False)
    alive: bool = True
    left: bool = False

    def __attrs_post_init__(self) -> None:
        self.store = FaultyMemory(self.disk)
        self.store.died = self.die
        self.runtime = ManualRuntime(self.clock, name=f"p{self.disk.commits}-{id(self)}")
        options = {"is_gone": nobody_knows, "limits": QUIET, **self.options}
        provide = [*options.pop("provide", ()), Line(self.world, self)]
        self.coordinator = Coordinator(self.store, sagas=self.sagas, provide=provide, runtime=self.runtime, **options)

    async def __aenter__(self) -> Self:
        await self.coordinator.__aenter__()
        return self

    async def __aexit__(self, *_error: object) -> None:
        if self.alive and not self.left:
            await self.leave()

    def lapse(self) -> None:
        """The lease is not certain for a moment: what runs is cut off, and the store is read anew."""
        supervisor = self.coordinator._access.supervisor
        assert supervisor is not None
        supervisor.stand_down("as if the lease had not been renewed")

    def leaving(self) -> "asyncio.Future[None]":
        """Begin to leave in good order; what takes time waits for the test to let it pass."""
        self.left = True
        return later(self.coordinator.__aexit__(None, None, None))

    async def leave(self) -> None:
        """Leave in good order, with time passing meanwhile."""
        leaving = self.leaving()
        await self.clock.advance_until(leaving.done)
        await leaving
        self.die()

    def die(self) -> None:
        """Be gone: whatever was not written never will be."""
        self.alive = False
        self.store.dead = True
        self.runtime.kill()

    def successor(self, *sagas: Saga[Any], **options: Any) -> "Life":
        """A process that finds out at once that this one is dead, on the same disk and in the same world."""
        options = {**self.options, "is_gone": certainly_gone, **options}
        return Life(sagas or self.sagas, self.world, self.disk, self.clock, options)

    def beside(self, *sagas: Saga[Any], **options: Any) -> "Life":
        """A second process while this one lives."""
        return Life(sagas or self.sagas, self.world, self.disk, self.clock, {**self.options, **options})

    async def start(self, id: str = "1", order: object = None) -> Handle:
        """Start an order of the first saga."""
        return await self.coordinator.start(self.sagas[0], order or Order(), id=id)

    async def outcome(self, id: str = "1") -> Any:
        """Let time pass until the order has ended, asking again where the store is in trouble."""
        while True:
            waiting = asyncio.ensure_future(self.coordinator.order(id).outcome())
            await self.clock.advance_until(waiting.done)
            if not isinstance(waiting.exception(), StoreUnavailable):
                return waiting.result()
            await self.clock.advance(1)

    async def run(self, id: str = "1", order: object = None) -> Any:
        """Start an order and let time pass until it has ended."""
        await self.start(id, order)
        return await self.outcome(id)

    async def status(self, id: str = "1") -> Status:
        """The status of an order that has come to rest."""
        await settle()
        return (await self.coordinator.order(id).status()).status

    async def reach(self, status: Status, id: str = "1", *, within: float = 120.0) -> Any:
        """Let time pass until an order is in a status; what people see of it then."""
        end = self.clock.monotonic + within
        while await self.status(id) is not status:
            assert self.clock.monotonic < end, f"the order never became {status}"
            await self.clock.advance(0.25)
        return await self.coordinator.order(id).status()

    async def events(self, id: str = "1") -> list[str]:
        """The events of an order's history."""
        return [one.event async for one in self.coordinator.order(id).history()]

    async def survive(self, call: Coroutine[Any, Any, T]) -> T | None:
        """Make a call that the process may die in."""
        task = asyncio.ensure_future(call)
        await settle()
        if not task.done():
            task.cancel()
            await settle()
            return None
        return task.result()


def nobody_knows(_holder: Holder) -> bool | None:
    """Whether another process lives cannot be told: only its silence counts."""
    return None


def certainly_gone(_holder: Holder) -> bool | None:
    """Whoever held the store is dead."""
    return True


def later(call: Awaitable[T]) -> "asyncio.Future[T]":
    """Begin a call whose end is awaited later."""
    return asyncio.ensure_future(call)


def attempts(log: Sequence[str]) -> dict[str, int]:
    """How often each function was called."""
    counts: defaultdict[str, int] = defaultdict(int)
    for line in log:
        counts[line.partition("#")[0]] += 1
    return dict(counts)
