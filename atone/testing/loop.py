"""An event loop that owns time and chance: the same seed gives the same run.

Time is virtual: it stands still while anything can run, and then jumps to the next timer. The order in which
callbacks that are ready run is drawn from a seed. A crash is not an exception: from one callback to the next the
loop runs nothing more, so that no `except` and no `finally` of that process ever learns of it.

Relies on a few private members of `asyncio.BaseEventLoop`, which a test pins for each version of Python.
"""

# ruff: noqa: SLF001 - see above
from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from heapq import heappop, heappush
from random import Random
from typing import Any, TypeVar

from .fuse import Fuse
from .indoors import IndoorLoop
from .spy import Flaw
from .tasks import SimTask, bury

T = TypeVar("T")

#: Callbacks without any time passing, after which a program plainly runs in a circle.
RESTLESS = 200_000

#: The number of the process that a callback belongs to, where several share the loop of one simulated machine.
PROCESS: ContextVar[int] = ContextVar("PROCESS", default=0)


class SimLoop(IndoorLoop):
    """The event loop of one simulated process."""

    _closed: bool
    get_debug: Any = staticmethod(bool)  # False, without a frame of its own: asked for with every callback and future

    def __init__(self, chance: Random, now: float = 0.0, fuse: Fuse | None = None) -> None:
        super().__init__()
        self.now = now
        self.fuse = fuse or Fuse()
        self.idle: Callable[[], bool] = lambda: False  #: asked before time passes; True stops the loop
        self.leftovers: list[Callable[[], object]] = []  #: what the operating system does for a process that died
        self.unanswered: dict[int, asyncio.Future[None]] = {}  #: what never comes, and is awaited all the same
        self._chance = chance
        self._stalled = 0  #: the process that stands still
        self._held: list[asyncio.Handle] = []  #: its callbacks meanwhile
        self._stopping = False
        self._ready: deque[Any] = deque()  # handles of asyncio, whose private members are read
        self._scheduled: list[tuple[float, int, Any]] = []  #: a heap: when, which of them in order, and the handle
        self._timers = self._made = 0  #: how many there were, and how many tasks

    def time(self) -> float:
        """Seconds since the simulation began."""
        return self.now

    @property
    def pause(self) -> float:
        """Seconds until the next timer."""
        return max(self._scheduled[0][0] - self.now, 0.0) if self._scheduled else float("inf")

    def run(self, until: Callable[[], bool] | None = None) -> None:
        """Run until something is so, or until `idle` says stop. Raises `Killed`.

        Works inside another event loop, which stands still meanwhile.
        """
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        self._until = until
        try:
            self.run_forever()
        finally:
            asyncio._set_running_loop(outer)

    def call(self, work: Coroutine[Any, Any, T], context: Context | None = None) -> T:
        """Run one coroutine to its end, with as much time passing as it takes."""
        task: asyncio.Task[T] = self.create_task(work, context=context)
        self.run(task.done)
        return task.result()

    def stall(self, process: int) -> None:
        """From now on nothing runs that belongs to a process; 0 for none. What had to wait runs then."""
        self._stalled = process
        self._ready.extend(self._held)
        self._held.clear()

    def abandon(self) -> None:
        """Be gone, with all that ran here."""
        bury(self, None, copy_context())
        for let_go in self.leftovers:
            let_go()
        self.set_exception_handler(lambda _loop, _context: None)
        self.close()

    def start_work(self, work: Coroutine[Any, Any, None], context: Context | None = None) -> asyncio.Task[None]:
        """Run the user's own code in a task."""
        task = self.create_task(work, context=context)
        task.works = True
        return task

    def create_task(  # type: ignore[override]  # with the types of the coroutine
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> SimTask:
        """As any loop does; a factory of tasks has no say here."""
        self._made += 1
        return SimTask(coro, loop=self, number=self._made, name=name, context=context)

    # ── what asyncio calls ──

    def _run_once(self) -> None:
        """Run callbacks, one after another, until told to stop."""
        until, ready, scheduled, chance = self._until, self._ready, self._scheduled, self._chance.random
        restless = 0
        while not self._stopping:
            if until is not None and until():
                self.stop()
                return
            while scheduled and scheduled[0][0] <= self.now:
                ready.append(heappop(scheduled)[2])
            if not ready:
                self._pass_time()
                restless = 0
                continue
            if len(ready) > 1:
                ready.rotate(-int(chance() * len(ready)))
            handle = ready.popleft()
            if handle._cancelled or not self._may_run(handle):
                continue
            restless += 1
            if restless > RESTLESS:
                msg = f"{RESTLESS} callbacks ran without any time passing: the program runs in a circle"
                raise RuntimeError(msg)
            try:  # as a handle runs itself, without the frame that this would cost
                handle._context.run(handle._callback, *handle._args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:  # noqa: BLE001  # as asyncio has it
                self.call_exception_handler({"message": f"Exception in callback {handle}", "exception": error})

    def _may_run(self, handle: Any) -> bool:
        """Whether a callback whose turn has come runs. Raises `Killed` where the machine dies before it."""
        if self._stalled and handle._context.get(PROCESS) == self._stalled:
            self._held.append(handle)
            return False
        self.fuse.step()
        task = getattr(handle._callback, "__self__", None)
        if type(task) is SimTask and task.works:
            self.fuse.moved += 1
        return True

    def _pass_time(self) -> None:
        scheduled = self._scheduled
        while scheduled and scheduled[0][2]._cancelled:
            heappop(scheduled)
        if self.idle():
            self.stop()
            return
        if not scheduled:
            msg = "nothing is ready to run and no timer is set: the program waits for ever"
            raise RuntimeError(msg)
        self.now = max(self.now, scheduled[0][0])

    def call_soon(  # type: ignore[override]  # with the types of the callback
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As any loop does, without the checks of asyncio's debug mode: this is most of what a simulation does."""
        if self._closed:
            self._check_closed()  # type: ignore[attr-defined]
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_at(  # type: ignore[override]  # with the types of the callback
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As any loop does; timers of the same moment are in the order in which they were set."""
        if self._closed:
            self._check_closed()  # type: ignore[attr-defined]
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        self._timers += 1
        heappush(self._scheduled, (when, self._timers, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing to count: cancelled timers leave when their time comes."""

    def call_soon_threadsafe(  # type: ignore[override]  # with the types of the callback
        self, callback: Callable[..., object], *args: Any, **options: Any
    ) -> asyncio.Handle:
        """Threads come in no order that a seed could reproduce; the loop itself may call this."""
        if self._thread_id is None or self._is_foreign_thread():  # type: ignore[attr-defined]
            what = "a real thread reached into the simulation: use a `def` step or asyncio.to_thread instead"
            self.refuse(what, Flaw.THREAD)
        return self.call_soon(callback, *args, **options)

    def _is_foreign_thread(self) -> bool:
        return asyncio._get_running_loop() is not self

    def run_in_executor(self, _executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """Run a function of the user's between two turns of the loop instead of in a thread."""

        def in_thread() -> T:  # by this name it is known where a step is watched
            self.fuse.moved += 1
            result = func(*args)
            if asyncio.iscoroutine(result):  # of a decorated `async def`, which may never begin
                self.leftovers.append(result.close)
            return result

        return self.between_turns(in_thread)

    def between_turns(self, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """Run a function in a callback of its own."""

        def work() -> None:
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001  # as a thread pool does
                self.call_soon(_answer, future.set_exception, future, error)
            else:
                self.call_soon(_answer, future.set_result, future, result)

        future: asyncio.Future[T] = self.create_future()
        self.call_soon(work)
        return future


def _answer(setter: Callable[[Any], None], future: asyncio.Future[Any], value: Any) -> None:
    if not future.done():
        setter(value)
