"""The door: starting orders, running them to their end, and what steps are given."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from atone import (
    CauseKind,
    Coordinator,
    CoordinatorFailed,
    MemoryStore,
    PermanentError,
    Retry,
    Saga,
    SqliteStore,
    Status,
    StepContext,
    StepFailed,
    StepStatus,
    StoreError,
    VerbAnswer,
    WrongLoop,
    parallel,
    step,
)
from atone.storage import Store
from tests.manual_runtime import settle, until
from tests.sagas.harness import ONCE, TWICE, Life, certainly_gone
from tests.sagas.world import Order, World, effect, line_of, shop

pytestmark = pytest.mark.anyio


@frozen
class Parcel:
    number: int


async def test_an_order_runs_its_steps_one_after_another() -> None:
    """Each step once, in order, and nothing is undone."""
    world = World()
    async with Life([shop()], world) as life:
        outcome = await life.run()
        assert outcome.status is Status.COMPLETED
        assert outcome.cause is None
        assert outcome.error is None
        assert world.log == ["reserve#1", "charge#1", "ship#1", "confirm#1"]


async def test_a_straight_run_of_n_steps_costs_n_plus_one_commits() -> None:
    """The result of one step and the intent of the next are one commit."""
    async with Life([shop()], World()) as life:
        await life.run()
        assert life.store.writes == 5


async def test_a_failed_order_is_undone_in_reverse() -> None:
    """Compensations run backwards, each with the result of its action; the refused step is owed nothing."""
    world = World()
    world.script["ship"] = [PermanentError("no such street")]
    async with Life([shop()], world) as life:
        outcome = await life.run()
    assert outcome.status is Status.COMPENSATED
    assert outcome.cause.kind is CauseKind.ERROR
    assert isinstance(outcome.error, StepFailed)
    assert "no such street" in str(outcome.error)
    assert world.log[3:] == ["charge.undo#1", "reserve.undo#1"]
    assert all(result is not None for _, result in world.given)
    assert world.applied == []


async def test_one_compensation_is_acknowledged_before_the_next_begins() -> None:
    """The second one waits for the first, however long it takes."""
    world, gate = World(), asyncio.Event()
    world.script["ship"] = [PermanentError("no")]
    world.script["charge.undo"] = [gate]
    async with Life([shop()], world) as life:
        await life.start()
        await settle()
        assert world.log[-1] == "charge.undo#1"
        gate.set()
        await settle()
        assert world.log[-1] == "reserve.undo#1"
        assert await life.status() is Status.COMPENSATED


async def test_members_of_a_group_run_at_the_same_time() -> None:
    """Both are under way before either has ended; the next step waits for both."""
    world, gates = World(), [asyncio.Event(), asyncio.Event()]
    world.script["a"], world.script["b"] = [gates[0]], [gates[1]]
    async with Life([line_of(parallel(effect("a"), effect("b")), effect("c"))], world) as life:
        await life.start()
        await settle()
        assert sorted(world.running) == ["a", "b"]
        gates[1].set()
        await settle()
        assert world.count("c") == 0
        gates[0].set()
        assert (await life.outcome()).status is Status.COMPLETED


async def test_all_errors_of_a_group_are_kept() -> None:
    """Two members fail: running attempts finish, no new one starts, and both errors are told."""
    world, gate = World(), asyncio.Event()

    async def wait_and_refuse() -> object:
        await gate.wait()
        raise PermanentError("second")

    world.script["a"] = [PermanentError("first")]
    world.script["b"] = [wait_and_refuse]
    world.script["c"] = [OSError("line down")]
    group = parallel(effect("a"), effect("b"), effect("c", retry=Retry(attempts=5, first=5.0)))
    async with Life([line_of(group, effect("d"))], world) as life:
        await life.start()
        await settle()
        assert await life.status() is Status.COMPENSATING
        assert "c.undo#1" not in world.log, "an attempt still runs, and nothing is undone before it has ended"
        gate.set()
        outcome = await life.outcome()
    assert isinstance(outcome.error, ExceptionGroup)
    texts = [str(error) for error in outcome.error.exceptions]
    assert any("first" in text for text in texts)
    assert any("second" in text for text in texts)
    assert world.log[-1] == "c.undo#1", "the member in doubt is owed"
    assert world.count("c") == 1, "its backoff ended"
    assert world.count("d") == 0


async def test_plain_functions_run_in_a_worker_thread(tmp_path: Path) -> None:
    """A `def` step does not hold the event loop."""
    threads: list[int] = []

    @step
    def pack(order: Order) -> Parcel:
        threads.append(threading.get_ident())
        return Parcel(order.total_cents)

    @pack.compensation
    def unpack() -> None: ...

    saga = line_of(pack)
    async with Coordinator(SqliteStore(tmp_path / "orders.db"), sagas=[saga]) as coordinator:
        outcome = await (await coordinator.start(saga, Order(7), id="1")).outcome()
    assert outcome.result(pack) == Parcel(7)
    assert threads != [threading.get_ident()]


async def test_results_reach_later_steps_and_compensations() -> None:
    """By type; a compensation gets its own action's result."""
    seen: list[object] = []

    @step
    async def pack(order: Order) -> Parcel:
        return Parcel(order.total_cents)

    @pack.compensation
    async def unpack(parcel: Parcel | None) -> None:
        seen.append(("unpack", parcel))

    @step(read_only=True, retry=ONCE)
    async def weigh(parcel: Parcel, ctx: StepContext) -> int:
        seen.append((ctx.saga, ctx.order_id, ctx.step, parcel))
        raise OSError

    async with Life([line_of(pack, weigh)], World()) as life:
        outcome = await life.run(order=Order(3))
    assert seen == [("line", "1", "weigh", Parcel(3)), ("unpack", Parcel(3))]
    assert outcome.status is Status.COMPENSATED


