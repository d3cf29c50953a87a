"""The shell: receive, decide, commit, reply, act. Shown with an actor that knows no saga."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from atone import StoreError
from atone.actors import Decision, Due, Moment
from atone.storage import Done, Lane, Message, Snapshot, WriteRefused
from tests.actors.counter import Count, Counter, Crash, Shop, Show, Shown
from tests.faulty_store import When
from tests.manual_runtime import ManualRuntime, settle

pytestmark = pytest.mark.anyio


async def test_effects_begin_when_their_commit_is_on_disk() -> None:
    """Not a moment sooner: at each effect the disk already holds the state that names it."""
    async with Shop() as shop:
        early: list[Show] = []

        def look(key: int, effect: Show) -> None:
            state = shop.behaviour.decode(shop.disk.rows[key].record)
            if not (state.showing and state.total == effect.total):
                early.append(effect)

        shop.wall.watch = look
        await shop.begin("a")
        for _ in range(5):
            await shop.send("a", "add")
        assert [total for _, total in shop.wall.shown] == [0, 1, 2, 3, 4, 5]
        assert early == []


async def test_a_message_is_answered_in_the_commit_that_consumes_it() -> None:
    """Effect on state and answer are one."""
    async with Shop() as shop:
        await shop.begin("a")
        seq = await shop.send("a", "add", b"3")
        assert shop.disk.mails[seq].answer == "TAKEN"
        assert shop.state("a").total == 3


async def test_what_waits_is_folded_into_one_commit() -> None:
    """Control before data before reports."""
    async with Shop() as shop:
        shop.wall.at_once = False
        key = await shop.begin("a")
        before = shop.record("a").revision
        actor = shop.supervisor.actors[key]
        actor.turn = sentinel = object()  # type: ignore[assignment]  # a commit is on its way
        await shop.send("a", "add", b"1")
        await shop.send("a", "add", b"2")
        await shop.send("a", "add", b"4", Lane.CONTROL)
        shop.supervisor.post(key, Shown(0))
        assert actor.turn is sentinel
        actor.turn = None
        actor.proceed()
        await settle()
        assert shop.record("a").revision == before + 1
        assert shop.behaviour.decided == ["add 4", "add 1", "add 2"]
        assert shop.state("a").total == 7


async def test_a_message_that_makes_the_behaviour_raise_is_set_aside() -> None:
    """With the reason in the history; the actor goes on with the next one."""
    async with Shop() as shop:
        await shop.begin("a")
        bad = await shop.send("a", "boom")
        await shop.send("a", "add")
        assert shop.disk.mails[bad].answer == "DEAD_LETTER"
        assert "DEAD_LETTER" in shop.events("a")
        (letter,) = [line.entry for line in shop.disk.history if line.entry.event == "DEAD_LETTER"]
        assert letter.error == "ZeroDivisionError: boom"
        assert shop.state("a").total == 1


async def test_a_message_that_is_not_accepted_yet_waits_on_disk() -> None:
    """It is taken as soon as the state allows, without being sent again."""
    async with Shop() as shop:
        await shop.begin("a")
        early = await shop.send("a", "later", b"100")
        assert shop.disk.mails[early].answer is None
        await shop.send("a", "add", b"11")
        assert shop.disk.mails[early].answer == "TAKEN"
        assert shop.state("a").total == 111


async def test_an_end_commits_only_if_no_message_waits_unseen() -> None:
    """A message of another process that the actor has not seen is decided before the end."""
    async with Shop() as shop:
        await shop.begin("a")
        await shop.send("a", "sleep", b"4")
        await shop.send("a", "add", b"5", tell=False)
        await shop.send("a", "end")
        assert (shop.state("a").total, shop.state("a").ended) == (5, True)
        assert shop.behaviour.decided == ["sleep 4", "end", "add 5", "end"], "read again, in order of acceptance"


async def test_a_guarded_commit_is_decided_again_when_a_message_came_unseen() -> None:
    """So a message wins against a timer."""
    async with Shop() as shop:
        await shop.begin("a")
        await shop.send("a", "sleep", b"2")
        await shop.clock.advance(1.9)
        await shop.send("a", "end", tell=False)
        shop.clock.wall += 0.1  # the timer's time has come, and nobody has looked for messages
        shop.clock.monotonic += 0.1
        await shop.clock.advance(0.05)
        assert "RANG" not in shop.events("a")
        assert shop.state("a").ended


async def test_a_message_whose_answer_comes_after_it_was_consumed_holds_no_timer_back() -> None:
    """It was read from disk and consumed before its sender's process was told, and the actor loaded anew."""
    async with Shop() as shop:
        key = await shop.begin("a")
        seq = await shop.send("a", "later", b"-100", tell=False)
        await shop.send("a", "add", b"11")
        await shop.clock.advance(1)
        assert shop.disk.mails[seq].answer == "TAKEN"
        assert shop.supervisor.actors == {}
        await shop.send("a", "sleep", b"2")
        shop.supervisor.deliver(key, shop.disk.mails[seq].message)
        await shop.clock.advance(3)
        assert shop.events("a")[-1] == "RANG"
        assert shop.behaviour.decided.count("later -100") == 1


