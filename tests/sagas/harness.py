"""Processes that live and die on one disk, and the world outside them, which remembers everything."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Literal, Self, TypeVar

from attrs import define, field

from atone import Coordinator, Handle, MemoryStore, Retry, Saga, SqliteStore, Status, StoreError, StoreUnavailable
from atone.actors import Limits
from atone.storage import Disk, Holder, Renew, Store, Write
from atone.storage.lease import Claim, Release
from tests.manual_runtime import Clock, ManualRuntime, settle
from tests.sagas.world import Line, Order, World

R = TypeVar("R")
T = TypeVar("T")
When = Literal["before", "after"]

ONCE = Retry(attempts=1)
#: A policy with a pause of one second, and no luck in it.
TWICE = Retry(attempts=2, first=1.0, factor=1.0, jitter=0.0)
#: Few wake-ups, so that a test may let much time pass.
QUIET = Limits(poll=0.5, scan=1.0)


class Faulty(Store):
    """Mixed into a store: lets a test choose the commit that fails, or that the process does not survive."""

    dead = False  #: the process is gone: nothing is written, nobody is answered
    sick = False  #: until `recover`
    broken = False  #: whether `recover` fails as well
    writes = 0  #: of transitions and messages
    fail_at: tuple[int, When] | None = None
    die_at: tuple[int, When] | None = None
    died: Callable[[], None]

    def submit(self, write: Write[R], done: Callable[[R | StoreError], None]) -> None:
        """Write, or do what was chosen for this commit."""
        if self.dead:
            return
        if self.sick or (self.broken and not isinstance(write, Release)):
            asyncio.get_running_loop().call_soon(done, self.trouble())
            return
        if isinstance(write, Renew | Claim | Release):
            super().submit(write, done)  # type: ignore[safe-super]  # the store stands behind this class
            return
        self.writes += 1
        if self.die_at is not None and self.die_at[0] == self.writes:
            self._die(write)
        elif self.fail_at is not None and self.fail_at[0] == self.writes:
            self._fail(write, done)
        else:
            super().submit(write, lambda result: None if self.dead else done(result))  # type: ignore[safe-super]

    def _die(self, write: Write[R]) -> None:
        assert self.die_at is not None
        if self.die_at[1] == "after":
            super().submit(write, lambda _: None)  # type: ignore[safe-super]
        self.dead = True
        self.died()

    def _fail(self, write: Write[R], done: Callable[[R | StoreError], None]) -> None:
        assert self.fail_at is not None
        self.sick = True
        if self.fail_at[1] == "after":
            super().submit(write, lambda _: done(self.trouble()))  # type: ignore[safe-super]
        else:
            asyncio.get_running_loop().call_soon(done, self.trouble())

    def trouble(self) -> StoreUnavailable:
        """What a sick store says."""
        self.sick = True
        return StoreUnavailable("the disk is in trouble")

    async def recover(self) -> None:
        """Become well, unless the trouble lasts."""
        if self.broken:
            raise self.trouble()
        self.sick = False
        await super().recover()  # type: ignore[safe-super]


class FaultyMemory(Faulty, MemoryStore):
    """The store in memory."""

    def _opened(self) -> Disk:
        if self.sick:
            raise self.trouble()
        return super()._opened()


class FaultySqlite(Faulty, SqliteStore):
    """The store in SQLite."""


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
        for _ in range(20):
            waiting = asyncio.ensure_future(self.coordinator.order(id).outcome())
            await self.clock.advance_until(waiting.done)
            if not isinstance(waiting.exception(), StoreUnavailable):
                break
            await self.clock.advance(1)
        return waiting.result()

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
        for _ in range(int(within / 0.25)):
            await settle()
            seen = await self.coordinator.order(id).status()
            if seen.status is status:
                return seen
            await self.clock.advance(0.25)
        raise AssertionError(f"the order is {seen.status} and never became {status}")

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
