"""What the engine gets instead of clocks, chance, ids and threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from itertools import count
from random import Random
from typing import Any, TypeVar

from attrs import define, field

from ..actors import Cancellable
from ..storage import Holder
from .journal import Journal
from .loop import SimLoop

T = TypeVar("T")

#: The wall clock when a simulation begins: 2025-01-01, in UTC seconds.
EPOCH = 1_735_689_600.0
#: How much longer the pauses of the engine's housekeeping are than it asks for. A machine may be that slow: a lease
#: that is to be renewed ten times in its time still is often enough. Most of a simulation would be housekeeping else.
SLOWNESS = 4.0


@define(eq=False)
class Clock:
    """The wall clock of the simulated machine, apart from the monotonic one, so that it can jump."""

    offset: float = EPOCH

    def jump(self, seconds: float) -> None:
        """Set the clock forward, or back."""
        self.offset += seconds


@define(eq=False)
class SimRuntime:
    """A `Runtime` on a simulated loop."""

    loop: SimLoop
    clock: Clock
    chance: Random
    name: str
    journal: Journal | None = None  #: told of every attempt that begins
    _ids: Any = field(factory=lambda: count(1))

    def now(self) -> float:
        """UTC seconds, by the clock that can jump."""
        return self.clock.offset + self.loop.now

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self.loop.now

    def random(self) -> float:
        """The seed's next number."""
        return self.chance.random()

    def new_id(self) -> str:
        """The life's name and a number."""
        return f"{self.name}-{next(self._ids)}"

    def holder(self) -> Holder:
        """A process of the simulated machine, which is the same wherever it is simulated."""
        return Holder(self.new_id(), "machine", "boot", "namespace", 1, "start")

    def call_later(self, seconds: float, function: Callable[[], object]) -> Cancellable:
        """Call a function after a virtual time."""
        return self.loop.call_later(seconds, function)

    def spawn(self, work: Coroutine[Any, Any, None], /, *, name: str | None = None) -> asyncio.Task[None]:
        """Run work in a task of the simulated loop. The engine names its tasks, except for attempts."""
        if name is not None:
            return self.loop.create_task(work, name=name)
        if self.journal is None:
            return self.loop.start_work(work)
        return self.loop.start_work(work, self.journal.began(self.name, work))

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass, and more of it than was asked for: only the engine's housekeeping waits here."""
        await asyncio.sleep(seconds * SLOWNESS)

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Run a function between two turns of the loop; a cancel ends only the waiting."""
        return await asyncio.shield(self.loop.run_in_executor(None, function))
