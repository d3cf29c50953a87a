"""The service as it is deployed: real processes on a loopback port, which are killed."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from itertools import cycle, repeat
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from attrs import define, field, frozen

from atone import Coordinator, SqliteStore, Status
from examples.service import order_saga

T = TypeVar("T")
ROOT = Path(__file__).parents[2]
PATIENCE = 30.0  #: seconds
SMALL_CENTS, LARGE_CENTS = 1_800, 180_000


@pytest.fixture
def anyio_backend() -> str:
    """The service is made for asyncio."""
    return "asyncio"


@frozen
class Site:
    """Where the service is, whichever processes it has at the moment."""

    folder: Path
    port: int

    @contextmanager
    def serve(self, *options: str) -> Generator[subprocess.Popen[bytes], None, None]:
        """Run the service; what still runs in the end is killed."""
        command = [sys.executable, "-m", "uvicorn", "examples.service:app", "--port", str(self.port), *options]
        environment = {**os.environ, "ORDERS_DB": str(self.folder / "orders.db")}
        with (
            (self.folder / "log").open("ab") as log,
            subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            ) as process,
        ):
            try:
                yield process
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)

    @asynccontextmanager
    async def client(self, connections: int | None = None) -> AsyncGenerator[httpx.AsyncClient, None]:
        """Talk to the service. One connection always leads to the same worker, while that lives."""
        url, limits = f"http://127.0.0.1:{self.port}", httpx.Limits(max_connections=connections)
        async with httpx.AsyncClient(base_url=url, limits=limits, timeout=PATIENCE, trust_env=False) as client:
            yield client

    @asynccontextmanager
    async def workers(self, count: int) -> AsyncGenerator[dict[int, httpx.AsyncClient], None]:
        """Talk to each worker, by its process id. Which of them accepts a new connection is chance."""
        async with AsyncExitStack() as stack:
            found: dict[int, httpx.AsyncClient] = {}
            while len(found) < count:
                clients = [await stack.enter_async_context(self.client(connections=1)) for _ in range(count)]
                healths = await asyncio.gather(*map(health, clients))
                found.update({health["pid"]: one for health, one in zip(healths, clients, strict=True)})
            yield found

    def books(self) -> dict[str, dict[str, int]]:
        """What was done for each order and not undone: the amounts, by participant."""
        with closing(sqlite3.connect(self.folder / "orders.books")) as db:
            rows = db.execute("select order_id, participant, amount from book where not undone").fetchall()
        books: dict[str, dict[str, int]] = {}
        for order_id, participant, amount in rows:
            book = books.setdefault(order_id, {})
            assert participant not in book, f"{participant} did something for {order_id} twice"
            book[participant] = amount
        return books

    async def live(self) -> int:
        """Count the orders on disk that have not ended."""
        store = SqliteStore(self.folder / "orders.db")
        async with Coordinator(store, sagas=[order_saga], host=False) as coordinator:
            return sum(n for status, n in (await coordinator.count()).items() if not status.final)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A place for the service, with a port that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return Site(tmp_path, probe.getsockname()[1])


async def eventually(ask: Callable[[], Awaitable[T | None]]) -> T:
    """Ask again and again until there is an answer, also while nobody listens."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                answer = await ask()
            except httpx.TransportError:
                answer = None
            if answer is not None:
                return answer
            await asyncio.sleep(0.05)


async def health(client: httpx.AsyncClient) -> dict[str, Any]:
    """Wait until a worker says how it is."""

    async def ask() -> dict[str, Any]:
        answer: dict[str, Any] = (await client.get("/health")).json()
        return answer

    return await eventually(ask)


async def host(clients: dict[int, httpx.AsyncClient], besides: int | None = None) -> int:
    """Wait until one of the workers hosts, and say which."""

    async def ask() -> int | None:
        healths = [await health(client) for client in clients.values()]
        return next((one["pid"] for one in healths if one["hosting"] and one["pid"] != besides), None)

    return await eventually(ask)


