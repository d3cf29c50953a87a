"""One attempt of a step under way, and what is known of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from attrs import define, field

from ..actors import Runtime, Timer
from .behaviour import OrderState
from .events import Ended, Run
from .step import Call


@define(eq=False, repr=False)
class Attempt(Timer):
    """One attempt under way; fires when its timeout has come."""

    runtime: Runtime
    expire: Callable[[Attempt], None]
    key: int  #: of the order's actor
    state: OrderState
    run: Run
    call: Call
    task: asyncio.Task[None] = field(init=False)
    waits: bool = False  #: for a worker thread, or for the end of an attempt before it: nothing is sent yet
    begun: float | None = None  #: monotonic; when the user's function was called, where that had to wait
    expired: float | None = None  #: monotonic; when its timeout had come
    timed_out: Ended | None = None  #: the report of that
    stopped: bool = False  #: cut off by the engine; nothing is reported
    in_thread: bool = False  #: whether the user's function is in a worker thread, where nothing can end it
    unwanted: bool = False  #: was to be cut off while it was there; it may end, and not begin anything more

    @property
    def place(self) -> tuple[int, int]:
        """Its order and its step: of these, nothing is sent beside it."""
        return self.key, self.run.slot

    def fire(self) -> None:
        """The timeout has come."""
        self.expire(self)

    def call_in_thread(self, arguments: dict[str, object]) -> object:
        """Call the user's function, unless the attempt was cut off while it waited for a thread."""
        self.in_thread = True  # before it is asked: who cuts it off says so first, and asks then
        if self.stopped:
            msg = "the attempt was cut off before a worker thread was free, and was not sent"
            raise TimeoutError(msg)
        self.begin()
        return self.call.function(**arguments)

    def begin(self) -> None:
        """What it waited for is there, and its time runs from now."""
        self.begun, self.waits = self.runtime.monotonic(), False
