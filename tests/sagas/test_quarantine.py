"""Damaged bytes and poison: one order stops, visibly, and no other is harmed."""

import asyncio
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest
from attrs import evolve

from atone import (
    AnswerPending,
    Coordinator,
    ParkReason,
    Saga,
    SendAnswer,
    SqliteStore,
    Status,
    StoreError,
    VerbAnswer,
    receive,
    step,
)
from atone.actors import Actor, Intensity, Limits
from atone.sagas.behaviour import OrderBehaviour, OrderState
from atone.sagas.views import OrderStatus
from atone.storage import Phase, Snapshot
from tests.manual_runtime import settle
from tests.sagas.harness import TWICE, Life, later
from tests.sagas.world import Approve, Line, Order, World, effect, line_of, shop, slow_to_end

pytestmark = pytest.mark.anyio


def spoil(life: Life, id: str, body: bytes) -> None:
    """Overwrite an order's snapshot on disk."""
    row = life.disk.rows[life.disk.keys[id]]
    row.record = evolve(row.record, snapshot=evolve(row.record.snapshot, body=body))


async def two_under_way(world: World) -> Life:
    """A process that dies with two orders under way."""
    world.script["charge"] = [asyncio.Event(), asyncio.Event()]
    async with Life([shop()], world) as life:
        await life.start("bad")
        await life.start("good")
        await settle()
        life.die()
    return life


@pytest.mark.parametrize("body", [b"garbage", b"{}", b"[]", b'{"format": 99}', b'{"format": 1, "slots": [7]}'])
async def test_a_snapshot_that_cannot_be_decoded_is_set_aside_untouched(body: bytes) -> None:
    """The order is parked with the reason, its bytes stay as they are, and the others run."""
    world = World()
    life = await two_under_way(world)
    spoil(life, "bad", body)
    async with life.successor() as heir:
        assert (await heir.outcome("good")).status is Status.COMPLETED
        seen = await heir.reach(Status.PARKED, "bad")
        assert seen.park.reason is ParkReason.SNAPSHOT
        assert life.disk.rows[life.disk.keys["bad"]].record.snapshot.body == body
        assert life.disk.rows[life.disk.keys["bad"]].record.quarantine is not None
        assert "QUARANTINED" in [line.entry.event for line in life.disk.history]
    assert world.count("charge") == 3


async def test_a_quarantined_order_is_set_aside_once() -> None:
    """Every further host leaves it alone, and messages are still accepted for it."""
    world = World()
    life = await two_under_way(world)
    spoil(life, "bad", b"garbage")
    revisions = set()
    for _ in range(3):
        life = life.successor()
        async with life:
            await life.clock.advance(5)
            assert await life.coordinator.order("bad").send(Approve()) is SendAnswer.NEVER_EXPECTED
            revisions.add(life.disk.rows[life.disk.keys["bad"]].record.revision)
    assert len(revisions) == 1


async def test_a_message_for_an_order_whose_bytes_cannot_be_read_leaves_it_as_it_was_set_aside() -> None:
    """It is kept until they are mended, and costs no line of history."""
    world = World()
    life = await two_under_way(world)
    spoil(life, "bad", b"garbage")
    async with life.successor() as heir:
        seen = await heir.reach(Status.PARKED, "bad")
        before = life.disk.rows[life.disk.keys["bad"]].record
        asking = later(heir.coordinator.order("bad").cancel("enough", by="eve", timeout=1))
        await heir.clock.advance(2)
        with pytest.raises(AnswerPending):
            await asking
        assert life.disk.rows[life.disk.keys["bad"]].record is before
        assert (await heir.coordinator.order("bad").status()).park == seen.park


async def test_a_wrong_checksum_in_the_file_is_noticed(tmp_path: Path) -> None:
    """A flipped bit in SQLite's file: that order is parked, its bytes untouched, and the others run."""
    path, world = tmp_path / "orders.db", World()
    saga = line_of(effect("reserve"), receive(Approve), effect("charge"))

    class Here:
        alive = True

    def coordinator() -> Coordinator:
        return Coordinator(SqliteStore(path), sagas=[saga], provide=[Line(world, Here())])

    async with coordinator() as first:
        for id in ("bad", "good"):
            handle = await first.start(saga, Order(), id=id)
            while (await handle.status()).status is not Status.WAITING:  # noqa: ASYNC110  # each look is a read
                await asyncio.sleep(0)
    connection = sqlite3.connect(path)
    (body,) = connection.execute("select snapshot from actors where id = 'bad'").fetchone()
    body = body.replace(b'"cursor":', b'"parks":1,"cursor":')
    connection.execute("update actors set snapshot = ? where id = 'bad'", (body,))
    connection.commit()
    async with coordinator() as second:
        for id in ("bad", "good"):
            await second.order(id).send(Approve())
        assert (await second.order("good").outcome(timeout=20)).status is Status.COMPLETED
        while (seen := await second.order("bad").status()).status is not Status.PARKED:  # noqa: ASYNC110  # the same
            await asyncio.sleep(0)
        assert seen.park is not None
        assert seen.park.reason is ParkReason.SNAPSHOT
    assert connection.execute("select snapshot from actors where id = 'bad'").fetchone() == (body,)
    connection.close()