async def test_a_message_that_comes_while_missed_ones_are_read_is_kept() -> None:
    """It is not among those that were read, and nobody will tell of it again."""
    async with Shop() as shop:
        await shop.begin("a")
        read = shop.store.messages

        async def slow(key: int) -> tuple[Message, ...]:
            found = await read(key)
            shop.store.messages = read  # type: ignore[method-assign]
            seq = await shop.send("a", "later", b"1", tell=False)
            shop.supervisor.deliver(key, shop.disk.mails[seq].message)
            return found

        shop.store.messages = slow  # type: ignore[method-assign]
        await shop.send("a", "sleep", b"3")
        await shop.send("a", "add", b"5", tell=False)
        await shop.clock.advance(1)
        await shop.send("a", "add", b"6")
        assert shop.state("a").total == 12


async def test_what_an_ended_actor_did_not_consume_is_closed() -> None:
    """Nothing waits for it any more."""
    async with Shop() as shop:
        await shop.begin("a")
        unused = await shop.send("a", "later")
        await shop.send("a", "end")
        assert shop.disk.mails[unused].answer == "UNUSED"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_commit_of_unknown_outcome_drops_memory_and_reloads(when: When) -> None:
    """The message is consumed once, whether the commit was done or not."""
    async with Shop() as shop:
        await shop.begin("a")
        shop.store.fail_at = (shop.store.writes + 2, when)
        await shop.send("a", "add", b"3")
        assert shop.supervisor.sick.is_set()
        assert shop.supervisor.actors == {}
        assert [total for _, total in shop.wall.shown] == [0], "no effect of a commit whose outcome is unknown"
        await shop.clock.advance(2)
        assert not shop.supervisor.sick.is_set()
        assert shop.state("a") == Count(3)
        assert [total for _, total in shop.wall.shown] == [0, 3]


async def test_a_report_that_came_during_the_trouble_is_kept() -> None:
    """And offered to the actor when it is read again: the effect is not repeated."""
    async with Shop() as shop:
        shop.wall.at_once = False
        key = await shop.begin("a")
        shop.store.broken = True
        shop.wall.end(key, Show(0))
        await shop.clock.advance(3)
        assert shop.state("a").showing
        shop.store.broken = False
        await shop.clock.advance(3)
        assert not shop.state("a").showing
        assert shop.wall.shown == [(key, 0)]


async def test_an_actor_whose_first_commit_failed_is_begun_once() -> None:
    """It learns from the disk that it was not begun, and not from what its last life had taken as well."""
    async with Shop() as shop:
        await shop.create("a")
        shop.store.fail_at = (shop.store.writes + 1, "before")
        await shop.clock.advance(5)
        assert shop.events("a") == ["BEGUN", "SHOWN"]
        assert [total for _, total in shop.wall.shown] == [0]


async def test_an_actor_whose_resumption_could_not_be_committed_is_resumed_once() -> None:
    """The death before it counts once as well."""
    async with Shop() as first:
        first.wall.at_once = False
        await first.begin("a")
        first.die()
    heir = first.successor()
    heir.wall.at_once = False
    heir.store.fail_at = (1, "before")
    async with heir:
        await heir.clock.advance(5)
        assert heir.events("a") == ["BEGUN", "RESUMED"]
        assert heir.state("a").deaths == 1


async def test_an_effect_under_way_during_the_trouble_is_not_repeated() -> None:
    """It lives on, and the reloaded actor knows."""
    async with Shop() as shop:
        shop.wall.at_once = False
        key = await shop.begin("a")
        await shop.begin("b")
        shop.store.fail_at = (shop.store.writes + 2, "before")
        await shop.send("b", "add")
        await shop.clock.advance(3)
        shop.wall.end(key, Show(0))
        await settle()
        assert shop.events("a")[-1] == "SHOWN"
        assert [one for one in shop.wall.shown if one[0] == key] == [(key, 0)]


