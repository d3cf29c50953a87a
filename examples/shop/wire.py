"""The network between the shop and its participants; here requests and answers get lost."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import TracebackType
from typing import Self, TypeVar

from atone import PermanentError

from .ledger import Refused
from .mischief import Mischief, Whim

T = TypeVar("T")

SLOW_SECONDS = 0.2
LATE_SECONDS = (1.5, 5.0)  #: a late request arrives after at least the first: the caller has given up by then


class Wire:
    """Carries calls, each with the whim that its key and number bring. `async with` awaits late arrivals."""

    def __init__(self, mischief: Mischief, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self.mischief = mischief
        self._sleep = sleep
        self._calls: Counter[str] = Counter()
        self._late: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*self._late)

    async def call(self, key: str, request: Callable[[], Awaitable[T]], *, refusal: str | None = None) -> T:
        """Pass a request to a participant, or not, and its answer back, or not.

        Args:
            key: the idempotency key; whims follow it.
            request: what the participant does; may run later, or never.
            refusal: what the participant says when it has a bad day; `None` if it refuses nothing.

        Raises:
            PermanentError: refused; this call had no effect.
            ConnectionError: the request or the answer was lost.
        """
        self._calls[key] += 1
        whim = self.mischief.whim(key, self._calls[key])
        if whim is Whim.REFUSED and refusal is not None:
            raise PermanentError(refusal)
        if whim in {Whim.LOST_REQUEST, Whim.DOWN}:
            raise ConnectionError("nobody there")
        if whim is Whim.SLOW:
            await self._sleep(SLOW_SECONDS)
        if whim is Whim.LATE:
            await self._hang(key, request)
        answer = await _ask(request)
        if whim is Whim.LOST_ANSWER:
            raise ConnectionError("the connection broke while waiting for the answer")
        return answer

    async def _hang(self, key: str, request: Callable[[], Awaitable[object]]) -> None:
        """Never return: the request is on its way all the same, and may arrive after its own undoing."""
        shortest, longest = LATE_SECONDS
        delay = shortest + (longest - shortest) * self.mischief.draw("late", key, self._calls[key])
        task = asyncio.create_task(self._arrive(delay, request))
        self._late.add(task)
        task.add_done_callback(self._late.discard)
        await asyncio.Event().wait()

    async def _arrive(self, delay: float, request: Callable[[], Awaitable[object]]) -> None:
        await self._sleep(delay)
        with suppress(Refused):
            await request()


async def _ask(request: Callable[[], Awaitable[T]]) -> T:
    try:
        return await request()
    except Refused as refused:
        raise PermanentError(str(refused)) from refused
