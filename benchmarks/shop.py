"""A shop: a system under test as the workload sees it. Every adapter is one.

An order has three durable steps (reserve, charge, ship); each is an async function that yields once and returns a
small result. The adapters of peers run in environments of their own: nothing here needs more than the standard library.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Protocol, Self

STEPS = ("reserve", "charge", "ship")


class Shop(Protocol):
    """Opened, it has gone on with whatever an earlier life has left behind."""

    async def __aenter__(self) -> Self:
        """Open it."""
        ...

    async def __aexit__(self, *error: object) -> None:
        """Close it."""
        ...

    async def order(self, number: int) -> None:
        """Start an order and wait for its end."""
        ...

    async def refused(self, number: int) -> None:
        """The same with an order that fails when it is shipped, so that two compensations run."""
        ...

    async def begin(self, number: int) -> None:
        """Start an order; it is durable when this returns."""
        ...

    async def park(self, number: int) -> None:
        """Start an order that waits for an approval after its first step."""
        ...

    async def approve(self, number: int) -> None:
        """Approve it."""
        ...

    async def parked(self, orders: int) -> None:
        """Wait until so many orders wait for their approval."""
        ...

    async def ended(self, orders: int) -> None:
        """Wait until so many orders have ended."""
        ...


class StepLog:
    """What ran, in a file that survives a kill; without a file, nothing is noted.

    `hang` makes one step of every order last for ever, so that a kill finds all of them under way.
    """

    def __init__(self, folder: Path | None = None, *, hang: bool = False) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        self._file = None if folder is None else os.open(folder / "steps.log", flags, 0o600)
        self.hangs = hang

    async def act(self, order: str, step: str) -> dict[str, str]:
        """The body of every step and every compensation, of all systems."""
        if self._file is not None:
            os.write(self._file, f"{order} {step}\n".encode())
        if self.hangs and step == STEPS[number_of(order) % len(STEPS)]:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
        return {"id": f"{step}-{order}"}


def number_of(order: str) -> int:
    """The number in an order's id."""
    return int(order.rpartition("-")[2])


def steps_run(folder: Path) -> list[str]:
    """The lines of a step log, in order."""
    path = folder / "steps.log"
    return path.read_text(encoding="ascii").splitlines() if path.exists() else []