async def test_keys_are_stable_over_retries_and_told_apart_by_direction() -> None:
    """A retry has the same key; a compensation has its own, and the action's."""
    world = World()
    world.script["reserve"] = [OSError()]
    world.script["charge"] = [PermanentError("no")]
    async with Life([shop(TWICE)], world) as life:
        await life.run()
    reserve = [ctx for name, ctx in world.contexts if name == "reserve"]
    (undo,) = [ctx for name, ctx in world.contexts if name == "reserve.undo"]
    assert len(reserve) == 2
    assert len({ctx.key for ctx in reserve}) == 1
    assert reserve[0].key == reserve[0].action_key == undo.action_key != undo.key


async def test_steps_are_shown_as_they_stand() -> None:
    """The status of every step can be seen while the order runs."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        handle = await life.start()
        await settle()
        seen = await handle.status()
        assert dict(seen.steps) == {
            "reserve": StepStatus.SUCCEEDED, "charge": StepStatus.STARTED,
            "ship": StepStatus.PENDING, "confirm": StepStatus.PENDING,
        }  # fmt: skip
        gate.set()


async def test_a_coordinator_may_be_left_in_another_task() -> None:
    """As a fixture does: entered in one task, used in a second, left in a third."""
    world = World()
    life = Life([shop()], world)
    await asyncio.create_task(life.__aenter__())
    assert (await asyncio.create_task(life.run())).status is Status.COMPLETED
    await asyncio.create_task(life.leave())


async def test_an_order_that_is_parked_is_said_in_the_log_once(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody may be watching it, and it waits for ever if need be."""
    world = World()
    world.script["tell"] = [PermanentError("no address")]
    async with Life([line_of(effect("ship", undo=False, pivot=True), effect("tell", undo=False))], world) as life:
        handle = await life.start()
        await life.reach(Status.PARKED)
        assert await handle.retry(9, by="me", why="looked at another") is VerbAnswer.STALE
        said = [one for one in caplog.messages if "waits for a person" in one]
        assert said == ["actor '1' is PARKED and waits for a person: its history says why"]


