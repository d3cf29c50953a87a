"""What looks for work on disk: whatever was overlooked, or could not be read, is found by a later look."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import count, islice
from typing import Any

import pytest
from attrs import evolve

from atone import StoreUnavailable
from atone.actors import Call, Intensity, Limits
from atone.storage import Accept, Create, Created, Definition, Lane, Message, Phase, Record, Snapshot
from tests.actors.counter import KIND, Count, Crash, Shop, Show
from tests.manual_runtime import settle

pytestmark = pytest.mark.anyio

OTHER = Definition("other", 1, "f")
#: Few at a time, so that a few strangers fill a page.
NARROW = Limits(poll=0.5, scan=1.0, page=4)
#: A store in trouble is opened again after 25 seconds, and nothing is looked for before 100.
SELDOM = Limits(poll=100.0, scan=100.0)


def sleeper(shop: Shop, id: str, wake_at: float, definition: Definition = KIND) -> None:
    """An actor on disk that waits for its timer."""
    state = {"total": 0, "showing": False, "wake_at": wake_at, "ended": False, "deaths": 0}
    body = repr(state).replace("'", '"').replace("False", "false").encode()
    snapshot, now = Snapshot("IDLE", Phase.IDLE, body, wake_at), shop.clock.wall
    shop.disk.apply(Create(id, definition, b"", now, snapshot, (), revision=1, epoch=shop.disk.lease.epoch))


def newcomer(shop: Shop, id: str, definition: Definition = KIND) -> None:
    """An actor that another process has created, and no host has begun."""
    shop.disk.apply(Create(id, definition, b"", shop.clock.wall, Snapshot("NEW", Phase.ACTIVE, b""), ()))


async def test_strangers_do_not_starve_timers_behind_them() -> None:
    """More than a page of actors without definition, all of them due for longer than the one that can be woken."""
    async with Shop(limits=NARROW) as shop:
        for number in range(20):
            sleeper(shop, f"stranger-{number}", shop.clock.wall - 100, OTHER)
        sleeper(shop, "ours", shop.clock.wall + 30)
        await shop.clock.advance(40)
        assert shop.events("ours") == ["RANG"]


async def test_strangers_do_not_starve_new_actors_behind_them() -> None:
    """One that comes when the strangers are known is begun at the next look, and not when a scan has passed them."""
    async with Shop(limits=NARROW) as shop:
        for number in range(40):
            newcomer(shop, f"stranger-{number}", OTHER)
        await shop.clock.advance(60)
        newcomer(shop, "ours")
        await shop.clock.advance(1.5)
        assert shop.events("ours") == ["BEGUN", "SHOWN"]


async def test_a_message_that_is_read_while_its_actor_is_let_go_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was noticed once, and nobody will notice it again."""
    async with Shop() as shop:
        shop.wall.at_once = False
        key = await shop.begin("a")
        read, gate = shop.store.messages, asyncio.Event()

        async def slowly(key: int) -> tuple[Message, ...]:
            found = await read(key)
            await gate.wait()
            return found

        monkeypatch.setattr(shop.store, "messages", slowly)
        await shop.send("a", "add", b"1", tell=False)
        await shop.clock.advance(1)
        shop.wall.end(key, Show(0))
        await settle()
        assert key not in shop.supervisor.actors
        gate.set()
        await shop.clock.advance(2)
        assert shop.state("a").total == 1


async def test_a_message_that_comes_while_a_creation_is_in_flight_is_not_swallowed() -> None:
    """The actor is on disk, its host has not been told yet, and a scan has found the message already."""
    async with Shop() as shop:
        told: list[Callable[[], None]] = []

        def late(write: Any, done: Callable[[Any], None]) -> None:
            if isinstance(write, Create):
                shop.store.submit(write, lambda result: told.append(lambda: done(result)))
            else:
                shop.store.submit(write, done)

        shop.supervisor.submit = late
        beginning = asyncio.ensure_future(shop.begin("a"))
        await settle()
        await shop.send("a", "add", b"5", tell=False)
        await shop.clock.advance(3)
        assert shop.supervisor.actors == {}, "nobody takes it up while it is being created"
        told.pop()()
        await beginning
        assert shop.state("a").total == 5


