"""A shop behind an HTTP interface, with its orders kept by atone inside the same processes.

    ORDERS_DB=orders.db uvicorn examples.service:app --workers 3 --timeout-graceful-shutdown 5

One worker hosts the orders, the others stand by; every worker answers every request. Kill any of them: another one
takes over, and the orders go on. The timeout ends streams of changes, so that they do not hold up a shutdown.

Send an `Idempotency-Key` with every POST. A request that was cut off is then safe to repeat, and gets its first answer.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

from fastapi import Body, Depends, FastAPI, Header, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from atone import (
    AlreadyFinished,
    AnswerPending,
    AtoneError,
    CancelAnswer,
    Coordinator,
    Handle,
    InvalidId,
    MailboxFull,
    OrderConflict,
    OrderNotFound,
    OrderStatus,
    PermanentError,
    Saga,
    SendAnswer,
    SqliteStore,
    Status,
    StepContext,
    StoreUnavailable,
    TooLarge,
    receive,
    step,
)

# ── the world outside ──

LATENCY = 0.02  #: seconds that a participant takes
CREDIT_CENTS = 1_000_000  #: what a card is good for
BOOKS = """
create table if not exists book (
    key text not null, participant text not null, order_id text, amount integer,
    closed integer not null default 0, primary key (participant, key)
)
"""


class Participant:
    """A stand-in for a service of somebody else, whose books outlive this process.

    A repeat under a known key changes nothing, and undoing an action closes its key for ever: an action that arrives
    after it was undone is refused. A real service must do both for the whole to be exactly once.
    """

    def __init__(self, books: Path) -> None:
        self._books = books
        self._name = type(self).__name__

    async def do(self, key: str, order_id: str, amount: int) -> None:
        """Do something once. Raises `PermanentError` where it was undone before it came."""
        insert = (
            "insert into book (participant, key, order_id, amount) values (?, ?, ?, ?) on conflict do nothing"
        )
        await self._write(insert, self._name, key, order_id, amount)
        if await self._write(
            "select 1 from book where participant = ? and key = ? and closed", self._name, key
        ):
            raise PermanentError(f"{self._name} has closed the key {key}")

    async def undo(self, action_key: str) -> None:
        """Undo what was done under a key, if anything was, and refuse it from now on."""
        close = "insert into book (participant, key, closed) values (?, ?, 1) on conflict do update set closed = 1"
        await self._write(close, self._name, action_key)

    async def _write(self, statement: str, *values: object) -> list[Any]:
        await asyncio.sleep(LATENCY)
        return await asyncio.to_thread(self._execute, statement, values)

    def _execute(self, statement: str, values: tuple[object, ...]) -> list[Any]:
        with closing(sqlite3.connect(self._books, timeout=30, isolation_level=None)) as books:
            books.execute(BOOKS)
            return books.execute(statement, values).fetchall()


class Warehouse(Participant):
    """Keeps goods for orders."""


class Payments(Participant):
    """Takes money, and gives it back."""


class Carrier(Participant):
    """Takes goods to the customer."""


# ── the saga ──


@dataclass(frozen=True)
class Order:
    """What a customer wants."""

    id: str
    sku: str
    quantity: int
    total_cents: int


@dataclass(frozen=True)
class Approve:
    """A person lets a large order pass."""

    by: str


@step(timeout=10)
async def reserve(order: Order, warehouse: Warehouse, ctx: StepContext) -> None:
    """Keep the goods."""
    await warehouse.do(ctx.key, order.id, order.quantity)


@reserve.compensation
async def release(order: Order, warehouse: Warehouse, ctx: StepContext) -> None:
    """Put them back."""
    await warehouse.undo(ctx.action_key)


@step(timeout=10)
async def charge(order: Order, payments: Payments, ctx: StepContext) -> None:
    """Take the money."""
    if order.total_cents > CREDIT_CENTS:
        raise PermanentError("the card is declined")
    await payments.do(ctx.key, order.id, order.total_cents)


@charge.compensation
async def refund(order: Order, payments: Payments, ctx: StepContext) -> None:
    """Give it back."""
    await payments.undo(ctx.action_key)


@step(timeout=10, pivot=True)
async def ship(order: Order, carrier: Carrier, ctx: StepContext) -> None:
    """Send the goods off: the point of no return."""
    await carrier.do(ctx.key, order.id, order.quantity)


def is_large(order: Order) -> bool:
    """Whether a person must look at the order."""
    return order.total_cents > 100_000


approval = receive(Approve, timeout=timedelta(hours=24), when=is_large, name="approval")
order_saga = Saga("order", version=1, input=Order, steps=[reserve, approval, charge, ship])

# ── the HTTP interface ──


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Keep the orders for as long as this process serves."""
    path = Path(os.environ.get("ORDERS_DB", "orders.db"))
    outside = [kind(path.with_suffix(".books")) for kind in (Warehouse, Payments, Carrier)]
    async with Coordinator(SqliteStore(path), sagas=[order_saga], provide=outside) as app.state.coordinator:
        yield


