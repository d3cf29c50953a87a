"""Starting orders: once, under one id, and never with what could not be run."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, cast

import pytest
from attrs import evolve

from atone import (
    AlreadyFinished,
    Coordinator,
    CoordinatorClosed,
    DefinitionError,
    InvalidId,
    MemoryStore,
    OrderConflict,
    OrderNotFound,
    Saga,
    ServiceMissing,
    Status,
    StoreBusy,
    Undecodable,
    WrongInput,
)
from atone.storage import Create
from tests.manual_runtime import settle
from tests.sagas.harness import QUIET, Life, later
from tests.sagas.world import Order, World, effect, shop

pytestmark = pytest.mark.anyio


async def test_a_repeated_start_gives_the_same_order() -> None:
    """Equal saga and input: one order, created once."""
    world = World()
    saga = shop()
    async with Life([saga], world) as life:
        first = await life.coordinator.start(saga, Order(5), id="1")
        again = await life.coordinator.start(saga, Order(5), id="1")
        assert (first.created, again.created) == (True, False)
        await settle()
        assert world.count("reserve") == 1


async def test_of_two_starts_at_once_one_may_fail_and_the_order_has_one_actor() -> None:
    """The first one is told that the store is busy; the second creates the order, and is told so late."""
    world = World()
    world.script["reserve"] = [asyncio.Event(), asyncio.Event()]
    async with Life([shop()], world) as life:
        supervisor, submit = life.coordinator._access.supervisor, life.store.submit
        assert supervisor is not None
        told: list[Callable[[], None]] = []

        def busy_once_then_slow(write: Any, done: Callable[[Any], None]) -> None:
            if not isinstance(write, Create):
                submit(write, done)
            elif not told:
                told.append(lambda: None)
                asyncio.get_running_loop().call_soon(done, StoreBusy("orders.db", "another", 5.0))
            else:
                submit(write, lambda result: told.append(partial(done, result)))

        life.store.submit = supervisor.submit = busy_once_then_slow  # type: ignore[method-assign]
        first, second = later(life.start()), later(life.start())
        await life.clock.advance(5)
        told[-1]()
        await life.clock.advance(5)
        assert isinstance(first.exception(), StoreBusy)
        assert second.result().created
        assert world.log == ["reserve#1"]


async def test_a_repeat_beside_the_first_takes_no_place() -> None:
    """Nothing new is left on disk by it: the next order begins at once, in the commit that creates it."""
    world, gate = World(), asyncio.Event()
    world.script["reserve"] = [gate]
    async with Life([shop()], world, options={"limits": evolve(QUIET, window=2)}) as life:
        await asyncio.gather(life.start("1"), life.start("1"))
        await life.start("2")
        assert (await life.events("2"))[0] == "BEGUN"
        gate.set()


async def test_an_id_stands_for_one_order_only() -> None:
    """Another input, or another saga, under a taken id is a conflict."""
    one, other = shop(), Saga("other", input=Order, steps=[effect("look", undo=False, read_only=True)])
    async with Life([one, other], World()) as life:
        await life.coordinator.start(one, Order(5), id="1")
        with pytest.raises(OrderConflict):
            await life.coordinator.start(one, Order(6), id="1")
        with pytest.raises(OrderConflict):
            await life.coordinator.start(other, Order(5), id="1")


async def test_a_set_in_another_order_is_no_other_input() -> None:
    """Each process has an order of its own for the texts of a set: a repeat from the next one is a repeat."""

    @dataclass(frozen=True)
    class Parcel:
        shelves: frozenset[int]

    saga = Saga("parcel", input=Parcel, steps=[effect("pack")])
    one, other = Parcel(frozenset([0, 1024])), Parcel(frozenset([1024, 0]))
    assert one == other
    assert list(one.shelves) != list(other.shelves)
    async with Life([saga], World()) as life:
        assert (await life.coordinator.start(saga, one, id="1")).created
        assert not (await life.coordinator.start(saga, other, id="1")).created
        with pytest.raises(OrderConflict):
            await life.coordinator.start(saga, Parcel(frozenset([0])), id="1")


async def test_the_id_of_a_purged_order_stays_taken() -> None:
    """After a purge a repeated start tells how the order ended, and starts nothing."""
    world = World()
    async with Life([shop()], world) as life:
        await life.run()
        await life.clock.advance(10)
        assert await life.coordinator.purge(older_than=timedelta(seconds=5)) == 1
        with pytest.raises(AlreadyFinished) as caught:
            await life.start()
        assert caught.value.status == Status.COMPLETED
        assert world.count("reserve") == 1
        assert await life.status() is Status.COMPLETED, "its tombstone still says how it ended"


async def test_what_cannot_be_started_is_refused_before_anything_is_written() -> None:
    """A wrong input, an unusable id, a saga that is not registered: nothing reaches the disk."""
    saga = shop()
    async with Life([saga], World()) as life:
        with pytest.raises(WrongInput):
            await life.start(order="text")
        for id in ("", "x" * 201, "a\nb", "\ud800"):
            with pytest.raises(InvalidId):
                await life.coordinator.start(saga, Order(), id=id)
        with pytest.raises(DefinitionError):
            await life.coordinator.start(Saga("stranger", input=Order, steps=[]), Order(), id="1")
        assert life.store.writes == 0


async def test_an_input_with_a_field_of_another_type_is_refused_by_the_name_of_that_field() -> None:
    """Type hints stop nobody at run time; nothing was stored, and the error speaks of nothing stored."""

    @dataclass(frozen=True)
    class Trip:
        nights: int

    saga = Saga("trip", input=Trip, steps=[effect("book")])
    async with Life([saga], World()) as life:
        with pytest.raises(Undecodable) as caught:
            await life.coordinator.start(saga, Trip(nights=cast("Any", "two")), id="1")
        assert life.store.writes == 0
    assert str(caught.value) == (
        "the input of saga 'trip' does not fit the class Trip (ValueError @ .nights): "
        "give it values of the types that its annotations name"
    )


async def test_an_input_of_a_subclass_is_refused() -> None:
    """It would be read back as the class of the saga: a discount that only the subclass knows would be charged."""

    @dataclass(frozen=True)
    class Trip:
        cents: int

    @dataclass(frozen=True)
    class Discounted(Trip):
        discount: int

    saga = Saga("trip", input=Trip, steps=[effect("book")])
    async with Life([saga], World()) as life:
        with pytest.raises(WrongInput, match=r"needs a Trip .* got a Discounted"):
            await life.coordinator.start(saga, Discounted(100, 50), id="1")
        assert life.store.writes == 0


async def test_services_are_checked_when_the_coordinator_is_made() -> None:
    """Before any order moves; the error names the step, the parameter and the remedy."""
    with pytest.raises(ServiceMissing, match=r"reserve.*'line'.*provide="):
        Coordinator(MemoryStore(), sagas=[shop()])


async def test_an_order_that_was_never_started_is_not_found() -> None:
    """A handle costs nothing; asking it does the looking."""
    async with Life([shop()], World()) as life:
        with pytest.raises(OrderNotFound):
            await life.coordinator.order("nobody").status()


async def test_a_coordinator_serves_only_inside_its_block() -> None:
    """Before and after, every call says so."""
    life = Life([shop()], World())
    with pytest.raises(CoordinatorClosed):
        await life.start()
    async with life:
        pass
    with pytest.raises(CoordinatorClosed):
        await life.coordinator.order("1").status()
