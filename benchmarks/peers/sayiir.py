"""Sayiir: a core in Rust with a blocking interface, so every order in flight has a thread.

It has no compensation: `ship` says whether it went well, and a route runs the two that undo. Its public functions open
a pool of connections for each call (30 orders a second); here one engine is kept, which the package has but does not
document. That is the better figure for it.
"""

# ruff: noqa: D102 - `Shop` says what each method means
from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from ..shop import StepLog, steps_run

#: Orders at a time, in the workflow's threads; more of them only wait.
THREADS = 64


def _flow(sayiir: Any, log: StepLog, *, waits: bool) -> Any:
    """The workflow, with the tasks that it needs."""

    def task(name: str) -> Any:
        async def act(order: dict[str, Any]) -> dict[str, Any]:
            done = await log.act(order["id"], name)
            return {**order, name: done}

        act.__name__ = act.__qualname__ = name
        return sayiir.task(act)

    def finish(order: dict[str, Any]) -> dict[str, Any]:
        return order

    def way(order: dict[str, Any]) -> str:
        return "fail" if order["fail"] else "ok"

    flow = sayiir.Flow("approved" if waits else "order").then(task("reserve"))
    if waits:
        flow = flow.wait_for_signal("approve")
    flow = flow.then(task("charge")).then(task("ship"))
    flow = flow.route(way, keys=["ok", "fail"])
    return flow.branch("ok", sayiir.task(finish)).branch("fail", task("refund"), task("release")).done().build()


class SayiirShop:
    """What was under way when a process died is found in the step log: there is no list to ask for."""

    def __init__(self, folder: Path, log: StepLog) -> None:
        self._sayiir: Any = import_module("sayiir")
        self._folder, self._log = folder, log
        self._flow = _flow(self._sayiir, log, waits=False)
        self._waiting = _flow(self._sayiir, log, waits=True)
        self._pool = ThreadPoolExecutor(THREADS)
        self._runs: set[asyncio.Future[Any]] = set()
        self._approved: list[str] = []
        self._ended = 0

    async def __aenter__(self) -> Self:
        backend = self._sayiir.PostgresBackend(_database(self._folder))
        self._engine: Any = import_module("sayiir._sayiir").PyDurableEngine(backend)
        for id in sorted({line.split()[0] for line in steps_run(self._folder)}):
            self._spawn(self._resume, id, self._flow)
        return self

    async def __aexit__(self, *error: object) -> None:
        """Leave it to the end of the process."""

    async def order(self, number: int) -> None:
        self._completed(await self._call(self._run, f"o-{number}", self._flow))

    async def refused(self, number: int) -> None:
        self._completed(await self._call(self._refuse, f"o-{number}", self._flow))

    async def begin(self, number: int) -> None:
        if self._log.hangs and number >= THREADS:
            raise RuntimeError(
                f"at most {THREADS} orders can be under way: each has a thread, and is durable only then"
            )
        self._spawn(self._run, f"o-{number}", self._flow)

    async def park(self, number: int) -> None:
        await self._call(self._run, f"o-{number}", self._waiting)

    async def approve(self, number: int) -> None:
        id = f"o-{number}"
        await self._call(self._engine.send_signal, id, "approve", {"id": id, "fail": False})
        self._approved.append(id)  # resumed when all have their signal: doing both at a time has come to a stop

    async def parked(self, orders: int) -> None:
        """Each one waited when `park` returned."""

    async def ended(self, orders: int) -> None:
        for id in self._approved:
            self._spawn(self._resume, id, self._waiting)
        while self._ended < orders:
            await asyncio.sleep(0.02)

    def _run(self, id: str, flow: Any, *, fail: bool = False) -> Any:
        return self._engine.run(flow._inner, id, {"id": id, "fail": fail}, flow._task_registry)  # noqa: SLF001

    def _refuse(self, id: str, flow: Any) -> Any:
        return self._run(id, flow, fail=True)

    def _resume(self, id: str, flow: Any) -> Any:
        return self._engine.resume(flow._inner, id, flow._task_registry)  # noqa: SLF001

    async def _call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)

    def _spawn(self, function: Callable[..., Any], *arguments: Any) -> None:
        run = asyncio.ensure_future(self._call(function, *arguments))
        self._runs.add(run)
        run.add_done_callback(lambda done: self._completed(done.result()))

    def _completed(self, status: Any) -> None:
        assert status.is_completed(), status
        self._ended += 1


def _database(folder: Path) -> str:
    """A database of its own, named like the folder."""
    server, name = os.environ["BENCH_POSTGRES"], "sayiir_" + folder.name.replace("-", "_").lower()
    with import_module("psycopg").connect(f"{server}/postgres", autocommit=True) as connection:
        if not connection.execute("select 1 from pg_database where datname = %s", (name,)).fetchone():
            connection.execute(f'create database "{name}"')
    return f"{server}/{name}"


def open_shop(system: str, folder: Path, *, log: StepLog | None = None) -> SayiirShop:  # noqa: ARG001  # one shop only
    """The shop in a database that is named like this folder."""
    return SayiirShop(folder, log or StepLog())
