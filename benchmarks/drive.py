"""Orders, some at a time, for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Run:
    """How long all of it took, and each."""

    seconds: float
    latencies: list[float]

    @property
    def rate(self) -> float:
        """How many a second."""
        return len(self.latencies) / self.seconds


async def drive(numbers: Iterable[int], call: Callable[[int], Awaitable[object]], *, flight: int) -> Run:
    """Make a call for each number, `flight` of them at a time."""
    rest = iter(numbers)
    latencies: list[float] = []

    async def worker() -> None:
        for number in rest:
            began = time.perf_counter()
            await call(number)
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(flight)))
    return Run(time.perf_counter() - began, latencies)


def during(seconds: float, first: int = 0) -> Iterator[int]:
    """Numbers for so long: what was begun is still brought to its end, so that slow and quick ones are comparable."""
    until, number = time.perf_counter() + seconds, first
    while True:
        yield number
        number += 1
        if time.perf_counter() > until:
            return
