"""A shop behind an HTTP interface, with its orders kept by atone in the same processes.

    pip install ".[examples]"
    ORDERS_DB=orders.db uvicorn examples.service:app --workers 3 --timeout-graceful-shutdown 5

One worker hosts the orders, the others stand by, and each answers every request. Kill any of them: another
takes over, and the orders go on. (The timeout ends streams of changes, which would hold up a shutdown.)

Send an `Idempotency-Key` with every POST: then it is safe to repeat, and gets its first answer.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
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
    Unencodable,
    receive,
    step,
)

from .outside import Carrier, Payments, Warehouse

# ── the saga ──

CREDIT_CENTS = 1_000_000  #: what a card is good for
LARGE_CENTS = 100_000  #: from here on, a person must approve


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
async def release(warehouse: Warehouse, ctx: StepContext) -> None:
    """Put them back."""
    await warehouse.undo(ctx.action_key)


@step(timeout=10)
async def charge(order: Order, payments: Payments, ctx: StepContext) -> None:
    """Take the money."""
    if order.total_cents > CREDIT_CENTS:
        raise PermanentError("the card is declined")
    await payments.do(ctx.key, order.id, order.total_cents)


@charge.compensation
async def refund(payments: Payments, ctx: StepContext) -> None:
    """Give it back."""
    await payments.undo(ctx.action_key)


@step(timeout=10, pivot=True)
async def ship(order: Order, carrier: Carrier, ctx: StepContext) -> None:
    """Send the goods off: the point of no return."""
    await carrier.do(ctx.key, order.id, order.quantity)


approval = receive(
    Approve, timeout=timedelta(hours=24), when=lambda order: order.total_cents >= LARGE_CENTS, name="approval"
)
order_saga = Saga("order", version=1, input=Order, steps=[reserve, approval, charge, ship])

# ── the HTTP interface ──


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
    """Keep the orders for as long as this process serves."""
    path = Path(os.environ.get("ORDERS_DB", "orders.db"))
    outside = [kind(path.with_suffix(".books")) for kind in (Warehouse, Payments, Carrier)]
    async with Coordinator(SqliteStore(path), sagas=[order_saga], provide=outside) as app.state.coordinator:
        yield


async def explain(request: Request, error: Exception) -> Response:
    """Answer an error with its own sentence."""
    code = next(code for kind, code in FAULTS.items() if isinstance(error, kind))
    return JSONResponse({"detail": str(error)}, code, {"Retry-After": "1"} if code in AGAIN else None)


FAULTS: dict[type[Exception], int] = {
    AnswerPending: 202, OrderNotFound: 404, OrderConflict: 409, AlreadyFinished: 410, TooLarge: 413,
    InvalidId: 422, Unencodable: 422, MailboxFull: 429, StoreUnavailable: 503,
}  # fmt: skip
AGAIN = {202, 429, 503}  #: repeat the request a little later
ANSWERS = {"ACCEPTED": 202, "DUPLICATE": 200, "ALREADY_CANCELLING": 200, "NOT_FOUND": 404}  #: 409 for others

app = FastAPI(title="Orders", lifespan=lifespan, exception_handlers=dict.fromkeys(FAULTS, explain))


def coordinator(request: Request) -> Coordinator:
    """Find the coordinator of this process."""
    found: Coordinator = request.app.state.coordinator
    return found


Orders = Annotated[Coordinator, Depends(coordinator)]
Text = Annotated[str, Body(embed=True, min_length=1)]
Key = Annotated[str | None, Header(alias="Idempotency-Key", pattern="^[A-Za-z0-9_-]{1,100}$")]


@app.post("/orders", status_code=201)
async def place(
    orders: Orders, response: Response, *, sku: Text, quantity: Annotated[int, Body(gt=0)],
    total_cents: Annotated[int, Body(ge=0)], key: Key = None,
) -> dict[str, Any]:  # fmt: skip
    """Place an order. It is on disk when this answers; its id is the `Idempotency-Key`, if there is one."""
    id = key or uuid4().hex
    order = await orders.start(order_saga, Order(id, sku, quantity, total_cents), id=id)
    response.status_code = 201 if order.created else 200
    response.headers["Location"] = f"/orders/{id}"
    return view(await order.status())


@app.get("/orders")
async def find(
    orders: Orders, status: Status | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 100
) -> list[dict[str, Any]]:
    """List orders. `PARKED` are those that a person must look at."""
    return [view(order) async for order in orders.orders(status=status, limit=limit)]


@app.get("/orders/{id}")
async def read(id: str, orders: Orders) -> dict[str, Any]:
    """Say how an order stands."""
    return view(await orders.order(id).status())


@app.get("/orders/{id}/history")
async def history(id: str, orders: Orders, after: int = -1) -> list[dict[str, Any]]:
    """Say how it got there."""
    names = ("revision", "at", "event", "source", "target", "step", "attempt", "error", "note")
    return [{name: getattr(line, name) for name in names} async for line in orders.order(id).history(after)]


@app.post("/orders/{id}/approve")
async def approve(id: str, orders: Orders, by: Text, key: Key = None) -> Response:
    """Let a large order pass."""
    return answered(await orders.order(id).send(Approve(by), id=key))


@app.post("/orders/{id}/cancel")
async def cancel(id: str, orders: Orders, reason: Text, by: Text, key: Key = None) -> Response:
    """Have an order undone. `ACCEPTED` is a promise; where the answer is pending, repeat the request."""
    return answered(await orders.order(id).cancel(reason, by=by, id=key, timeout=5))


@app.get("/orders/{id}/changes")
async def changes(id: str, orders: Orders, last_event_id: Annotated[int, Header()] = -1) -> Response:
    """Stream an order as server-sent events until it has ended; a browser that reconnects misses nothing."""
    now = await orders.order(id).status()
    if now.status.final and now.revision <= last_event_id:
        return Response(status_code=204)  # a browser takes this as: do not come back
    return StreamingResponse(events(orders.order(id), last_event_id), media_type="text/event-stream")


async def events(order: Handle, after: int) -> AsyncIterator[str]:
    """Tell how the order stands whenever its revision rises; changes that come together are one event."""
    async for change in order.watch(after):
        if change.revision > after:
            now = await order.status()
            after = now.revision
            yield f"id: {after}\ndata: {json.dumps(view(now))}\n\n"


@app.get("/health")
async def health(orders: Orders) -> dict[str, Any]:
    """Say which worker answers, and whether it is the one that hosts; fails where it cannot read orders."""
    _ = [order.id async for order in orders.orders(limit=1)]
    return {"pid": os.getpid(), "hosting": orders.hosting}


def view(order: OrderStatus) -> dict[str, Any]:
    """An order as people see it."""
    cause, park = order.cause, order.park
    return {
        "id": order.id, "status": order.status, "revision": order.revision, "steps": dict(order.steps),
        "cause": cause and {"kind": cause.kind, "reason": cause.reason, "by": cause.by},
        "park": park and {"reason": park.reason, "step": park.step, "error": park.error},
    }  # fmt: skip


def answered(answer: SendAnswer | CancelAnswer) -> Response:
    """Tell what became of a request."""
    return JSONResponse({"answer": answer}, ANSWERS.get(answer, 409))