app = FastAPI(title="Orders", lifespan=lifespan)


def coordinator(request: Request) -> Coordinator:
    """The coordinator of this process."""
    found: Coordinator = request.app.state.coordinator
    return found


def handle(id: str, orders: Annotated[Coordinator, Depends(coordinator)]) -> Handle:
    """The order that the path names."""
    return orders.order(id)


Orders = Annotated[Coordinator, Depends(coordinator)]
ByPath = Annotated[Handle, Depends(handle)]
Text = Annotated[str, Body(embed=True, min_length=1)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", pattern="^[A-Za-z0-9_-]{1,100}$")]

FAULTS: dict[type[AtoneError], int] = {
    AnswerPending: 202,
    OrderNotFound: 404,
    OrderConflict: 409,
    AlreadyFinished: 410,  # the order was purged, and its id stays taken
    TooLarge: 413,
    InvalidId: 422,
    MailboxFull: 429,
    StoreUnavailable: 503,
}
ANSWERS = {
    "ACCEPTED": 202,
    "DUPLICATE": 200,
    "ALREADY_CANCELLING": 200,
    "NOT_FOUND": 404,
}  #: 409 for the others


async def explain(request: Request, error: Exception) -> Response:
    """Answer an error with its own sentence."""
    code = next(code for kind, code in FAULTS.items() if isinstance(error, kind))
    headers = {"Retry-After": "1"} if code in (202, 429, 503) else {}
    return JSONResponse({"detail": str(error)}, code, headers)


for fault in FAULTS:
    app.add_exception_handler(fault, explain)


def reply(answer: SendAnswer | CancelAnswer) -> Response:
    """Say what became of a request."""
    return JSONResponse({"answer": answer}, ANSWERS.get(answer, 409))


def view(order: OrderStatus) -> dict[str, Any]:
    """An order as its customer sees it."""
    cause, park = order.cause, order.park
    return {
        "id": order.id,
        "status": order.status,
        "cause": cause and {"kind": cause.kind, "reason": cause.reason, "by": cause.by},
        "park": park
        and {"number": park.number, "reason": park.reason, "step": park.step, "error": park.error},
        "steps": order.steps,
        "revision": order.revision,
    }


@app.post("/orders", status_code=201)
async def place(
    orders: Orders,
    response: Response,
    sku: Text,
    quantity: Annotated[int, Body(gt=0)],
    total_cents: Annotated[int, Body(ge=0)],
    key: Key = None,
) -> dict[str, Any]:
    """Place an order; its id is the `Idempotency-Key`, if there is one. It is on disk when this answers."""
    id = key or uuid4().hex
    order = await orders.start(order_saga, Order(id, sku, quantity, total_cents), id=id)
    response.status_code = 201 if order.created else 200
    response.headers["Location"] = f"/orders/{id}"
    return view(await order.status())


@app.get("/orders")
async def find(
    orders: Orders, status: Status | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> list[dict[str, Any]]:
    """List orders; the parked ones are those that a person must look at."""
    return [view(order) async for order in orders.orders(status=status, limit=limit)]


@app.get("/orders/{id}")
async def read(order: ByPath) -> dict[str, Any]:
    """Say how an order stands."""
    return view(await order.status())


@app.get("/orders/{id}/history")
async def history(order: ByPath, after: int = 0) -> list[dict[str, Any]]:
    """Say how it got there."""
    names = ("revision", "at", "event", "source", "target", "step", "attempt", "error", "note")
    return [{name: getattr(line, name) for name in names} async for line in order.history(after)]


@app.post("/orders/{id}/approve")
async def approve(order: ByPath, by: Text, key: Key = None) -> Response:
    """Let a large order pass."""
    return reply(await order.send(Approve(by), id=key))


@app.post("/orders/{id}/cancel")
async def cancel(order: ByPath, reason: Text, by: Text, key: Key = None) -> Response:
    """Have an order undone. A 202 is a promise; where it says that the answer is pending, repeat the request."""
    return reply(await order.cancel(reason, by=by, id=key, timeout=5))


@app.get("/orders/{id}/changes")
async def changes(order: ByPath, last_event_id: Annotated[int, Header()] = -1) -> Response:
    """Stream the order as server-sent events until it has ended; a browser that reconnects misses nothing."""
    seen = await order.status()
    if seen.status.final and seen.revision <= last_event_id:
        return Response(status_code=204)  # this is how a browser is told not to come back
    return StreamingResponse(events(order, last_event_id), media_type="text/event-stream")


async def events(order: Handle, after: int) -> AsyncIterator[str]:
    """The order at every revision that is news; several that came at once are one event."""
    async for change in order.watch(after):
        if change.revision > after:
            now = await order.status()
            yield f"id: {now.revision}\ndata: {json.dumps(view(now))}\n\n"
            after = now.revision


@app.get("/health")
async def health(orders: Orders) -> dict[str, Any]:
    """Say which worker this is, and whether it is the one that hosts."""
    return {"pid": os.getpid(), "hosting": orders.hosting}