async def test_a_failure_of_the_engine_shows_on_the_next_call(caplog: pytest.LogCaptureFixture) -> None:
    """And to everybody who waits."""
    world, gate = World(), asyncio.Event()
    world.script["reserve"] = [gate]
    async with Life([shop()], world) as life:
        waiting = asyncio.ensure_future((await life.start()).outcome())

        async def broken(*_: object, **__: object) -> list[int]:
            raise RuntimeError("a bug in the engine")

        life.store.due = broken  # type: ignore[method-assign]
        await life.clock.advance(2)
        with pytest.raises(CoordinatorFailed):
            await waiting
        with pytest.raises(CoordinatorFailed) as caught:
            await life.start("2")
        assert caught.value.__cause__ is not None
        assert not life.coordinator.hosting
    assert "the coordinator has failed" in caplog.text


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_many_orders_at_once_on_the_real_clock(kind: str, tmp_path: Path) -> None:
    """Nothing in this test is simulated but the participants."""

    @step
    async def book(order: Order) -> Parcel:
        return Parcel(order.total_cents)

    booked: list[int] = []

    @book.compensation
    async def unbook(parcel: Parcel | None) -> None:
        assert parcel is not None
        booked.append(parcel.number)

    @step(pivot=True)
    async def ship(parcel: Parcel) -> None:
        if parcel.number % 2:
            raise PermanentError("odd")

    saga = line_of(book, ship)
    store: Store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "orders.db")
    async with Coordinator(store, sagas=[saga]) as coordinator:
        handles = [await coordinator.start(saga, Order(n), id=str(n)) for n in range(50)]
        outcomes = [await handle.outcome(timeout=20) for handle in handles]
        await until(lambda: len(booked) == 25)
    assert [outcome.status is Status.COMPLETED for outcome in outcomes] == [n % 2 == 0 for n in range(50)]
    assert sorted(booked) == list(range(1, 50, 2))


