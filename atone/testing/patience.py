"""How long a step is waited for, and what it asks for after that."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Sequence
from typing import Any

from attrs import define, field

from ..sagas.runner import NO_ANSWER
from ..sagas.step import Call
from .services import FakeService

#: Virtual seconds after its timeout in which a function may clean up, or what it has begun comes to its end.
CALM = 100.0


@define(eq=False)
class Patience:
    """Waits for a function no longer than the engine would, and hears of every request."""

    fakes: Sequence[FakeService]
    sent: list[tuple[str, str]] = field(factory=list[tuple[str, str]])  #: requests so far, by name and key
    overtime: list[str] = field(factory=list[str])  #: effects that a function asked for after its timeout
    _limit: asyncio.Timeout | None = None  #: of the call under way
    _task: asyncio.Task[Any] | None = None  #: in which it runs

    async def call(self, call: Call, arguments: dict[str, Any]) -> object:
        """Call a function; raises `TimeoutError` where it has not ended in time."""
        answer = call.function(**arguments)
        if not inspect.isawaitable(answer):  # an `async def` behind a decorator is none that is known to be one
            return answer
        self._task = asyncio.current_task()
        limit = self._limit = asyncio.timeout(call.timeout)
        try:
            async with limit:
                result: object = await answer
                if not limit.expired():  # or it was told to end, and returned instead
                    return result
        except TimeoutError:
            if not limit.expired():
                raise
        finally:
            if self._limit is limit:  # or this one was given up, and it is that of another
                self._limit = None
        raise TimeoutError(f"{NO_ANSWER}{call.timeout:g} s")

    def in_vain(self, task: asyncio.Task[Any]) -> bool:
        """Whether the function that runs in a task was told to end long ago, and goes on."""
        limit = self._limit if self._task is task else None
        due = limit.when() if limit is not None and limit.expired() else None
        return due is not None and asyncio.get_running_loop().time() > due + CALM

    def asked(self, service: str, call: str, key: str) -> None:
        """A request leaves."""
        name = f"{service}.{call}"
        again = (name, key) in self.sent
        self.sent.append((name, key))
        if self._is_over():
            fake = next(one for one in self.fakes if one.name == service)
            action = fake.actions().get(call)  # what undoes something, cleans up
            if action is not None and not action.read_only and (again or action.undo is not None):
                self.overtime.append(name)

    def _is_over(self) -> bool:
        """Whether the function that asks has been told to end; what it has shielded goes on of itself."""
        return self._limit is not None and self._limit.expired() and asyncio.current_task() is self._task