@pytest.mark.parametrize("method", ["load", "active", "due", "unread", "unbegun", "foreign"])
async def test_a_store_that_cannot_be_read_is_opened_again(method: str) -> None:
    """Although every write works: a connection that only reads may be broken for good."""
    async with Shop() as shop:
        shop.wall.at_once = False
        live = await shop.begin("live")
        read, recover = getattr(shop.store, method), shop.store.recover
        opened: list[bool] = []

        async def failing(*args: object, **kwargs: object) -> object:
            if not opened:
                raise StoreUnavailable("this connection is dead")
            return await read(*args, **kwargs)

        async def reopen() -> None:
            opened.append(True)
            await recover()

        setattr(shop.store, method, failing)
        setattr(shop.store, "recover", reopen)  # noqa: B010  # as the line before
        newcomer(shop, "new")
        await shop.clock.advance(10)
        assert opened == [True]
        assert shop.events("new") == ["BEGUN"]
        assert live in shop.supervisor.actors
        assert shop.events("live") == ["BEGUN"], "nothing that runs is disturbed"


async def test_a_store_that_cannot_be_opened_again_is_sick() -> None:
    """Then nothing begins until it works."""
    async with Shop() as shop:
        shop.store.sick = shop.store.broken = True
        await shop.clock.advance(3)
        assert shop.supervisor.sick.is_set()
        shop.store.sick = shop.store.broken = False
        await shop.clock.advance(3)
        assert not shop.supervisor.sick.is_set()


async def test_a_scan_leaves_an_actor_alone_until_its_pause_is_over() -> None:
    """However often it is found on disk, and whatever comes for it meanwhile."""
    async with Shop(limits=Limits(poll=0.5, scan=1.0, intensity=Intensity(first=8.0, longest=8.0))) as shop:
        shop.wall.at_once = False
        key = await shop.begin("a")
        shop.supervisor.post(key, Crash())
        await shop.send("a", "add", b"2")
        await shop.clock.advance(7.5)
        assert shop.behaviour.decided == []
        await shop.clock.advance(1)
        assert shop.behaviour.decided == ["add 2", "resumed"]


async def test_the_next_frail_actor_has_its_turn_when_the_one_before_has_stood_its_test() -> None:
    """Although that one is still in memory."""
    shop = await Shop().open()
    shop.wall.at_once = False
    for id in ("first", "second"):
        await shop.begin(id)
    shop.die()
    for row in shop.disk.rows.values():
        row.record = evolve(row.record, snapshot=shop.behaviour.encode(Count(showing=True, deaths=3)))
    heir = shop.successor()
    heir.wall.at_once = False
    async with heir:
        await heir.clock.advance(2)
        await heir.send("first", "sleep", b"4")
        assert [key for key, _ in heir.wall.shown] == [1]
        heir.wall.end(1, Show(0))
        await heir.clock.advance(2)
        assert 1 in heir.supervisor.actors
        assert [key for key, _ in heir.wall.shown] == [1, 2]


async def test_small_pages_bring_everybody_back() -> None:
    """Recovery that slows down, since there are many in memory, still goes on."""
    limits = Limits(poll=0.5, scan=1.0, page=4, window=8, recovering=2)
    shop = await Shop(limits=limits).open()
    shop.wall.at_once = False
    for number in range(7):
        await shop.begin(f"order-{number}")
    shop.die()
    heir = shop.successor()
    heir.wall.at_once = False
    async with heir:
        await heir.clock.advance(20)
        assert len(heir.wall.shown) == 7


async def test_a_place_that_a_creation_does_not_take_is_given_to_who_waits() -> None:
    """Nobody who waits for it would be told otherwise, as long as those in memory are busy."""
    async with Shop(limits=Limits(poll=0.5, scan=1.0, window=2, reserve=1, page=4)) as shop:
        await shop.begin("taken")
        await shop.begin("busy")
        shop.wall.at_once = False
        write = Create("new", KIND, b"", shop.clock.wall, Snapshot("NEW", Phase.ACTIVE, b""), ())
        new = await shop.store.write(write)
        assert isinstance(new, Created)
        accepted = shop.disk.apply(Accept("busy", "m", Lane.DATA, "add", b"1", shop.clock.wall, 9))
        again = asyncio.ensure_future(shop.begin("taken"))
        await asyncio.sleep(0)
        shop.supervisor.notice(accepted.key, accepted.seq, Lane.DATA)
        shop.supervisor.wake(new.key, Call.WORK)
        with pytest.raises(AssertionError):
            await again
        await shop.clock.advance(5)
        assert shop.events("new") == ["BEGUN"]