async def test_a_report_whose_commit_was_refused_is_kept() -> None:
    """The row was at fault, and the effect has happened: the restarted actor is told, and does not repeat it."""
    async with Shop() as shop:
        shop.wall.at_once = False
        key = await shop.begin("a")
        refusals: list[StoreError] = [WriteRefused("a", "odd")]

        def refusing(write: Any, done: Callable[[Any], None]) -> None:
            if refusals:
                asyncio.get_running_loop().call_soon(done, refusals.pop())
            else:
                shop.store.submit(write, done)

        shop.supervisor.submit = refusing
        shop.wall.end(key, Show(0))
        await shop.clock.advance(3)
        assert refusals == []
        assert not shop.state("a").showing
        assert shop.wall.shown == [(key, 0)]


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


async def test_a_message_whose_error_cannot_be_shown_is_set_aside_like_any_other() -> None:
    """One message never stops its actor."""
    async with Shop() as shop:
        await shop.begin("a")
        shop.behaviour.burst = Unspeakable()
        mail = await shop.send("a", "burst")
        assert shop.disk.mails[mail].answer == "DEAD_LETTER"


async def test_an_actor_that_somebody_else_moved_on_is_read_again() -> None:
    """Its own transition was refused, so nothing of it was done."""
    async with Shop() as shop:
        key = await shop.begin("a")
        await shop.send("a", "sleep", b"3")
        assert key in shop.supervisor.actors
        shop.supervisor.actors[key].revision -= 1
        await shop.send("a", "add", b"3")
        assert shop.state("a").total == 3, "at once: no scan is waited for"


async def test_a_fenced_host_stops_at_once() -> None:
    """Nothing is written, nothing is begun, and memory is dropped."""
    async with Shop() as shop:
        await shop.begin("a")
        other = await Shop(shop.disk, shop.clock).open()
        shown, record = list(shop.wall.shown), shop.record("a")
        await shop.send("a", "add")
        assert shop.supervisor.lost.is_set()
        assert shop.supervisor.actors == {}
        assert shop.wall.shown == shown
        assert shop.record("a") is record
        await other.clock.advance(1)
        assert shop.state("a").total == 1, "the new owner does it"
        assert other.wall.shown[-1][1] == 1
        other.die()


async def test_a_host_whose_lease_is_not_fresh_begins_nothing() -> None:
    """Although the commit was done: the effect is left to whoever owns the store next."""
    async with Shop() as shop:
        await shop.begin("a")
        shop.fresh = False
        await shop.send("a", "add")
        assert shop.state("a").total == 1
        assert [total for _, total in shop.wall.shown] == [0]
        shop.fresh = True
        await shop.clock.advance(3)
        assert [total for _, total in shop.wall.shown] == [0, 1]


async def test_a_timer_that_fires_before_its_wall_time_is_armed_again() -> None:
    """The clock was set back: due means due by UTC."""
    async with Shop() as shop:
        await shop.begin("a")
        await shop.send("a", "sleep", b"2")
        shop.clock.wall -= 60
        await shop.clock.advance(10)
        assert "RANG" not in shop.events("a")
        await shop.clock.advance(53)
        assert "RANG" in shop.events("a")


async def test_a_clock_set_back_while_a_fired_timer_is_decided_again_silences_no_timer() -> None:
    """Its commit met a message that nobody had seen; when that was read, the time had not come any more."""
    async with Shop() as shop:
        await shop.begin("a")
        await shop.send("a", "sleep", b"2")
        await shop.clock.advance(1.9)
        await shop.send("a", "later", tell=False)
        read = shop.store.messages

        async def set_back(key: int) -> tuple[Message, ...]:
            shop.clock.wall -= 1
            shop.store.messages = read  # type: ignore[method-assign]
            return await read(key)

        shop.store.messages = set_back  # type: ignore[method-assign]
        shop.clock.wall += 0.1  # the timer's time has come, and nobody has looked for messages
        shop.clock.monotonic += 0.1
        await shop.clock.advance(0.5)
        assert "RANG" not in shop.events("a")
        await shop.clock.advance(1)
        assert "RANG" in shop.events("a")


