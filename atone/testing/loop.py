"""An event loop that owns time and chance: the same seed gives the same run.

Time is virtual: it stands still while anything can run, and then jumps to the next timer. The order in which
callbacks that are ready run is drawn from a seed. A crash is not an exception: from one callback to the next the
loop runs nothing more, so that no `except` and no `finally` of that process ever learns of it.

Relies on a few private members of `asyncio.BaseEventLoop`, which a test pins for each version of Python.
"""

# ruff: noqa: SLF001 - see above
from __future__ import annotations

import asyncio
import heapq
import warnings
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context, ContextVar
from functools import partial
from random import Random
from typing import Any, TypeVar, cast
from weakref import WeakSet

from .fuse import Fuse
from .indoors import IndoorLoop

T = TypeVar("T")

#: Callbacks without any time passing, after which a program plainly runs in a circle.
RESTLESS = 200_000

#: The number of the process that a callback belongs to, where several share the loop of one simulated machine.
PROCESS: ContextVar[int] = ContextVar("PROCESS", default=0)


class _Task(asyncio.Task[Any]):
    """A task whose place in a set does not depend on its address."""

    works: bool  #: whether the user's own code runs in it

    def __init__(self, coro: Coroutine[Any, Any, Any], *, loop: SimLoop, **options: Any) -> None:
        loop.tasks += 1
        # The low bits place it in small sets; the high ones keep it apart from tasks of dead lives in large ones.
        self._number = (id(loop) >> 4 << 12) + loop.tasks
        parent = asyncio.current_task(loop) if loop.is_running() else None
        self.works = isinstance(parent, _Task) and parent.works
        super().__init__(coro, loop=loop, **options)
        loop.alive.add(self)

    def __hash__(self) -> int:
        return self._number


def _make_task(
    loop: SimLoop, _loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any], **options: Any
) -> _Task:
    return _Task(coro, loop=loop, **options)


class SimLoop(IndoorLoop):
    """The event loop of one simulated process."""

    def __init__(self, chance: Random, now: float = 0.0, fuse: Fuse | None = None) -> None:
        super().__init__()
        self.now = now
        self.fuse = fuse or Fuse()
        self.tasks = 0
        self.alive: WeakSet[asyncio.Task[Any]] = WeakSet()
        self.idle: Callable[[], bool] = lambda: False  #: asked before time passes; True stops the loop
        self.leftovers: list[Callable[[], object]] = []  #: what the operating system does for a process that died
        self._chance = chance
        self._stalled = 0  #: the process that stands still
        self._held: list[asyncio.Handle] = []  #: its callbacks meanwhile
        self._stopping = False
        self._ready: deque[Any] = deque()  # handles of asyncio, whose private members are read
        self._scheduled: list[Any] = []
        self._quiet_since = 0
        self.set_task_factory(cast("Any", partial(_make_task, self)))

    def time(self) -> float:
        """Seconds since the simulation began."""
        return self.now

    @property
    def pause(self) -> float:
        """Seconds until the next timer."""
        return max(self._scheduled[0].when() - self.now, 0.0) if self._scheduled else float("inf")

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
        """Be gone. Coroutines are closed here, one by one, rather than whenever they are collected as garbage.

        Their `finally` blocks run, as Python will have it, in a process that reaches nothing any more.
        """
        outer = asyncio._get_running_loop()
        asyncio._set_running_loop(None)
        try:
            self._close_coroutines()
        finally:
            asyncio._set_running_loop(outer)
        for let_go in self.leftovers:
            let_go()
        self.set_exception_handler(lambda _loop, _context: None)
        self.close()

    def _close_coroutines(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of those that had not begun
            for task in sorted((task for task in self.alive if not task.done()), key=hash):
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                coro = task.get_coro()
                with suppress(BaseException):
                    cast("Any", coro).close()
            for task in self.alive:
                asyncio._unregister_task(task)  # or the list of all tasks grows with every life

    def start_work(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run the user's own code in a task."""
        task: _Task = _Task(work, loop=self)
        task.works = True
        return task

    # ── what asyncio calls ──

    def _run_once(self) -> None:
        """Run callbacks, one after another, until told to stop."""
        until, fuse, ready, chance = self._until, self.fuse, self._ready, self._chance.random
        while not self._stopping:
            if until is not None and until():
                self.stop()
                return
            if self._scheduled:
                self._wake_sleepers()
            if not ready:
                self._pass_time()
                continue
            if len(ready) > 1:
                ready.rotate(-int(chance() * len(ready)))
            handle = ready.popleft()
            if handle._cancelled:
                continue
            if self._stalled and handle._context.get(PROCESS) == self._stalled:
                self._held.append(handle)
                continue
            fuse.step()
            self._quiet_since += 1
            if self._quiet_since > RESTLESS:
                msg = f"{RESTLESS} callbacks ran without any time passing: the program runs in a circle"
                raise RuntimeError(msg)
            task = getattr(handle._callback, "__self__", None)
            if type(task) is _Task and task.works:
                fuse.moved += 1
            handle._run()

    def _wake_sleepers(self) -> None:
        scheduled, now = self._scheduled, self.now
        while scheduled:
            first = scheduled[0]
            if not first._cancelled and first._when > now:
                return
            heapq.heappop(scheduled)
            first._scheduled = False
            if not first._cancelled:
                self._ready.append(first)

    def _pass_time(self) -> None:
        if self.idle():
            self.stop()
            return
        if not self._scheduled:
            msg = "nothing is ready to run and no timer is set: the program waits for ever"
            raise RuntimeError(msg)
        self.now = self._scheduled[0]._when
        self._quiet_since = 0

    def call_soon(  # type: ignore[override]  # with the types of the callback
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As any loop does, without the checks of asyncio's debug mode: this is most of what a simulation does."""
        self._check_closed()  # type: ignore[attr-defined]
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing to count: cancelled timers leave when their time comes."""

    def call_soon_threadsafe(  # type: ignore[override]  # with the types of the callback
        self, callback: Callable[..., object], *args: Any, **options: Any
    ) -> asyncio.Handle:
        """Threads come in no order that a seed could reproduce; the loop itself may call this."""
        if self._thread_id is None or self._is_foreign_thread():  # type: ignore[attr-defined]
            self.refuse("a real thread reached into the simulation: use a `def` step or asyncio.to_thread instead")
        return self.call_soon(callback, *args, **options)

    def _is_foreign_thread(self) -> bool:
        return asyncio._get_running_loop() is not self

    def run_in_executor(self, _executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override]
        """Run a function of the user's between two turns of the loop instead of in a thread."""

        def moving() -> T:
            self.fuse.moved += 1
            return func(*args)

        return self.between_turns(moving)

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