async def test_timers_are_not_looked_for_while_a_page_of_them_stands_in_line() -> None:
    """Beside a full window all that are due would be read again at every look; each has its turn all the same."""
    async with Shop(limits=Limits(poll=0.5, scan=1.0, window=1, reserve=1, page=2)) as shop:
        shop.wall.at_once = False
        busy = [await shop.begin("busy"), await shop.begin("busy too")]
        for number in range(9):
            sleeper(shop, f"s{number}", shop.clock.wall - 100)
        looks, due = [], shop.store.due

        async def counting(now: float, limit: int) -> list[int]:
            looks.append(limit)
            return await due(now, limit)

        shop.store.due = counting  # type: ignore[method-assign]
        await shop.clock.advance(30)
        assert len(looks) == 1
        for key in busy:
            shop.wall.end(key, Show(0))
        await shop.clock.advance(30)
        assert all(shop.events(f"s{number}") == ["RANG"] for number in range(9))


async def test_requests_that_could_not_be_read_come_first_when_they_can() -> None:
    """Trouble with the disk does not put a cancel behind whatever comes meanwhile."""
    async with Shop(limits=Limits(poll=0.5, scan=1.0, page=2)) as shop:
        read, failures = shop.store.load, [StoreUnavailable("this connection is dead")]
        asked: list[list[int]] = []

        async def failing(keys: Sequence[int]) -> list[Record]:
            asked.append(list(keys))
            if failures:
                shop.supervisor.wake(4, Call.NEWS)
                raise failures.pop()
            return await read(keys)

        shop.store.load = failing  # type: ignore[method-assign]
        for number in range(6):
            newcomer(shop, f"n{number}")
        shop.supervisor.wake(1, Call.WORK)
        shop.supervisor.wake(5, Call.REQUEST)
        await shop.clock.advance(5)
        assert asked[:2] == [[5, 1], [5, 4]]


async def test_messages_of_more_actors_than_the_window_holds_wait_on_disk() -> None:
    """A million of them take no memory; each is received in its turn, and requests go first."""
    async with Shop(limits=Limits(poll=0.5, scan=1.0, window=3, reserve=1, page=2)) as shop:
        shop.wall.at_once = False
        busy = [await shop.begin(f"busy{number}") for number in range(4)]
        for number in range(11):
            sleeper(shop, f"s{number}", shop.clock.wall + 9999)
            await shop.send(f"s{number}", "sleep", b"9999", tell=False)
        await shop.clock.advance(5)
        assert len(shop.supervisor.wanted) <= 3 + 2
        sleeper(shop, "cancelled", shop.clock.wall + 9999)
        await shop.send("cancelled", "sleep", b"9999", Lane.CONTROL, tell=False)
        await shop.clock.advance(5)
        assert shop.events("cancelled") == ["SLEEPS"]
        for key in busy:
            shop.wall.end(key, Show(0))
        await shop.clock.advance(30)
        assert all(shop.events(f"s{number}") == ["SLEEPS"] for number in range(11))


async def test_what_was_read_while_a_write_failed_is_read_again() -> None:
    """It may be older than that write; nothing is moved on until the store is known to be well."""
    async with Shop() as shop:
        read, slow, asked = shop.store.load, asyncio.Event(), list[list[int]]()

        async def slowly(keys: Sequence[int]) -> list[Record]:
            asked.append(list(keys))
            found = await read(keys)
            await slow.wait()
            return found

        shop.store.load = slowly  # type: ignore[method-assign]
        newcomer(shop, "new")
        await shop.clock.advance(1.1)
        assert asked == [[1]]
        shop.supervisor.unknown(StoreUnavailable("the disk was full"))
        slow.set()
        await settle()
        assert shop.supervisor.actors == {}
        assert shop.events("new") == [], "nothing was begun"
        await shop.clock.advance(5)
        assert asked == [[1], [1]]
        assert shop.events("new") == ["BEGUN", "SHOWN"]


