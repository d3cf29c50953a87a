"""Everything of the outside world that the engine uses: clocks, chance, names, tasks. Always injected.

A simulation replaces this one object, and with it owns time, luck and scheduling.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Protocol, TypeVar

import anyio.to_thread

from ..storage import Holder, this_process

T = TypeVar("T")


class Cancellable(Protocol):
    """Something that was arranged for later, and can be called off."""

    def cancel(self) -> object:
        """Call it off."""
        ...


class Runtime(Protocol):
    """What the engine needs from outside."""

    def now(self) -> float:
        """UTC seconds. May jump; nothing that keeps an order safe depends on it."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def random(self) -> float:
        """A number from 0 up to 1."""
        ...

    def new_id(self) -> str:
        """A text that nobody else uses."""
        ...

    def holder(self) -> Holder:
        """This process under a name of its own, so that others can find out whether it is gone."""
        ...

    def call_later(self, seconds: float, function: Callable[[], object]) -> Cancellable:
        """Call a function in the event loop after a time."""
        ...

    def spawn(self, work: Coroutine[Any, Any, None], /, *, name: str | None = None) -> asyncio.Task[None]:
        """Run work in a task of its own."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Run a function in a worker thread; a cancel ends only the waiting."""
        ...


@asynccontextmanager
async def within(runtime: Runtime, seconds: float) -> AsyncGenerator[None]:
    """Bound a wait by the runtime's clock, as `asyncio.timeout` does by the loop's. Raises `TimeoutError`.

    With zero seconds nothing is waited for, and no time needs to pass.
    """
    async with asyncio.timeout(None) as timeout:
        expire = partial(timeout.reschedule, -math.inf)
        if seconds <= 0:
            expire()
            yield
            return
        alarm = runtime.call_later(seconds, expire)
        try:
            yield
        finally:
            alarm.cancel()


class SystemRuntime:
    """The real thing."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.now = time.time
        self.monotonic = time.monotonic
        self.random = random.random
        self.spawn = self._loop.create_task

    def new_id(self) -> str:
        """As many random bits as a UUID has, and more, straight from the system: so that no fork repeats them."""
        return os.urandom(16).hex()

    def holder(self) -> Holder:
        """What the operating system tells of this process."""
        return this_process(self.new_id())

    def call_later(self, seconds: float, function: Callable[[], object]) -> Cancellable:
        """Call a function in the event loop after a time."""
        return self._loop.call_later(seconds, function)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def in_thread(self, function: Callable[[], T]) -> T:
        """Run a function in one of anyio's worker threads; a cancel ends only the waiting."""
        return await anyio.to_thread.run_sync(function, abandon_on_cancel=True)
