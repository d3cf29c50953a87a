"""A runtime whose time stands still until a test moves it."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

from attrs import define, field

from atone.storage import Holder, this_process

T = TypeVar("T")

#: Turns of the event loop after which something that should come to rest plainly does not.
RESTLESS = 100_000
#: Real seconds that a test waits for real threads.
PATIENCE = 20.0


async def settle() -> None:
    """Let the event loop run until nothing is left that could go on without time passing."""
    loop = asyncio.get_running_loop()
    for _ in range(RESTLESS):
        await asyncio.sleep(0)
        if not getattr(loop, "_ready"):  # noqa: B009  # asyncio does not say otherwise that it has come to rest
            return
    raise AssertionError("the event loop does not come to rest")


async def until(predicate: Callable[[], bool]) -> None:
    """Let the event loop, and real threads, run until something is so."""
    end = time.monotonic() + PATIENCE
    while not predicate():
        assert time.monotonic() < end, "it never came to that"
        await asyncio.sleep(0)


@define(eq=False)
class Alarm:
    """An arranged call."""

    function: Callable[[], object] | None

    def cancel(self) -> None:
        """Call it off."""
        self.function = None


@define(eq=False)
class Clock:
    """Time that is moved by hand, shared by the processes of one test."""

    wall: float = 1_000_000.0
    monotonic: float = 100.0
    _alarms: list[tuple[float, int, Alarm]] = field(factory=list)
    _numbers: Iterator[int] = field(factory=itertools.count)

    def call_at(self, when: float, function: Callable[[], object]) -> Alarm:
        """Call a function when that time of the monotonic clock has come."""
        alarm = Alarm(function)
        heapq.heappush(self._alarms, (when, next(self._numbers), alarm))
        return alarm

    async def advance(self, seconds: float) -> None:
        """Move time on, letting everything that falls due on the way happen at its time."""
        end = self.monotonic + seconds
        await settle()
        while self._alarms and self._alarms[0][0] <= end:
            when, _, alarm = heapq.heappop(self._alarms)
            if alarm.function is not None:
                self._move(max(when, self.monotonic))
                alarm.function()
                await settle()
        self._move(end)
        await settle()

    async def advance_until(self, predicate: Callable[[], bool], *, limit: float = 600.0) -> None:
        """Move time on until something is so."""
        await settle()
        end = self.monotonic + limit
        while not predicate():
            assert self._alarms, "nothing is left that time could bring about"
            assert self.monotonic < end, "it never came to that"
            await self.advance(max(self._alarms[0][0] - self.monotonic, 0.0))

    def _move(self, monotonic: float) -> None:
        self.wall += monotonic - self.monotonic
        self.monotonic = monotonic


@define(eq=False)
class ManualRuntime:
    """One process's view of a `Clock`. Ids and luck are always the same; functions run in no thread."""

    clock: Clock = field(factory=Clock)
    name: str = "p"
    luck: float = 0.0
    gate: asyncio.Event | None = None  #: what functions "in a thread" wait for before they return
    tasks: set[asyncio.Task[None]] = field(factory=set)
    _ids: Iterator[int] = field(factory=lambda: itertools.count(1))

    def now(self) -> float:
        """UTC seconds."""
        return self.clock.wall

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self.clock.monotonic

    def random(self) -> float:
        """No chance."""
        return self.luck

    def new_id(self) -> str:
        """A text that nobody else uses."""
        return f"{self.name}-{next(self._ids)}"

    def holder(self) -> Holder:
        """The process that runs the test."""
        return this_process(self.new_id())

    def call_later(self, seconds: float, function: Callable[[], object]) -> Alarm:
        """Call a function when the clock was moved so far."""
        return self.clock.call_at(self.clock.monotonic + seconds, function)

    def spawn(self, work: Coroutine[Any, Any, None], /, *, name: str | None = None) -> asyncio.Task[None]:
        """Run work in a task, remembered for `kill`."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was moved so far."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()
        alarm = self.call_later(seconds, woken.set)
        try:
            await woken.wait()
        finally:
            alarm.cancel()

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Run a function here and now; it returns when the gate is open, if there is one."""
        await asyncio.sleep(0)
        result = function()
        if self.gate is not None:
            await self.gate.wait()
        return result

    def kill(self) -> None:
        """Cancel every task of this process."""
        for task in list(self.tasks):
            task.cancel()