async def test_a_flood_of_messages_does_not_keep_timers_from_being_looked_for() -> None:
    """They stand in the same line, each in its turn."""
    async with Shop(limits=Limits(poll=0.5, scan=1.0, window=20, reserve=20, page=2)) as shop:
        read, sent = shop.store.load, count(1)

        async def slowly(keys: Sequence[int]) -> list[Record]:
            await shop.runtime.sleep(1.0)
            return await read(keys)

        async def flood(messages: int) -> None:
            for number in islice(sent, messages):
                sleeper(shop, f"s{number}", shop.clock.wall + 9999)
                await shop.send(f"s{number}", "sleep", b"9999", tell=False)

        shop.store.load = slowly  # type: ignore[method-assign]
        await flood(12)
        sleeper(shop, "late", shop.clock.wall + 3)
        for _ in range(60):
            await flood(2)
            await shop.clock.advance(1)
        assert shop.events("late") == ["RANG"]


async def test_a_cancel_that_is_noticed_during_a_read_that_fails_goes_first() -> None:
    """It is wanted as a request from then on, whatever it was read for."""
    async with Shop(limits=Limits(poll=0.5, scan=1.0, page=1)) as shop:
        read, failures = shop.store.load, [StoreUnavailable("this connection is dead")]
        asked: list[list[int]] = []

        async def failing(keys: Sequence[int]) -> list[Record]:
            asked.append(list(keys))
            if failures:
                shop.supervisor.notice(1, 7, Lane.CONTROL)
                shop.supervisor.wake(2, Call.NEWS)
                raise failures.pop()
            return await read(keys)

        shop.store.load = failing  # type: ignore[method-assign]
        for number in range(3):
            newcomer(shop, f"n{number}")
        shop.supervisor.wake(1, Call.WORK)
        await shop.clock.advance(5)
        assert asked[:2] == [[1], [1]]


async def test_a_message_in_memory_that_the_trouble_has_taken_is_noticed_again() -> None:
    """A scan had passed it while its commit was on its way; the actor is idle, and nothing else would call it."""
    async with Shop() as shop:
        key = await shop.begin("a")
        held: list[Callable[[Any], None]] = []
        submit = shop.supervisor.submit
        shop.supervisor.submit = lambda _write, done: held.append(done)
        await shop.send("a", "add", b"3")
        await shop.clock.advance(2)
        assert shop.supervisor.actors[key].mailbox.messages == ()
        shop.supervisor.submit = submit
        held.pop()(StoreUnavailable("the disk is in trouble"))
        await shop.clock.advance(2)
        assert shop.state("a") == Count(3)


async def test_a_message_that_came_during_the_trouble_is_taken_up_as_soon_as_it_is_over() -> None:
    """No scan is waited for."""
    async with Shop(limits=SELDOM) as shop:
        key = await shop.begin("a")
        assert key not in shop.supervisor.actors
        shop.supervisor.unknown(StoreUnavailable("the disk is in trouble"))
        await shop.send("a", "add")
        assert shop.state("a").total == 0
        await shop.clock.advance(25)
        assert shop.state("a").total == 1


async def test_a_report_that_was_kept_during_the_trouble_is_taken_up_as_soon_as_it_is_over() -> None:
    """No scan is waited for."""
    async with Shop(limits=SELDOM) as shop:
        shop.wall.at_once = False
        key = await shop.begin("a")
        shop.store.sick = True
        shop.wall.end(key, Show(0))
        await settle()
        assert shop.state("a").showing
        await shop.clock.advance(25)
        assert not shop.state("a").showing
        assert shop.wall.shown == [(key, 0)]


async def test_a_host_that_was_replaced_during_the_trouble_learns_it_before_it_goes_on() -> None:
    """It takes nothing up, and leaves the rest to the new owner."""
    async with Shop() as shop:
        shop.wall.at_once = False
        await shop.begin("a")
        shop.supervisor.unknown(StoreUnavailable("the disk is in trouble"))
        other = await Shop(shop.disk, shop.clock).open()
        await shop.clock.advance(0.3)
        assert shop.supervisor.lost.is_set()
        assert shop.supervisor.sick.is_set()
        other.die()


async def test_a_host_that_is_not_sure_of_its_lease_takes_nothing_up() -> None:
    """Each try would cost a commit, and begin no work."""
    async with Shop() as shop:
        shop.wall.at_once = False
        await shop.begin("a")
        shop.fresh = False
        shop.supervisor.stand_down("as if the lease had not been renewed")
        before = shop.record("a").revision
        await shop.clock.advance(5)
        assert shop.supervisor.sick.is_set()
        assert shop.record("a").revision == before
        shop.fresh = True
        await shop.clock.advance(5)
        assert shop.wall.shown == [(1, 0), (1, 0)]