#: The first crash is one too many.
TOUCHY = Limits(poll=0.5, scan=1.0, intensity=Intensity(intensity=0))


class Poison:
    """Makes the actor of one order raise whenever it is to be encoded."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, id: str) -> None:
        self.id: str | None = id
        self.crashes = 0
        encode = OrderBehaviour.encode

        def poisoned(behaviour: OrderBehaviour, state: object) -> Snapshot:
            if getattr(state, "id", None) == self.id and getattr(state, "progress").slots[0].sent[0]:  # noqa: B009
                self.crashes += 1
                raise ZeroDivisionError("a bug in the actor")
            return encode(behaviour, state)  # type: ignore[arg-type]

        monkeypatch.setattr(OrderBehaviour, "encode", poisoned)


async def test_an_actor_that_keeps_crashing_is_parked_and_touches_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More than `intensity` exceptions within `period`: CRASH_LOOP; an operator's retry lets it go on."""
    world = World()
    limits = Limits(poll=0.5, scan=1.0, intensity=Intensity(intensity=3, period=60))
    async with Life([shop()], world, options={"host": False}) as script:
        await script.start("bad")
        await script.start("good")
    poison = Poison(monkeypatch, "bad")
    async with script.beside(host=True, limits=limits) as host:
        assert (await host.outcome("good")).status is Status.COMPLETED
        await host.clock.advance_until(lambda: poison.crashes >= 4)
        await host.clock.advance(30)
        assert poison.crashes == 4, "it is not tried again by itself"
        assert (await host.run("another")).status is Status.COMPLETED
        seen = await host.coordinator.order("bad").status()
        assert seen.status is Status.PARKED
        assert seen.park is not None
        assert seen.park.reason is ParkReason.CRASH_LOOP
        assert "ZeroDivisionError" in str(seen.park.error)
        poison.id = None
        answer = await host.coordinator.order("bad").retry(seen.park.number, by="eve", why="fixed")
        assert answer is VerbAnswer.ACCEPTED
        assert (await host.outcome("bad")).status is Status.COMPLETED


async def quarantined(life: Life, poison: Poison) -> OrderStatus:
    """An order that was set aside, and whose fault was mended since; what an operator sees of it."""
    seen: OrderStatus = await life.reach(Status.PARKED)
    await life.clock.advance(5)
    poison.id = None
    assert seen.park is not None
    assert seen.park.reason is ParkReason.CRASH_LOOP
    return seen


async def test_an_order_just_set_aside_may_be_abandoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it runs any more: its attempt was cut off when it was set aside."""
    world = World()
    world.script["charge"] = [asyncio.Event()]
    async with Life([shop()], world, options={"limits": TOUCHY}) as life:
        handle = await life.start()
        await settle()
        poison = Poison(monkeypatch, "1")
        asking = later(handle.suspend(by="eve", why="it hangs"))
        seen = await quarantined(life, poison)
        asking.cancel()
        assert world.running == []
        assert seen.park is not None
        answer = await handle.abandon(seen.park.number, by="eve", why="written off")
        assert answer is VerbAnswer.ACCEPTED
        assert (await life.outcome()).status is Status.ABANDONED


async def test_an_order_set_aside_waits_no_longer_than_the_grace_for_a_thread_that_hangs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its timeout made the actor crash once too often, and is not forgotten: the thread may hang for ever."""
    calls = []

    @step(pivot=True, timeout=5, retry=TWICE)
    def charge(order: Order) -> None:
        calls.append("charge")

    options = {"limits": TOUCHY, "overlap_grace": 60.0}
    async with Life([Saga("s", input=Order, steps=[charge])], World(), options=options) as life:
        gate = life.runtime.gate = asyncio.Event()
        handle = await life.start()
        await settle()
        poison = Poison(monkeypatch, "1")
        seen = await quarantined(life, poison)
        assert seen.park is not None
        assert await handle.retry(seen.park.number, by="eve", why="mended") is VerbAnswer.ACCEPTED
        await life.clock.advance(30)
        assert calls == ["charge"], "nothing is sent beside the thread"
        await life.clock.advance_until(lambda: len(calls) == 2, limit=30)
        gate.set()
        assert (await life.outcome()).status is Status.COMPLETED


