"""Listing, counting and purging orders."""

import asyncio
from datetime import timedelta

import pytest

from atone import AlreadyFinished, OrderStatus, Saga, SendAnswer, Status, receive
from tests.manual_runtime import settle
from tests.sagas.harness import Life
from tests.sagas.world import Approve, Order, World, effect, line_of, shop

pytestmark = pytest.mark.anyio


async def listed(life: Life, **filters: object) -> list[str]:
    """The ids that a listing gives."""
    return [one.id async for one in life.coordinator.orders(**filters)]  # type: ignore[arg-type]


async def three_orders(life: Life) -> None:
    """One that completed, one that was undone, one that waits; a minute lies between them."""
    for id, approve in (("done", True), ("undone", False), ("waits", None)):
        handle = await life.start(id)
        await settle()
        if approve is True:
            await handle.send(Approve())
        elif approve is False:
            await handle.cancel("no", by="bob")
        await life.clock.advance(60)


def waiting() -> Saga[Order]:
    """A saga that waits for approval."""
    return line_of(effect("reserve"), receive(Approve))


async def test_orders_are_listed_in_order_of_arrival() -> None:
    """By status, saga and age, and no more than asked for."""
    other = Saga("other", input=Order, steps=[receive(Approve)])
    async with Life([waiting(), other], World()) as life:
        await three_orders(life)
        await life.coordinator.start(other, Order(), id="else")
        await settle()
        assert await listed(life) == ["done", "undone", "waits", "else"]
        assert await listed(life, status=Status.WAITING) == ["waits", "else"]
        assert await listed(life, status=[Status.COMPLETED, Status.COMPENSATED]) == ["done", "undone"]
        assert await listed(life, saga="other") == await listed(life, saga=other) == ["else"]
        assert await listed(life, older_than=timedelta(seconds=90)) == ["done", "undone"]
        assert await listed(life, limit=2) == ["done", "undone"]
        assert await listed(life, limit=0) == []
        with pytest.raises(TypeError):
            await listed(life, limit=1.5)
        assert await listed(life, status=[]) == []


async def test_counts_agree_with_listings() -> None:
    """Under every filter."""
    async with Life([waiting()], World()) as life:
        await three_orders(life)
        for filters in ({}, {"status": Status.WAITING}, {"saga": "line"}, {"older_than": timedelta(seconds=90)}):
            counts = await life.coordinator.count(**filters)
            assert sum(counts.values()) == len(await listed(life, **filters))
        assert await life.coordinator.count() == {
            Status.COMPLETED: 1, Status.COMPENSATED: 1, Status.WAITING: 1,
        }  # fmt: skip


async def test_a_listing_shows_what_status_shows() -> None:
    """The same words for the same order."""
    async with Life([waiting()], World()) as life:
        await three_orders(life)
        shown: list[OrderStatus] = [one async for one in life.coordinator.orders()]
        assert shown == [await life.coordinator.order(one.id).status() for one in shown]


async def test_orders_without_a_definition_are_listed_and_counted_as_parked() -> None:
    """As their status says in this process."""
    async with Life([waiting()], World()) as life:
        await three_orders(life)
    async with life.successor(shop(), host=False) as stranger:
        assert await listed(stranger, status=Status.PARKED) == ["waits"]
        assert await listed(stranger, status=Status.WAITING) == []
        counts = await stranger.coordinator.count()
        assert counts[Status.PARKED] == 1


async def test_a_long_listing_is_read_page_by_page() -> None:
    """Every order once, whatever is started meanwhile."""
    saga = waiting()
    async with Life([saga], World(), options={"host": False}) as life:
        await asyncio.gather(*(life.start(str(number)) for number in range(1200)))
        seen: list[str] = []
        async for one in life.coordinator.orders():
            seen.append(one.id)
            if len(seen) == 600:
                await life.start("late")
        assert seen == [str(number) for number in range(1200)] + ["late"]


async def test_purge_removes_only_what_ended_long_ago() -> None:
    """Live orders stay however old; the ids of the others stay taken."""
    async with Life([waiting()], World()) as life:
        await three_orders(life)
        assert await life.coordinator.purge(older_than=timedelta(seconds=150)) == 1
        assert await listed(life) == ["undone", "waits"]
        assert await life.coordinator.purge(older_than=timedelta(0)) == 1
        assert await listed(life) == ["waits"]
        handle = life.coordinator.order("done")
        assert await handle.send(Approve()) is SendAnswer.ALREADY_FINISHED
        with pytest.raises(AlreadyFinished):
            await handle.outcome()
        assert (await handle.status()).status is Status.COMPLETED


async def test_waiting_orders_are_not_in_memory() -> None:
    """They cost disk: whatever their number, the host holds neither task nor actor for them."""
    async with Life([waiting()], World()) as life:
        for number in range(50):
            await life.start(str(number))
        await life.clock.advance(1)
        supervisor = life.coordinator._access.supervisor
        assert supervisor is not None
        assert await life.coordinator.count() == {Status.WAITING: 50}
        assert supervisor.actors == {}
        assert len(life.runtime.tasks) == 1, "the engine's own"
