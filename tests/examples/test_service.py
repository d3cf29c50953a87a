import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import httpx
import pytest
from attrs import field, frozen

from atone import (
    AnswerPending,
    AtoneError,
    Coordinator,
    CoordinatorClosed,
    MailboxFull,
    Status,
    StoreBusy,
    StoreUnavailable,
)
from examples import service
from examples.outside import Carrier, Participant

SMALL = {"sku": "mug", "quantity": 2, "total_cents": 1_800}
LARGE = {"sku": "sofa", "quantity": 1, "total_cents": 180_000}
BY = {"by": "alice"}
CANCEL = {"reason": "changed my mind", "by": "bob"}


@pytest.fixture
def anyio_backend() -> str:
    """The service is made for asyncio."""
    return "asyncio"


@pytest.fixture
async def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    """Talk to the service in this process, on a store of its own."""
    monkeypatch.setenv("ORDERS_DB", str(tmp_path / "orders.db"))
    monkeypatch.setattr(Participant, "latency", 0)
    transport = httpx.ASGITransport(service.app)
    async with (
        service.lifespan(service.app),
        httpx.AsyncClient(transport=transport, base_url="http://shop") as client,
    ):
        yield client


async def place(client: httpx.AsyncClient, order: dict[str, Any], id: str) -> httpx.Response:
    """Place an order under an id."""
    return await client.post("/orders", json=order, headers={"Idempotency-Key": id})


async def ended(client: httpx.AsyncClient, id: str) -> dict[str, Any]:
    """Follow an order to its end; the last event says how it ended."""
    return (await changes(client, id))[-1]


async def changes(client: httpx.AsyncClient, id: str, **headers: str) -> list[dict[str, Any]]:
    """Follow an order to its end, and read what the events say, each under the id that it has."""
    response = await client.get(f"/orders/{id}/changes", headers=headers)
    assert response.headers["content-type"].startswith("text/event-stream"), response.text
    events = [event.split("\n") for event in response.text.split("\n\n")[:-1]]
    seen = [json.loads(data.removeprefix("data: ")) for _, data in events]
    assert [f"id: {event['revision']}" for event in seen] == [id for id, _ in events]
    return seen


@frozen
class Shipment:
    """A call to the carrier, held up."""

    begun: asyncio.Event = field(factory=asyncio.Event)
    may_end: asyncio.Event = field(factory=asyncio.Event)

    async def do(self, *_: object) -> None:
        self.begun.set()
        await self.may_end.wait()


@pytest.fixture
def shipment(monkeypatch: pytest.MonkeyPatch) -> Shipment:
    """The carrier takes its time."""
    shipment = Shipment()
    monkeypatch.setattr(Carrier, "do", shipment.do)
    return shipment


async def waiting(id: str) -> None:
    """Wait until an order waits for its approval."""
    coordinator: Coordinator = service.app.state.coordinator
    async for change in coordinator.order(id).watch():
        if change.target == Status.WAITING:
            return


async def test_a_small_order_is_done_without_a_person(client: httpx.AsyncClient) -> None:
    """It is placed under an id of its own, and completes."""
    placed = await client.post("/orders", json=SMALL)
    id = placed.json()["id"]
    last = await ended(client, id)

    assert 201 == placed.status_code
    assert f"/orders/{id}" == placed.headers["location"]
    assert "COMPLETED" == last["status"]
    assert last == (await client.get(placed.headers["location"])).json()


async def test_a_repeat_gets_the_same_order(client: httpx.AsyncClient) -> None:
    """The key becomes the order's id; the same request again creates nothing."""
    first = await place(client, SMALL, "k-1")
    again = await place(client, SMALL, "k-1")
    orders = (await client.get("/orders")).json()

    assert (201, "k-1") == (first.status_code, first.json()["id"])
    assert (200, "k-1") == (again.status_code, again.json()["id"])
    assert ["k-1"] == [order["id"] for order in orders]


async def test_concurrent_repeats_create_one_order(client: httpx.AsyncClient) -> None:
    """Of requests that race with one key, exactly one is the first."""
    codes = [one.status_code for one in await asyncio.gather(*(place(client, SMALL, "k") for _ in range(8)))]

    assert [200] * 7 + [201] == sorted(codes)


async def test_another_order_under_a_used_key_is_a_conflict(client: httpx.AsyncClient) -> None:
    """A key stands for one body."""
    await place(client, SMALL, "k")
    other = await place(client, LARGE, "k")

    assert 409 == other.status_code
    assert "exists with another input" in other.json()["detail"]