@define
class Customer:
    """Places an order, perhaps changes its mind, and repeats whatever was cut off."""

    number: int
    clients: Iterator[httpx.AsyncClient]  #: of which each request takes the next
    answers: dict[str, str] = field(factory=dict)
    status: str = ""  #: of the order, in the end

    @property
    def id(self) -> str:
        return f"order-{self.number}"

    @property
    def total_cents(self) -> int:
        return LARGE_CENTS if self.number % 3 == 0 else SMALL_CENTS

    async def shop(self, accepted: asyncio.Semaphore) -> None:
        """See one order from its beginning to its end."""
        await self.post("/orders", {"sku": "mug", "quantity": 1, "total_cents": self.total_cents})
        accepted.release()
        if self.number % 5 == 0:
            await self.ask("cancel", {"reason": "changed my mind", "by": "bob"})
        if self.total_cents == LARGE_CENTS:
            await self.ask("approve", {"by": "alice"})
        self.status = await eventually(self.ended)

    async def ask(self, what: str, body: dict[str, Any]) -> None:
        self.answers[what] = (await self.post(f"/orders/{self.id}/{what}", body)).json()["answer"]

    async def post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        """Repeat a request under one key until it is answered."""

        async def once() -> httpx.Response | None:
            response = await next(self.clients).post(path, json=body, headers={"Idempotency-Key": self.id})
            assert response.status_code in (200, 201, 202, 409, 503), response.text
            return None if "retry-after" in response.headers else response

        return await eventually(once)

    async def ended(self) -> str | None:
        order = (await next(self.clients).get(f"/orders/{self.id}")).raise_for_status().json()
        return order["status"] if Status(order["status"]).final else None

    def check(self, book: dict[str, int]) -> None:
        """What was done for the order agrees with all that was said about it."""
        completed = {"Warehouse": 1, "Payments": self.total_cents, "Carrier": 1}
        assert book == (completed if self.status == "COMPLETED" else {}), self
        cancelled = self.answers.get("cancel") in ("ACCEPTED", "ALREADY_CANCELLING")
        assert self.status == ("COMPENSATED" if cancelled else "COMPLETED"), self


async def test_every_accepted_order_ends_although_the_service_is_killed(site: Site) -> None:
    """Twice in the middle of its orders; each of them is charged once, or not at all."""
    accepted = asyncio.Semaphore(0)
    async with asyncio.timeout(PATIENCE), site.client() as client, asyncio.TaskGroup() as tasks:
        everyone = [Customer(number, repeat(client)) for number in range(60)]
        shopping = [tasks.create_task(one.shop(accepted)) for one in everyone]
        for _ in range(2):
            with site.serve() as process:
                for _ in range(15):
                    await accepted.acquire()
                process.kill()
            assert await site.live() > 0
        with site.serve():
            await asyncio.wait(shopping)

    books = site.books()
    for one in everyone:
        one.check(books.get(one.id, {}))


async def test_any_worker_serves_and_another_one_takes_over(site: Site) -> None:
    """Requests go to hosts and standbys alike; when the host is killed in the middle, no order is lost."""
    accepted = asyncio.Semaphore(0)
    async with asyncio.timeout(PATIENCE):
        with site.serve("--workers", "3"):
            async with site.workers(3) as clients, asyncio.TaskGroup() as tasks:
                first = await host(clients)
                in_turn = cycle(clients.values())
                everyone = [Customer(number, in_turn) for number in range(30)]
                shopping = [tasks.create_task(one.shop(accepted)) for one in everyone]
                for _ in range(15):
                    await accepted.acquire()
                os.kill(first, signal.SIGKILL)
                await asyncio.wait(shopping)
                second = await host(clients, besides=first)

    books = site.books()
    for one in everyone:
        one.check(books.get(one.id, {}))
    assert second != first


async def terminate_when_waiting(process: subprocess.Popen[bytes], client: httpx.AsyncClient) -> None:
    """Follow an order for as long as the service lets one; ask it to end when the order waits."""
    async with client.stream("GET", "/orders/k/changes") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data: ") and json.loads(line[6:])["status"] == "WAITING":
                process.terminate()


async def test_changes_arrive_while_the_order_waits(site: Site) -> None:
    """A stream is not held back until its end, and a shutdown ends it."""
    key = {"Idempotency-Key": "k"}
    large = {"sku": "sofa", "quantity": 1, "total_cents": LARGE_CENTS}
    with site.serve("--timeout-graceful-shutdown", "1") as process:
        async with asyncio.timeout(PATIENCE), site.client() as client:
            await health(client)
            await client.post("/orders", json=large, headers=key)
            with pytest.raises(httpx.RemoteProtocolError):
                await terminate_when_waiting(process, client)
            await asyncio.to_thread(process.wait, PATIENCE)

    assert await site.live() == 1
