"""Tasks that lie in sets in the order in which they were made, and that nobody keeps when their process is dead.

Sets are in the order of addresses otherwise, which no seed reproduces: asyncio and anyio cancel the tasks of a group
in the order of a set. Relies on a few private members of both; a test says which.
"""

# ruff: noqa: SLF001 - see above
from __future__ import annotations

import asyncio
import warnings
from collections.abc import Coroutine
from contextlib import suppress
from contextvars import Context
from functools import wraps
from typing import Any, cast
from weakref import WeakKeyDictionary

from anyio._backends import _asyncio as anyio_asyncio
from anyio._backends._asyncio import CancelScope

from .indoors import IndoorLoop


class SimTask(asyncio.Task[Any]):
    """A task of a simulated loop."""

    works: bool  #: whether the user's own code runs in it
    owner: object = None  #: the process that it belongs to, where several share a loop

    def __init__(
        self, coro: Coroutine[Any, Any, Any], *, loop: asyncio.AbstractEventLoop, number: int, **options: Any
    ) -> None:
        self._number = number
        parent = asyncio.current_task(loop)
        self.works = isinstance(parent, SimTask) and parent.works
        super().__init__(coro, loop=loop, **options)

    def __hash__(self) -> int:
        return self._number


class _Entered(dict[CancelScope, None]):
    """What anyio keeps in a set: the scopes within a scope. These are in the order in which they were entered."""

    def add(self, scope: CancelScope) -> None:
        """Put one behind all others."""
        self[scope] = None

    def remove(self, scope: CancelScope) -> None:
        """Take one out."""
        del self[scope]

    def discard(self, scope: CancelScope) -> None:
        """Take one out, if it is there."""
        self.pop(scope, None)


def _put_scopes_in_order() -> None:
    """There is one anyio in a process: a scope that is made outside of a simulation stays as anyio makes it."""
    init = CancelScope.__init__

    @wraps(init)
    def init_in_order(scope: CancelScope, *args: Any, **options: Any) -> None:
        init(scope, *args, **options)
        if isinstance(asyncio._get_running_loop(), IndoorLoop):
            scope._child_scopes = cast("Any", _Entered())

    cast("Any", CancelScope).__init__ = init_in_order


# A release of anyio without these members is no less correct: its runs are less reproducible, and keep more memory.
if hasattr(CancelScope, "_child_scopes"):
    _put_scopes_in_order()
_STATES: WeakKeyDictionary[asyncio.Task[Any], object] = getattr(anyio_asyncio, "_task_states", WeakKeyDictionary())


class _Grave:
    """The running loop of those who are being buried: nothing can be begun here.

    Where no loop runs at all, asyncio finds a real one for what their `finally` blocks begin, and keeps it there.
    """

    def create_task(self, coro: Coroutine[Any, Any, Any], **_options: Any) -> None:
        """Close what was to be begun. Raises `RuntimeError`."""
        coro.close()
        raise RuntimeError(DEAD)

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(DEAD)


DEAD = "the process is dead"
GRAVE = cast("asyncio.AbstractEventLoop", _Grave())


def bury(loop: asyncio.AbstractEventLoop, owner: object, context: Context) -> None:
    """End the tasks of a dead process, one by one, rather than whenever they are collected as garbage.

    Their `finally` blocks run, as Python will have it, in a process that reaches nothing any more.
    """
    outer = asyncio._get_running_loop()
    asyncio._set_running_loop(GRAVE)
    tasks = [task for task in asyncio.all_tasks(loop) if isinstance(task, SimTask) and task.owner is owner]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of those that had not begun
        for task in sorted(tasks, key=hash):
            cast("Any", task)._log_destroy_pending = False
            with suppress(BaseException):
                context.run(cast("Any", task.get_coro()).throw, GeneratorExit)  # `close` spares what has not begun
            asyncio._unregister_task(task)  # which keeps a task until it ends, as anyio does; these never do
    known = [kept() for kept in _STATES.keyrefs()]  # at once: other threads may have loops of their own
    for one in known:
        if isinstance(one, SimTask) and one.owner is owner and cast("Any", one).get_loop() is loop:
            del _STATES[one]
    asyncio._set_running_loop(outer)