async def test_an_order_set_aside_at_the_news_that_its_next_attempt_goes_beside_another_sends_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That attempt is cut off by its own news, and has not begun."""
    world, closing = World(), asyncio.Event()
    world.script["charge"] = [slow_to_end(closing)]
    options = {"limits": TOUCHY, "overlap_grace": 10.0}
    async with Life([line_of(effect("charge"))], world, options=options) as life:
        await life.start()
        await settle()
        life.lapse()
        await life.clock.advance(5)
        poison = Poison(monkeypatch, "1")
        await life.reach(Status.PARKED)
        assert poison.crashes == 1
        assert world.log == ["charge#1"]
        poison.id = None
        closing.set()


async def test_an_order_that_has_ended_is_not_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt outlives it, and its actor crashes once too often at the news of that: its end stands."""
    world, closing = World(), asyncio.Event()
    world.script["charge"] = [slow_to_end(closing)]
    saga = line_of(effect("charge", undo=False, pivot=True, timeout=1.0))
    async with Life([saga], world, options={"limits": TOUCHY, "overlap_grace": 1.0}) as life:
        handle = await life.start()
        await life.reach(Status.COMPLETED)
        poison = Poison(monkeypatch, "1")
        closing.set()
        await life.clock.advance(5)
        assert poison.crashes == 1
        poison.id = None
        assert (await handle.status()).status is Status.COMPLETED
        assert (await handle.outcome(timeout=0)).status is Status.COMPLETED


async def test_who_waits_is_told_of_an_end_whose_news_raised() -> None:
    """The end is on disk, and nothing is kept of an actor that will not be taken up again."""
    async with Life([shop()], World()) as life:
        handle = await life.start()
        supervisor = life.coordinator._access.supervisor
        assert supervisor is not None
        publish = supervisor.on_commit

        def raises(actor: Actor[OrderState], answers: tuple[tuple[int, str], ...]) -> None:
            if actor.snapshot.phase is Phase.FINAL:
                raise ZeroDivisionError
            publish(actor, answers)

        supervisor.on_commit = raises
        waiting = later(handle.outcome())
        await settle()
        assert waiting.done()
        assert (await waiting).status is Status.COMPLETED
        assert supervisor.actors == {}


async def test_an_order_set_aside_before_it_was_begun_is_begun_by_a_retry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Like any other: its deadline holds as well."""
    world = World()
    world.script["charge"] = [asyncio.Event()]
    saga = shop(deadline=timedelta(seconds=10))
    async with Life([saga], world, options={"host": False}) as script:
        handle = await script.start()
    poison = Poison(monkeypatch, "1")
    async with Life([saga], world, script.disk, script.clock, {"limits": TOUCHY}) as life:
        seen = await quarantined(life, poison)
        assert seen.park is not None
        handle = life.coordinator.order("1")
        assert await handle.retry(seen.park.number, by="eve", why="mended") is VerbAnswer.ACCEPTED
        await settle()
        assert "BEGUN" in await life.events()
        await life.clock.advance(11)
        assert "DEADLINE" in await life.events()


async def test_an_actor_that_crashes_now_and_then_is_restarted() -> None:
    """With its memory dropped, from its snapshot: fewer crashes than the intensity cost nothing."""
    world = World()
    with pytest.MonkeyPatch.context() as patch:
        async with Life([shop()], world, options={"host": False}) as script:
            await script.start("bad")
        poison = Poison(patch, "bad")
        async with script.beside(host=True) as host:
            await host.clock.advance_until(lambda: poison.crashes == 2)
            poison.id = None
            assert (await host.outcome("bad")).status is Status.COMPLETED
    assert world.log == ["reserve#1", "charge#1", "ship#1", "confirm#1"]


async def test_a_newer_schema_is_refused_politely(tmp_path: Path) -> None:
    """Nothing of the file is touched."""
    path = tmp_path / "orders.db"
    async with Coordinator(SqliteStore(path), sagas=[]):
        pass
    connection = sqlite3.connect(path)
    (version,) = connection.execute("pragma user_version").fetchone()
    connection.execute(f"pragma user_version = {version + 1}")
    connection.commit()
    connection.close()
    with pytest.raises(StoreError, match="newer release"):
        await Coordinator(SqliteStore(path), sagas=[]).__aenter__()


async def test_a_status_or_time_that_is_none_hides_no_other_order() -> None:
    """Whoever lists or counts sees the damaged order as parked, and its neighbours as they are."""
    life = await two_under_way(World())
    row = life.disk.rows[life.disk.keys["bad"]]
    row.record = evolve(row.record, snapshot=evolve(row.record.snapshot, status="RUBBISH"), created_at=1e300)
    async with life.beside(host=False) as reader:
        seen = {one.id: one.status async for one in reader.coordinator.orders()}
        assert seen == {"bad": Status.PARKED, "good": Status.RUNNING}
        assert await reader.coordinator.count() == {Status.PARKED: 1, Status.RUNNING: 1}
