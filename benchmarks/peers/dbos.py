"""DBOS: steps are decorated, the workflow keeps a list of what to undo, as its documentation shows for sagas."""

# ruff: noqa: D102 - `Shop` says what each method means
from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from ..shop import StepLog

FINAL = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


class Refused(Exception):
    """The carrier does not take it."""


def _flow(dbos: Any, body: Callable[[str, str], Awaitable[dict[str, str]]]) -> Any:
    """The workflow; it and its steps are found again by their names after a restart."""

    def step(name: str) -> Any:
        async def act(id: str, fail: bool = False) -> dict[str, str]:  # noqa: FBT001, FBT002  # as it is called
            done = await body(id, name)
            if fail:
                raise Refused(id)
            return done

        act.__name__ = act.__qualname__ = name
        return dbos.step()(act)

    reserve, charge, ship, release, refund = map(step, ("reserve", "charge", "ship", "release", "refund"))

    async def order(id: str, kind: str) -> str:
        undo: list[Any] = []
        try:
            await reserve(id)
            undo.append(release)
            if kind == "approved":
                await dbos.recv_async("approve", timeout_seconds=600)
            await charge(id)
            undo.append(refund)
            await ship(id, kind == "refused")
        except Refused:
            for one in reversed(undo):
                await one(id)
            return "compensated"
        return "completed"

    return dbos.workflow()(order)


class DbosShop:
    """One process that runs its workflows; what a killed one left is recovered when it is launched."""

    def __init__(self, system: str, folder: Path, log: StepLog) -> None:
        self._module: Any = import_module("dbos")
        self._dbos: Any = self._module.DBOS
        self._flow = _flow(self._dbos, self._act)
        self._log, self._reserved = log, 0
        self._url = _postgres(folder) if system == "dbos-postgres" else f"sqlite:///{folder / 'dbos.sqlite'}"

    async def __aenter__(self) -> Self:
        self._dbos(
            config={
                "name": "bench", "system_database_url": self._url, "log_level": "ERROR", "run_admin_server": False,
                "application_version": "v1", "enable_otlp": False,
            }
        )  # fmt: skip
        self._dbos.launch()
        return self

    async def __aexit__(self, *error: object) -> None:
        """Leave it to the end of the process: its threads wait for work for ever."""

    async def order(self, number: int) -> None:
        assert await (await self._start(number, "order")).get_result() == "completed"

    async def refused(self, number: int) -> None:
        assert await (await self._start(number, "refused")).get_result() == "compensated"

    async def begin(self, number: int) -> None:
        await self._start(number, "order")

    async def park(self, number: int) -> None:
        await self._start(number, "approved")

    async def approve(self, number: int) -> None:
        await self._dbos.send_async(f"o-{number}", "approve", topic="approve")

    async def parked(self, orders: int) -> None:
        while self._reserved < orders:
            await asyncio.sleep(0.02)
        await asyncio.sleep(1)  # the last of them get from there to their wait

    async def ended(self, orders: int) -> None:
        while await self._count() < orders:
            await asyncio.sleep(0.1)

    async def _act(self, id: str, step: str) -> dict[str, str]:
        self._reserved += step == "reserve"
        return await self._log.act(id, step)

    async def _count(self) -> int:
        found = await self._dbos.list_workflows_async(
            status=list(FINAL), load_input=False, load_output=False, limit=10**6
        )
        return len(found)

    async def _start(self, number: int, kind: str) -> Any:
        with self._module.SetWorkflowID(f"o-{number}"):
            return await self._dbos.start_workflow_async(self._flow, f"o-{number}", kind)


def _postgres(folder: Path) -> str:
    """DBOS makes its database itself."""
    name = folder.name.replace("-", "_").lower()
    return f"{os.environ['BENCH_POSTGRES']}/dbos_{name}"


def open_shop(system: str, folder: Path, *, log: StepLog | None = None) -> DbosShop:
    """The shop in this folder, or in a database that is named like it."""
    return DbosShop(system, folder, log or StepLog())