async def test_a_large_order_waits_for_its_approval(client: httpx.AsyncClient) -> None:
    """It goes on when a person lets it pass; an approval after its end is refused."""
    await place(client, LARGE, "k")
    await waiting("k")
    stands = (await client.get("/orders/k")).json()
    answer = await client.post("/orders/k/approve", json=BY)
    last = await ended(client, "k")
    late = await client.post("/orders/k/approve", json=BY)

    assert ("WAITING", "STARTED") == (stands["status"], stands["steps"]["approval"])
    assert (202, {"answer": "ACCEPTED"}) == (answer.status_code, answer.json())
    assert "COMPLETED" == last["status"]
    assert (409, {"answer": "ALREADY_FINISHED"}) == (late.status_code, late.json())


async def test_a_repeated_approval_is_known_as_one(client: httpx.AsyncClient, shipment: Shipment) -> None:
    """One key is one approval, also when its message was consumed long ago."""
    key = {"Idempotency-Key": "a"}
    await place(client, LARGE, "k")
    first = await client.post("/orders/k/approve", json=BY, headers=key)
    await shipment.begun.wait()
    again = await client.post("/orders/k/approve", json=BY, headers=key)
    shipment.may_end.set()

    assert (202, {"answer": "ACCEPTED"}) == (first.status_code, first.json())
    assert (200, {"answer": "DUPLICATE"}) == (again.status_code, again.json())


async def test_a_cancelled_order_is_undone(client: httpx.AsyncClient) -> None:
    """The answer is a promise: the order is compensated, and says who wanted it and why."""
    await place(client, LARGE, "k")
    await waiting("k")
    first = await client.post("/orders/k/cancel", json=CANCEL, headers={"Idempotency-Key": "c"})
    last = await ended(client, "k")
    late = await client.post("/orders/k/cancel", json=CANCEL)

    assert (202, {"answer": "ACCEPTED"}) == (first.status_code, first.json())
    assert "COMPENSATED" == last["status"]
    assert {"kind": "CANCEL", "reason": "changed my mind", "by": "bob"} == last["cause"]
    assert "COMPENSATED" == last["steps"]["reserve"]
    assert (409, {"answer": "ALREADY_FINISHED"}) == (late.status_code, late.json())


async def test_a_cancel_during_the_shipment_is_too_late(client: httpx.AsyncClient, shipment: Shipment) -> None:
    """The goods are on their way: the refusal is final, and the order completes."""
    await place(client, SMALL, "k")
    await shipment.begun.wait()
    answer = await client.post("/orders/k/cancel", json=CANCEL)
    shipment.may_end.set()

    assert (409, {"answer": "TOO_LATE"}) == (answer.status_code, answer.json())
    assert "COMPLETED" == (await ended(client, "k"))["status"]


async def test_a_declined_card_undoes_the_order(client: httpx.AsyncClient) -> None:
    """Nobody cancelled it: the cause is the error, which the history tells."""
    await place(client, {**LARGE, "total_cents": service.CREDIT_CENTS + 1}, "k")
    await client.post("/orders/k/approve", json=BY)
    last = await ended(client, "k")
    history = (await client.get("/orders/k/history")).json()

    assert ("COMPENSATED", "ERROR") == (last["status"], last["cause"]["kind"])
    assert "the card is declined" in next(line["error"] for line in history if line["error"])


async def test_history_can_be_read_from_where_one_left_off(client: httpx.AsyncClient) -> None:
    """Lines come in order of their revisions, above the one that is named."""
    await place(client, SMALL, "k")
    await ended(client, "k")
    lines = (await client.get("/orders/k/history")).json()
    rest = (await client.get("/orders/k/history", params={"after": 2})).json()

    assert [1, 2, 3, 4] == [line["revision"] for line in lines]
    assert ["reserve", "charge", "ship"] == [line["step"] for line in lines[1:]]
    assert lines[2:] == rest


async def test_a_stream_follows_an_order_to_its_end(client: httpx.AsyncClient) -> None:
    """It tells what was and what comes, each revision at most once, and ends by itself."""
    await place(client, LARGE, "k")
    await waiting("k")
    stream = asyncio.create_task(changes(client, "k"))
    await client.post("/orders/k/approve", json=BY)
    seen = await stream

    revisions = [event["revision"] for event in seen]
    assert sorted(set(revisions)) == revisions
    assert "COMPLETED" == seen[-1]["status"]
    assert not any(Status(event["status"]).final for event in seen[:-1])


async def test_a_stream_goes_on_where_it_was_cut_off(client: httpx.AsyncClient) -> None:
    """A browser that saw a revision gets those above it; one that saw the end is told not to come back."""
    await place(client, SMALL, "k")
    last = await ended(client, "k")
    end = last["revision"]
    rest = await changes(client, "k", **{"Last-Event-ID": str(end - 1)})
    nothing = await client.get("/orders/k/changes", headers={"Last-Event-ID": str(end)})

    assert [last] == rest
    assert 204 == nothing.status_code


