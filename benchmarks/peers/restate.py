"""Restate: its server, a service with its SDK in a process of its own, and an HTTP client.

An order is a virtual object that is called with an idempotency key; one that waits for a person is a workflow with a
durable promise. Three processes share the machine, as they do wherever one machine runs it.
"""

# ruff: noqa: D102 - `Shop` says what each method means
from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any, Self

from ..shop import StepLog

UNDO = {"reserve": "release", "charge": "refund"}
JSON = {"accept": "application/json"}
#: Connections of the client.
CONNECTIONS = 1_100


async def saga(ctx: Any, log: StepLog, kind: str) -> str:
    """An order, with a list of what to undo, as Restate's guide to sagas has it."""
    id, undo, failed = ctx.key(), list[str](), import_module("restate").TerminalError

    async def ship() -> dict[str, str]:
        done = await log.act(id, "ship")
        if kind == "refused":
            raise failed("no carrier takes it")
        return done

    try:
        for name in ("reserve", "charge"):
            await ctx.run_typed(name, log.act, order=id, step=name)
            undo.append(UNDO[name])
            if name == "reserve" and kind == "approved":
                await ctx.promise("approve").value()
        await ctx.run_typed("ship", ship)
    except failed:
        for name in reversed(undo):
            await ctx.run_typed(name, log.act, order=id, step=name)
        return "compensated"
    return "completed"


def application(log: StepLog) -> Any:
    """The service: an object for orders and a workflow for those that wait."""
    restate: Any = import_module("restate")
    shop, approved = restate.VirtualObject("Order"), restate.Workflow("Approved")

    async def order(ctx: Any, request: dict[str, str]) -> str:
        return await saga(ctx, log, request["kind"])

    async def run(ctx: Any, request: dict[str, str]) -> str:
        return await saga(ctx, log, request["kind"])

    async def approve(ctx: Any, request: dict[str, str]) -> None:  # noqa: ARG001  # a handler has a request
        await ctx.promise("approve").resolve(True)  # noqa: FBT003  # the promise's value

    for handler in (order, run, approve):  # the SDK reads these to find serializers, and knows no text
        handler.__annotations__ = {"ctx": Any, "request": dict, "return": None if handler is approve else str}
    shop.handler()(order)
    approved.main()(run)
    approved.handler()(approve)
    return restate.app(services=[shop, approved])


async def serve(folder: Path, port: int, *, logs: bool, hang: bool) -> None:
    """The process of the service."""
    config = import_module("hypercorn").Config()
    config.bind, config.loglevel = [f"127.0.0.1:{port}"], "ERROR"
    log = StepLog(folder if logs else None, hang=hang)
    await import_module("hypercorn.asyncio").serve(application(log), config)


class RestateShop:
    """The server and the service, started and ended together."""

    def __init__(self, folder: Path, log: StepLog | None) -> None:
        self._folder, self._log = folder, log
        self._processes: list[subprocess.Popen[bytes]] = []

    async def __aenter__(self) -> Self:
        aiohttp: Any = import_module("aiohttp")
        ports = _ports(self._folder)
        self._ingress, self._admin = (f"http://127.0.0.1:{port}" for port in ports[1:3])
        flags = "" if self._log is None else "logs,hang" if self._log.hangs else "logs"
        service = [sys.executable, "-m", "benchmarks.peers.restate", str(self._folder), str(ports[0]), flags]
        self._spawn(_environment(self._folder, ports), os.environ["RESTATE_SERVER"], "--node-name", "n1")
        self._spawn(dict(os.environ), *service)
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS), timeout=aiohttp.ClientTimeout(total=600)
        )
        for url in (f"{self._admin}/health", f"{self._ingress}/restate/health"):
            await self._healthy(url)
        await self._deploy({"uri": f"http://127.0.0.1:{ports[0]}"})
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._client.close()
        for process in self._processes:
            process.kill()
            process.wait()

    async def order(self, number: int) -> None:
        assert await self._call(number, "order") == "completed"

    async def refused(self, number: int) -> None:
        assert await self._call(number, "refused") == "compensated"

    async def begin(self, number: int) -> None:
        await self._call(number, "order", "/send")

    async def park(self, number: int) -> None:
        await self._post(f"{self._ingress}/Approved/o-{number}/run/send", {"kind": "approved"})

    async def approve(self, number: int) -> None:
        await self._post(f"{self._ingress}/Approved/o-{number}/approve", {})

    async def parked(self, orders: int) -> None:
        await self._count("sys_journal", "name = 'reserve'", orders)

    async def ended(self, orders: int) -> None:
        await self._count("sys_invocation", "status = 'completed' and target_handler_name in ('order', 'run')", orders)

    async def _call(self, number: int, kind: str, how: str = "") -> Any:
        url = f"{self._ingress}/Order/o-{number}/order{how}"
        return await self._post(url, {"kind": kind}, {"idempotency-key": f"o-{number}"})

    async def _post(self, url: str, body: dict[str, str], headers: dict[str, str] | None = None) -> Any:
        async with self._client.post(url, json=body, headers=headers or {}) as response:
            response.raise_for_status()
            return await response.json() if "json" in response.headers.get("content-type", "") else None

    async def _count(self, table: str, condition: str, orders: int) -> None:
        """Wait until so many rows are there."""
        query = {"query": f"select count(*) n from {table} where {condition}"}  # noqa: S608  # all of it stands here
        while (await self._post(f"{self._admin}/query", query, JSON))["rows"][0]["n"] < orders:
            await asyncio.sleep(0.1)

    async def _healthy(self, url: str) -> None:
        for _ in range(800):
            try:
                async with self._client.get(url) as response:
                    if response.status < 500:  # the status of HTTP
                        return
            except OSError:
                pass
            await asyncio.sleep(0.05)
        raise TimeoutError(url)

    async def _deploy(self, body: dict[str, str]) -> None:
        for _ in range(200):
            async with self._client.post(f"{self._admin}/deployments", json=body) as response:
                if response.ok:
                    return
            await asyncio.sleep(0.1)
        raise TimeoutError("the service was not taken")

    def _spawn(self, environment: dict[str, str], *command: str) -> None:
        with (self._folder / f"process-{len(self._processes)}.log").open("ab") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, preexec_fn=_die_with_parent)  # noqa: PLW1509  # there are no threads yet
        self._processes.append(process)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _ports(folder: Path) -> list[int]:
    """The same in every life: the server keeps the address of the service."""
    kept = folder / "ports"
    if not kept.exists():
        sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
        kept.write_text(" ".join(str(one.getsockname()[1]) for one in sockets), encoding="ascii")
        for one in sockets:
            one.close()
    return [int(port) for port in kept.read_text(encoding="ascii").split()]


def _environment(folder: Path, ports: list[int]) -> dict[str, str]:
    _, ingress, admin, node, console = ports
    return {
        **os.environ,
        "RESTATE_BASE_DIR": str(folder / "restate"), "RESTATE_DISABLE_TELEMETRY": "true", "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{node}", "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{node}",
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}", "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
        "RESTATE_TOKIO_CONSOLE__BIND_ADDRESS": f"127.0.0.1:{console}", "RESTATE_LOG_FILTER": "warn",
    }  # fmt: skip


def open_shop(system: str, folder: Path, *, log: StepLog | None = None) -> RestateShop:  # noqa: ARG001  # one shop only
    """The shop in this folder."""
    return RestateShop(folder, log)


if __name__ == "__main__":
    home, number, flags = sys.argv[1:]
    asyncio.run(serve(Path(home), int(number), logs="logs" in flags, hang="hang" in flags))