async def test_a_timer_that_fires_a_moment_before_its_wall_time_rings_all_the_same() -> None:
    """The time comes while it is decided that nothing is due yet."""

    class Slow(Counter):
        def decide(self, state: Count, event: object, moment: Moment) -> Decision[Count]:
            if isinstance(event, Due):
                shop.clock.wall += 0.1
            return super().decide(state, event, moment)

    async with Shop(behaviour=Slow()) as shop:
        await shop.begin("a")
        await shop.send("a", "sleep", b"2")
        shop.clock.wall -= 0.1
        await shop.clock.advance(3)
        assert "RANG" in shop.events("a")


async def test_a_clock_that_is_set_back_as_a_timer_fires_silences_no_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time had come at one look at the clock, and has not at the next."""
    async with Shop() as shop:
        await shop.begin("a")
        await shop.send("a", "sleep", b"2")
        await shop.clock.advance(1.9)
        now = ManualRuntime.now

        def set_back(runtime: ManualRuntime) -> float:
            monkeypatch.undo()
            seen = now(runtime)
            shop.clock.wall -= 1
            return seen

        shop.clock.wall += 0.1
        shop.clock.monotonic += 0.1
        monkeypatch.setattr(ManualRuntime, "now", set_back)
        await shop.clock.advance(5)
        assert "RANG" in shop.events("a")


async def test_a_report_that_changes_nothing_costs_no_commit() -> None:
    """Nor does one that comes twice."""
    async with Shop() as shop:
        key = await shop.begin("a")
        await shop.send("a", "sleep", b"3")
        before = shop.store.writes
        shop.supervisor.post(key, Shown(17))
        await settle()
        assert shop.store.writes == before


async def test_a_poison_report_is_dropped_with_the_memory_and_the_actor_restarts() -> None:
    """From its snapshot, after a pause."""
    async with Shop() as shop:
        key = await shop.begin("a")
        await shop.send("a", "sleep", b"4")
        shop.supervisor.post(key, Crash())
        await settle()
        assert key not in shop.supervisor.actors
        await shop.send("a", "add", b"2")
        await shop.clock.advance(1)
        assert shop.state("a").total == 2


async def test_a_state_that_cannot_be_encoded_loses_no_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """The actor restarts, and receives again what its effects have told."""
    async with Shop() as shop:
        shop.wall.at_once = False
        key = await shop.begin("a")
        sound, calls = Counter.encode, 0

        def encode(self: Counter, state: Count) -> Snapshot:
            nonlocal calls
            calls += 1
            if calls == 2:  # the first is by the behaviour itself, for its line of history
                msg = "only this once"
                raise ValueError(msg)
            return sound(self, state)

        monkeypatch.setattr(Counter, "encode", encode)
        shop.supervisor.post(key, Shown(0))
        assert shop.state("a").showing
        await shop.clock.advance(10)
        assert not shop.state("a").showing
        assert "SHOWN" in shop.events("a")


async def test_what_answers_a_request_is_urgent_and_what_stands_before_it_is_hurried() -> None:
    """A cancel waits neither behind the transitions of thousands nor behind one of its own actor's."""
    async with Shop() as shop:
        shop.wall.at_once = False
        key = await shop.begin("a")
        writes: list[Any] = []
        hurried: list[Any] = []
        shop.supervisor.submit = lambda write, _done: writes.append(write)
        shop.store.hurry = hurried.append  # type: ignore[assignment, method-assign]
        await shop.send("a", "add")
        assert [write.urgent for write in writes] == [False], "nobody waits for what a message sets off"
        shop.supervisor.press("a")
        shop.supervisor.press("nobody")
        assert hurried == writes
        actor = shop.supervisor.actors[key]
        actor._committed(Done())
        shop.wall.end(key, Show(1))
        await settle()
        assert [write.urgent for write in writes] == [False, True], "the request may come at any moment"
        actor._committed(Done())
        await shop.send("a", "add", lane=Lane.CONTROL)
        assert writes[-1].consumed
        assert writes[-1].urgent
        actor._committed(Done())
        shop.wall.end(key, Show(2))
        await settle()
        assert not writes[-1].urgent, "it has its answer"


async def test_an_actor_that_raises_behind_its_commit_is_taken_up_again() -> None:
    """What it was to do is done: an actor must not look alive and stand still."""

    def raises(*_committed: object) -> None:
        shop.supervisor.on_commit = lambda *_: None
        raise ZeroDivisionError

    async with Shop() as shop:
        await shop.begin("a")
        shop.supervisor.on_commit = raises
        await shop.send("a", "add", b"3")
        assert 3 not in [total for _, total in shop.wall.shown]
        await shop.clock.advance(5)
        assert 3 in [total for _, total in shop.wall.shown]