async def test_an_order_in_doubt_is_listed_as_parked(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The carrier never answered: whether the goods left is for a person to find out."""

    async def lost(carrier: Carrier, key: str, order_id: str, amount: int) -> None:
        raise ConnectionError("no answer")

    monkeypatch.setattr(Carrier, "do", lost)
    await place(client, SMALL, "k")
    coordinator: Coordinator = service.app.state.coordinator
    async for change in coordinator.order("k").watch():
        if change.target == Status.PARKED:
            break
    await place(client, LARGE, "other")
    [parked] = (await client.get("/orders", params={"status": "PARKED"})).json()

    assert "k" == parked["id"]
    assert ("IN_DOUBT", "ship") == (parked["park"]["reason"], parked["park"]["step"])
    assert "no answer" in parked["park"]["error"]


async def test_an_unknown_order_is_not_found(client: httpx.AsyncClient) -> None:
    """However one asks for it."""
    answers = [await client.get(f"/orders/no{what}") for what in ("", "/history", "/changes")]
    answers.append(await client.post("/orders/no/approve", json=BY))
    answers.append(await client.post("/orders/no/cancel", json=CANCEL))

    assert [404] * 5 == [answer.status_code for answer in answers]


async def test_a_purged_order_is_gone_and_its_id_stays_taken(client: httpx.AsyncClient) -> None:
    """Its status is still known; its history is not, and no new order takes its place."""
    await place(client, SMALL, "k")
    await ended(client, "k")
    coordinator: Coordinator = service.app.state.coordinator
    purged = await coordinator.purge(older_than=timedelta(0))
    again = await place(client, SMALL, "k")

    assert 1 == purged
    assert 410 == again.status_code
    assert 410 == (await client.get("/orders/k/history")).status_code
    assert "COMPLETED" == (await client.get("/orders/k")).json()["status"]


@pytest.mark.parametrize(
    ("body", "key", "code"),
    [
        ({**SMALL, "quantity": 0}, "k", 422),
        ({"sku": "mug"}, "k", 422),
        (SMALL, "../k", 422),
        (SMALL, "k" * 101, 422),
        ({**SMALL, "total_cents": 10**30}, "k", 422),
        ({**SMALL, "sku": "x" * 5_000_000}, "k", 413),
    ],
    ids=["nothing", "incomplete", "a path", "a long key", "a huge number", "a huge text"],
)
async def test_what_cannot_be_kept_is_refused(
    client: httpx.AsyncClient, body: dict[str, Any], key: str, code: int
) -> None:
    """A refusal is a client's error, and no order comes of it."""
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    answer = await client.post("/orders", content=json.dumps(body), headers=headers)

    assert code == answer.status_code
    assert [] == (await client.get("/orders")).json()


async def test_an_id_that_could_never_be_is_refused(client: httpx.AsyncClient) -> None:
    """It is not just unknown: no order can have it."""
    assert 422 == (await client.get("/orders/%00")).status_code


class Failing(Coordinator):
    """A coordinator in trouble."""

    def __init__(self, error: AtoneError) -> None:
        self._error = error

    def order(self, id: str) -> NoReturn:  # noqa: ARG002  # the trouble is the same for all
        raise self._error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreUnavailable("the disk is ill"), 503),
        (StoreBusy("orders.db", "process 1", 5), 503),
        (MailboxFull("k", 1000), 429),
        (AnswerPending("k", 5), 202),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_trouble_that_passes_asks_for_a_repeat(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, error: AtoneError, code: int
) -> None:
    """The answer says when to try again, and why."""
    monkeypatch.setitem(service.app.dependency_overrides, service.coordinator, lambda: Failing(error))
    answer = await client.post("/orders/k/approve", json=BY)

    assert (code, "1") == (answer.status_code, answer.headers["retry-after"])
    assert {"detail": str(error)} == answer.json()


async def test_nothing_is_answered_after_the_shutdown(client: httpx.AsyncClient) -> None:
    """What the service's lifespan opened, it also closes."""
    async with service.lifespan(service.app):
        coordinator: Coordinator = service.app.state.coordinator
        assert not coordinator.hosting  # the fixture's hosts

    with pytest.raises(CoordinatorClosed):
        await coordinator.order("k").status()


async def test_a_worker_whose_coordinator_has_ended_is_not_healthy(client: httpx.AsyncClient) -> None:
    """It would say that it stands by, for ever."""
    working: Coordinator = service.app.state.coordinator
    assert (await client.get("/health")).json()["hosting"]

    async with service.lifespan(service.app):
        pass
    with pytest.raises(CoordinatorClosed):
        await client.get("/health")

    service.app.state.coordinator = working
    assert (await client.get("/health")).json()["hosting"]
