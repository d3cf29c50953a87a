"""Starting, restarting, passivating and quarantining: one for one, level-triggered, bounded."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from attrs import evolve

from atone import StoreError, StoreUnavailable
from atone.actors import Intensity, Limits
from atone.storage import Phase, Quarantine, StoreBusy, WriteRefused
from tests.actors.counter import Count, Crash, Shop
from tests.manual_runtime import settle

pytestmark = pytest.mark.anyio


async def test_actors_created_elsewhere_are_begun() -> None:
    """The scan finds what should be running and is not."""
    async with Shop() as shop:
        await shop.create("a")
        await shop.clock.advance(2)
        assert shop.events("a") == ["BEGUN", "SHOWN"]


async def test_a_message_of_another_process_wakes_its_actor() -> None:
    """In memory or not."""
    async with Shop() as shop:
        await shop.begin("passive")
        await shop.begin("live")
        await shop.send("live", "sleep", b"3")
        assert list(shop.supervisor.actors) == [2]
        for id in ("passive", "live"):
            await shop.send(id, "add", b"5", tell=False)
        await shop.clock.advance(1)
        assert [shop.state(id).total for id in ("passive", "live")] == [5, 5]


async def test_a_failed_scan_is_repeated() -> None:
    """Nothing is lost when the store could not be read for a while."""
    async with Shop() as shop:
        await shop.create("a")
        shop.store.sick = shop.store.broken = True
        await shop.clock.advance(10)
        assert shop.events("a") == []
        shop.store.sick = shop.store.broken = False
        await shop.clock.advance(5)
        assert shop.events("a") == ["BEGUN", "SHOWN"]


@pytest.mark.parametrize("method", ["load", "active", "due", "unread", "unbegun", "messages", "foreign"])
async def test_any_read_may_fail_once(method: str) -> None:
    """The next look makes up for it."""
    async with Shop() as shop:
        await shop.begin("sleeps")
        await shop.send("sleeps", "sleep", b"8")
        await shop.begin("live")
        await shop.send("live", "sleep", b"3")
        read, failures = getattr(shop.store, method), [StoreUnavailable("once"), StoreUnavailable("twice")]

        async def failing(*args: object, **kwargs: object) -> object:
            if failures:
                raise failures.pop()
            return await read(*args, **kwargs)

        setattr(shop.store, method, failing)
        await shop.create("new")
        await shop.send("live", "add", tell=False)
        await shop.clock.advance(20)
        assert shop.events("new") == ["BEGUN", "SHOWN"]
        assert shop.state("live").total == 1
        assert "RANG" in shop.events("sleeps")
        assert "RANG" in shop.events("live")


async def test_waiting_actors_are_not_in_memory() -> None:
    """Unless they wake soon; the timers of the others are on disk and fire in time."""
    async with Shop() as shop:
        await shop.begin("idle")
        await shop.begin("soon")
        await shop.send("soon", "sleep", b"3")
        await shop.begin("late")
        await shop.send("late", "sleep", b"60")
        assert [actor.id for actor in shop.supervisor.actors.values()] == ["soon"]
        await shop.clock.advance(4)
        assert "RANG" in shop.events("soon")
        await shop.clock.advance(50)
        assert "RANG" not in shop.events("late")
        await shop.clock.advance(8)
        assert "RANG" in shop.events("late")
        assert shop.supervisor.actors == {}


async def test_work_under_way_is_resumed_by_the_next_host() -> None:
    """Which is told whether the one before died."""
    shop = await Shop().open()
    shop.wall.at_once = False
    await shop.begin("a")
    shop.die()
    async with shop.successor() as heir:
        await heir.clock.advance(2)
        assert heir.events("a") == ["BEGUN", "RESUMED", "SHOWN"]
        assert heir.wall.shown == [(1, 0)]


async def test_recovery_is_bounded_and_lazy() -> None:
    """Few at a time, page by page; new actors find room at once; all are recovered in the end."""
    shop = await Shop(limits=Limits(poll=0.5, scan=1.0, recovering=10, page=4)).open()
    shop.wall.at_once = False
    for number in range(100):
        await shop.begin(str(number))
    shop.die()
    heir = shop.successor()
    heir.wall.at_once = False
    async with heir:
        most = 0
        await heir.clock.advance(3)
        most = len(heir.supervisor.actors)
        assert 0 < most <= 10 + 4 + 6, "a page beyond the mark, and one more at each of six looks"
        heir.wall.at_once = True
        await heir.begin("new")
        assert heir.events("new") == ["BEGUN", "SHOWN"]
        for key, effects in heir.wall.running.items():
            for effect in list(effects):
                heir.wall.end(key, effect)  # type: ignore[arg-type]
        await heir.clock.advance(60)
        assert all(not heir.state(str(number)).showing for number in range(100))


async def test_the_window_holds_new_actors_back() -> None:
    """What does not fit waits on disk for its turn."""
    shop = Shop(limits=Limits(poll=0.5, scan=1.0, window=5, recovering=5))
    shop.wall.at_once = False
    async with shop:
        for number in range(20):
            await shop.create(str(number))
        await shop.clock.advance(5)
        assert len(shop.supervisor.actors) <= 5
        shop.wall.at_once = True
        for key, effects in list(shop.wall.running.items()):
            for effect in list(effects):
                shop.wall.end(key, effect)  # type: ignore[arg-type]
        await shop.clock.advance(30)
        assert all(shop.events(str(number)) == ["BEGUN", "SHOWN"] for number in range(20))


async def test_frail_actors_come_last_and_one_at_a_time() -> None:
    """Those that the process kept dying with."""
    shop = await Shop().open()
    shop.wall.at_once = False
    for id in ("frail-1", "sound", "frail-2"):
        await shop.begin(id)
    shop.die()
    for id in ("frail-1", "frail-2"):
        row = shop.disk.rows[shop.disk.keys[id]]
        state = shop.behaviour.encode(Count(showing=True, deaths=3))
        row.record = evolve(row.record, snapshot=state)
    heir = shop.successor()
    heir.wall.at_once = False
    async with heir:
        await heir.clock.advance(5)
        assert [key for key, _ in heir.wall.shown] == [2, 1]
        (effect,) = heir.wall.alive(1)
        heir.wall.end(1, effect)  # type: ignore[arg-type]
        await heir.clock.advance(5)
        assert [key for key, _ in heir.wall.shown] == [2, 1, 3]


async def test_a_poison_actor_is_quarantined_and_touches_no_other() -> None:
    """More crashes than the intensity: stopped visibly, its bytes as they were."""
    shop = Shop(limits=Limits(poll=0.5, scan=1.0, intensity=Intensity(intensity=3, period=60)))
    async with shop:
        shop.wall.at_once = False
        key = await shop.begin("poison")
        other = await shop.begin("other")
        body = shop.record("poison").snapshot.body
        shop.behaviour.poison = {"0"}
        shop.supervisor.post(key, Crash())
        await shop.clock.advance(30)
        record = shop.record("poison")
        assert shop.behaviour.decided.count("resumed") == 3, "three restarts, and no more"
        assert (record.snapshot.status, record.snapshot.phase) == ("PARKED", Phase.IDLE)
        assert record.quarantine == "ZeroDivisionError: poison"
        assert record.snapshot.body == body
        assert shop.events("poison")[-1] == "QUARANTINED"
        assert other in shop.supervisor.actors
        (effect,) = shop.wall.alive(other)
        shop.wall.end(other, effect)  # type: ignore[arg-type]
        await settle()
        assert shop.events("other") == ["BEGUN", "SHOWN"]


async def test_a_quarantined_actor_is_left_alone_until_a_message_comes() -> None:
    """Also by the next host; it may be better by then."""
    shop = await Shop(limits=Limits(poll=0.5, scan=1.0, intensity=Intensity(intensity=1))).open()
    shop.wall.at_once = False
    key = await shop.begin("a")
    shop.behaviour.poison = {"0"}
    shop.supervisor.post(key, Crash())
    await shop.clock.advance(10)
    revision = shop.record("a").revision
    assert shop.record("a").quarantine is not None
    shop.die()
    async with shop.successor() as heir:
        await heir.clock.advance(10)
        assert heir.record("a").revision == revision
        heir.behaviour.poison = set()
        await heir.send("a", "add", b"2")
        await heir.clock.advance(1)
        assert heir.state("a").total == 2
        assert heir.record("a").quarantine is None


async def test_damaged_bytes_are_quarantined_untouched() -> None:
    """And only that actor."""
    shop = await Shop().open()
    shop.wall.at_once = False
    await shop.begin("bad")
    await shop.begin("good")
    shop.die()
    row = shop.disk.rows[1]
    row.record = evolve(row.record, snapshot=evolve(row.record.snapshot, body=b"\x00rubbish"))
    async with shop.successor() as heir:
        await heir.clock.advance(3)
        assert heir.record("bad").snapshot.body == b"\x00rubbish"
        assert heir.record("bad").quarantine == "no counter"
        assert heir.events("good")[-1] == "SHOWN"
        revision = heir.record("bad").revision
        await heir.clock.advance(30)
        assert heir.record("bad").revision == revision, "set aside once"


#: The first crash is one too many.
TOUCHY = Limits(poll=0.5, scan=1.0, intensity=Intensity(intensity=0))


@pytest.mark.parametrize("error", [StoreBusy("a", "b", 5), WriteRefused("a", "odd")])
async def test_an_actor_that_could_not_be_set_aside_is_set_aside_later(error: StoreError) -> None:
    """Also one that waits, for which no scan would look; what was sent to it is not forgotten."""
    async with Shop(limits=TOUCHY) as shop:
        await shop.begin("a")
        shop.behaviour.burst, failures = RecursionError("too deep"), [error, error]

        def failing(write: Any, done: Callable[[Any], None]) -> None:
            if isinstance(write, Quarantine) and failures:
                asyncio.get_running_loop().call_soon(done, failures.pop())
            else:
                shop.store.submit(write, done)

        shop.supervisor.submit = failing
        mail = await shop.send("a", "burst")
        await shop.clock.advance(1.5)
        assert failures == [], "the message was looked at twice, by its sender and by a scan"
        await shop.clock.advance(3)
        assert shop.record("a").quarantine == "RecursionError: too deep"
        assert shop.events("a").count("QUARANTINED") == 1
        shop.behaviour.burst = None
        await shop.send("a", "add")
        await shop.clock.advance(1)
        assert shop.disk.mails[mail].answer == "TAKEN"
        assert shop.state("a").total == 2


async def test_a_host_that_was_replaced_learns_it_from_what_it_sets_aside() -> None:
    """Like from any other write."""
    async with Shop(limits=TOUCHY) as shop:
        await shop.begin("a")
        shop.behaviour.burst = RecursionError("too deep")
        other = await Shop(shop.disk, shop.clock).open()
        await shop.send("a", "burst")
        assert shop.supervisor.lost.is_set()
        other.die()


class Unspeakable(RecursionError):
    def __str__(self) -> str:
        raise ZeroDivisionError


async def test_a_creation_that_is_refused_harms_nobody_else() -> None:
    """The row was at fault, and the store is well."""
    async with Shop() as shop:
        shop.wall.at_once = False
        key = await shop.begin("a")
        submit = shop.supervisor.submit

        def refuse(_write: object, done: Callable[[Any], None]) -> None:
            asyncio.get_running_loop().call_soon(done, WriteRefused("a", "odd"))

        shop.supervisor.submit = refuse
        with pytest.raises(WriteRefused):
            await shop.begin("b")
        shop.supervisor.submit = submit
        assert not shop.supervisor.sick.is_set()
        assert list(shop.supervisor.actors) == [key]


async def test_who_watches_is_told_that_an_actor_was_set_aside() -> None:
    """No commit of its own will tell."""
    told = []
    async with Shop(limits=Limits(poll=0.5, scan=1.0, intensity=Intensity(intensity=0))) as shop:
        key = await shop.begin("a")
        await shop.send("a", "sleep", b"3")
        shop.supervisor.look_again = lambda: told.append(shop.record("a").snapshot.status)
        shop.supervisor.post(key, Crash())
        await settle()
        assert told == ["PARKED"]


@pytest.mark.parametrize(
    ("error", "told"),
    [(Unspeakable(), "Unspeakable"), (RecursionError("\ud800"), "RecursionError: \\ud800")],
)
async def test_what_cannot_be_told_in_words_is_set_aside_all_the_same(error: Exception, told: str) -> None:
    """An exception that cannot be shown, and one whose text no store takes."""
    async with Shop(limits=TOUCHY) as shop:
        await shop.begin("a")
        shop.behaviour.burst = error
        await shop.send("a", "burst")
        await shop.clock.advance(3)
        assert shop.record("a").quarantine == told


async def test_a_draining_host_records_what_ends() -> None:
    """And loads nothing any more."""
    async with Shop() as shop:
        shop.wall.at_once = False
        key = await shop.begin("a")
        shop.supervisor.drain()
        await shop.create("new")
        (effect,) = shop.wall.alive(key)
        shop.wall.end(key, effect)  # type: ignore[arg-type]
        await shop.clock.advance(5)
        assert shop.events("a") == ["BEGUN", "SHOWN"]
        assert shop.events("new") == []