async def test_a_compensation_behind_a_decorator_is_run() -> None:
    """The decorator hides that it is an `async def`; calling it is not enough."""
    undone: list[str] = []

    def traced(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def wrapper(*args: object, **kwargs: object) -> object:
            return function(*args, **kwargs)

        return wrapper

    @step(name="pack")
    async def pack() -> None: ...

    @pack.compensation
    @traced
    async def unpack() -> None:
        undone.append("pack")

    @step(pivot=True)
    async def ship() -> None:
        raise PermanentError

    saga = Saga("packed", input=Order, steps=[pack, ship])
    async with Coordinator(MemoryStore(), sagas=[saga]) as coordinator:
        handle = await coordinator.start(saga, Order(), id="1")
        assert (await handle.outcome(timeout=10)).status is Status.COMPENSATED
    assert ["pack"] == undone


async def test_an_attempt_behind_a_decorator_ends_with_its_timeout() -> None:
    """It is asked to end as any `async def` is, and the next attempt need not wait out the grace."""
    ended: list[float] = []
    life = Life([], World())

    async def ask() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(life.clock.monotonic)

    def hidden() -> Any:
        return ask()

    saga = Saga("s", input=Order, steps=[step(name="ask", read_only=True, timeout=1, retry=ONCE)(hidden)])
    life = Life([saga], World())
    async with life:
        began = life.clock.monotonic
        await life.run()
        assert [one - began for one in ended] == [pytest.approx(1, abs=0.1)]


def behind_a_decorator(log: list[str]) -> Saga[Order]:
    """A charge whose decorator hides that it is an `async def`, and its refund."""

    async def charge() -> None:
        log.append("charge")

    def hidden() -> Any:
        return charge()

    made = step(name="charge", timeout=1, retry=ONCE)(hidden)

    @made.compensation
    async def refund() -> None:
        log.append("refund")

    return Saga("s", input=Order, steps=[made])


async def test_what_a_decorator_returns_after_the_timeout_is_not_begun() -> None:
    """Its compensation may have been acknowledged while the decorator was busy in a thread."""
    log: list[str] = []
    async with Life([behind_a_decorator(log)], World(), options={"overlap_grace": 5}) as life:
        life.runtime.gate = asyncio.Event()
        await life.start()
        assert (await life.outcome()).status is Status.COMPENSATED
        life.runtime.gate.set()
        await settle()
        assert log == ["refund"]
        assert (await life.events())[-1] == "LATE"


async def test_a_call_of_a_kind_of_its_own_is_not_begun_after_the_timeout() -> None:
    """As what a compiled `async def` returns, or a request of a client that goes out when it is awaited."""
    log: list[str] = []

    class Request(Coroutine[Any, Any, None]):
        def __await__(self) -> Any:
            log.append("charge")
            yield from asyncio.sleep(0).__await__()

        def send(self, _value: Any, /) -> Any:
            log.append("charge")

        def throw(self, *_error: Any) -> Any:
            log.append("charge")

        def close(self) -> None:
            pass

    def hidden() -> Any:
        return Request()

    saga = Saga("s", input=Order, steps=[step(name="ask", read_only=True, timeout=1, retry=ONCE)(hidden)])
    async with Life([saga], World()) as life:
        life.runtime.gate = asyncio.Event()
        await life.start()
        await life.clock.advance(2)
        life.runtime.gate.set()
        assert (await life.outcome()).status is Status.COMPENSATED
        assert log == []


async def test_what_a_decorator_returns_to_a_host_that_was_replaced_is_not_begun() -> None:
    """The next host sends it."""
    log: list[str] = []
    async with Life([behind_a_decorator(log)], World()) as life:
        gate = life.runtime.gate = asyncio.Event()
        await life.start()
        await settle()
        async with life.beside(is_gone=certainly_gone):
            await life.clock.advance(2)
            assert not life.coordinator.hosting
            log.clear()
            gate.set()
            await settle()
            assert log == []


async def test_what_a_decorator_returns_behind_a_lapse_of_the_lease_costs_no_attempt() -> None:
    """It was cut off by the host, and not sent: that is no reason to turn back."""
    log: list[str] = []
    async with Life([behind_a_decorator(log)], World()) as life:
        gate = life.runtime.gate = asyncio.Event()
        await life.start()
        await settle()
        life.lapse()
        gate.set()
        await settle()
        assert log == [], "nothing is sent until the lease is certain again"
        assert (await life.outcome()).status is Status.COMPLETED
        assert log == ["charge"]


async def test_what_a_decorator_made_under_way_is_asked_to_end_after_the_timeout() -> None:
    """While the decorator was busy in a thread, nothing could be."""
    ended: list[str] = []

    async def ask() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("ask")

    def hidden() -> Any:
        return asyncio.ensure_future(ask())

    saga = Saga("s", input=Order, steps=[step(name="ask", read_only=True, timeout=1, retry=ONCE)(hidden)])
    async with Life([saga], World()) as life:
        life.runtime.gate = asyncio.Event()
        await life.start()
        await life.clock.advance(2)
        life.runtime.gate.set()
        assert (await life.outcome()).status is Status.COMPENSATED
        assert ended == ["ask"]
        assert (await life.events())[-1] == "LATE"


async def test_a_status_may_be_given_as_its_text() -> None:
    """`Status` is text; its letters are not meant."""
    async with Life([shop()], World()) as life:
        await life.run()
        assert {Status.COMPLETED: 1} == await life.coordinator.count(status="COMPLETED")  # type: ignore[arg-type]


async def test_an_exception_of_any_kind_leaves_the_attempt_in_doubt_at_once() -> None:
    """One that is no `Exception` must not leave the order waiting for a timeout."""

    class Stopped(BaseException):
        pass

    world = World()
    world.script["reserve"] = [Stopped()]
    async with Life([line_of(effect("reserve", retry=TWICE))], world) as life:
        assert (await life.run()).status is Status.COMPLETED
    assert ["reserve#1", "reserve#2"] == world.log


@pytest.mark.parametrize("store", ["sqlite", "memory"])
def test_a_coordinator_that_is_used_in_another_event_loop_says_so(store: str, tmp_path: Path) -> None:
    """As in a test whose fixture has a loop of its own: who waits there would wait for ever."""

    async def never(order: Order) -> None:
        await asyncio.Event().wait()

    saga = line_of(step(name="never", read_only=True)(never))
    made = SqliteStore(tmp_path / "orders.db") if store == "sqlite" else MemoryStore()
    coordinator = Coordinator(made, sagas=[saga], shutdown_grace=0.0)

    async def use(call: Callable[[], Any]) -> None:
        with pytest.raises(WrongLoop):
            await asyncio.wait_for(call(), timeout=5)

    with asyncio.Runner() as own, asyncio.Runner() as other:
        own.run(coordinator.__aenter__())
        order = own.run(coordinator.start(saga, Order(), id="1"))
        with pytest.raises(StoreError):
            other.run(coordinator.__aenter__())
        for call in (
            lambda: coordinator.start(saga, Order(), id="2"),
            coordinator.count,
            lambda: coordinator.purge(older_than=timedelta(0)),
            lambda: order.send(Order()),
            lambda: order.cancel("late", by="alice"),
            order.status,
            order.outcome,
            lambda: coordinator.__aexit__(None, None, None),
        ):
            other.run(use(call))
        assert own.run(coordinator.count()) == {Status.RUNNING: 1}
        own.run(coordinator.__aexit__(None, None, None))
