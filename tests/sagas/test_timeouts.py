"""Attempts that fail, hang or answer late, and how doubt is worked off."""

import asyncio

import pytest

from atone import (
    CancelAnswer,
    DidNotHappen,
    Happened,
    NeverWillHappen,
    PermanentError,
    Retry,
    Status,
    StillUnknown,
    parallel,
)
from tests.manual_runtime import settle
from tests.sagas.harness import ONCE, TWICE, Life
from tests.sagas.world import World, deaf, effect, finding, line_of

pytestmark = pytest.mark.anyio


async def test_an_attempt_in_doubt_is_repeated_after_its_backoff() -> None:
    """Not sooner."""
    world = World()
    world.script["a"] = [OSError("line down")]
    async with Life([line_of(effect("a", retry=TWICE))], world) as life:
        await life.start()
        await life.clock.advance(0.9)
        assert world.count("a") == 1
        await life.clock.advance(0.2)
        assert world.log == ["a#1", "a#2"]
        assert await life.status() is Status.COMPLETED


async def test_what_stays_in_doubt_is_compensated_with_none() -> None:
    """The attempts are used up, and nobody knows: it is owed."""
    world = World()
    world.script["a"] = [OSError("1"), OSError("2")]
    async with Life([line_of(effect("a", retry=TWICE))], world) as life:
        outcome = await life.run()
    assert outcome.status is Status.COMPENSATED
    assert world.given == [("a", None)]
    assert "2 attempt(s)" in str(outcome.error)


async def test_a_refusal_after_doubt_clears_nothing() -> None:
    """It ends the retries; what the first attempt may have done is undone."""
    world = World()
    world.script["a"] = [OSError("lost"), PermanentError("no")]
    async with Life([line_of(effect("a", retry=Retry(attempts=9, first=1.0)))], world) as life:
        assert (await life.run()).status is Status.COMPENSATED
    assert world.log == ["a#1", "a#2", "a.undo#1"]
    assert world.applied == []


async def test_a_refusal_at_the_first_attempt_is_owed_nothing() -> None:
    """Certainly no effect, and no repeat."""
    world = World()
    world.script["a"] = [PermanentError("no")]
    async with Life([line_of(effect("a", retry=TWICE))], world) as life:
        assert (await life.run()).status is Status.COMPENSATED
    assert world.log == ["a#1"]


async def test_a_read_only_step_fails_without_debt() -> None:
    """Its attempts are used up like any other's."""
    world = World()
    world.script["look"] = [OSError("1"), OSError("2")]
    look = effect("look", undo=False, read_only=True, retry=TWICE)
    async with Life([line_of(effect("a"), look)], world) as life:
        assert (await life.run()).status is Status.COMPENSATED
    assert world.log == ["a#1", "look#1", "look#2", "a.undo#1"]


async def test_an_unrepeatable_step_is_never_sent_twice() -> None:
    """Neither after an error, nor after a death."""
    world = World()
    world.script["a"] = [OSError("lost")]
    saga = line_of(effect("a", repeatable=False, retry=Retry(attempts=9)))
    async with Life([saga], world) as life:
        assert (await life.run("1")).status is Status.COMPENSATED
        world.script["a"] = [asyncio.Event()]
        await life.start("2")
        await settle()
        life.die()
    async with life.successor() as heir:
        assert (await heir.outcome("2")).status is Status.COMPENSATED
    assert world.log == ["a#1", "a.undo#1", "a#1", "a.undo#1"]


@pytest.mark.parametrize(
    ("answers", "log", "status"),
    [
        ([Happened], ["a#1", "a.probe#1", "b#1"], Status.COMPLETED),
        ([DidNotHappen], ["a#1", "a.probe#1", "a#2", "b#1"], Status.COMPLETED),
        ([NeverWillHappen], ["a#1", "a.probe#1"], Status.COMPENSATED),
        ([StillUnknown, Happened], ["a#1", "a.probe#1", "a.probe#2", "b#1"], Status.COMPLETED),
        ([StillUnknown, StillUnknown], ["a#1", "a.probe#1", "a.probe#2", "a#2", "b#1"], Status.COMPLETED),
    ],
)
async def test_the_probe_is_asked_before_anything_is_repeated(
    answers: list[object], log: list[str], status: Status
) -> None:
    """Each of its answers leads on as it says."""
    world = World()
    world.script["a"] = [OSError("lost")]
    world.script["a.probe"] = [finding(answer) for answer in answers]
    async with Life([line_of(effect("a", probe=True, retry=TWICE), effect("b"))], world) as life:
        assert (await life.run()).status is status
    assert world.log == log


async def test_a_probe_that_raises_or_hangs_tells_nothing() -> None:
    """Both mean that it is still unknown."""
    world = World()
    world.script["a"] = [OSError("lost")]
    world.script["a.probe"] = [OSError("down"), asyncio.Event()]
    async with Life([line_of(effect("a", probe=True, retry=TWICE))], world) as life:
        assert (await life.run()).status is Status.COMPLETED
    assert world.log == ["a#1", "a.probe#1", "a.probe#2", "a#2"]


async def test_nothing_waits_for_a_probe_that_never_ends() -> None:
    """It has no effect that anything could be sent beside."""
    world, gate = World(), asyncio.Event()
    world.script["a"] = [OSError("lost")]
    world.script["a.probe"] = [deaf(gate), finding(DidNotHappen)]
    async with Life([line_of(effect("a", probe=True, retry=TWICE))], world) as life:
        await life.start()
        await life.clock.advance_until(lambda: "a.probe#1" in world.log)
        await life.clock.advance(40)
        gate.set()
        assert world.log == ["a#1", "a.probe#1", "a.probe#2", "a#2"]


async def test_a_probe_that_denies_leaves_the_debt() -> None:
    """A late request may still arrive: when the retry is refused, the step is undone nevertheless."""
    world = World()
    world.script["a"] = [OSError("lost"), PermanentError("no")]
    world.script["a.probe"] = [finding(DidNotHappen), finding(DidNotHappen)]
    async with Life([line_of(effect("a", probe=True, retry=TWICE))], world) as life:
        assert (await life.run()).status is Status.COMPENSATED
    assert world.given == [("a", None)]


async def test_a_timeout_leaves_the_attempt_in_doubt_at_once() -> None:
    """It is asked to end, and repeated under its key."""
    world = World()
    world.script["a"] = [asyncio.Event()]
    async with Life([line_of(effect("a", timeout=5, retry=TWICE))], world) as life:
        await life.start()
        await life.clock.advance(4.9)
        assert world.running == ["a"]
        await life.clock.advance(0.2)
        assert world.running == [], "the attempt was cancelled"
        assert (await life.outcome()).status is Status.COMPLETED
        assert "IN_DOUBT" in await life.events()
    assert world.log == ["a#1", "a#2"]


async def test_the_retry_waits_until_the_attempt_has_really_ended() -> None:
    """An attempt that does not heed the cancel holds the next one back; its late answer changes nothing."""
    world, gate = World(), asyncio.Event()
    world.script["a"] = [deaf(gate)]
    async with Life([line_of(effect("a", timeout=5, retry=TWICE))], world) as life:
        await life.start()
        await life.clock.advance(20)
        assert world.log == ["a#1"], "not within the grace"
        gate.set()
        await life.clock.advance(2)
        assert world.log == ["a#1", "a#2"]
        assert (await life.outcome()).status is Status.COMPLETED
        seen = [(one.event, one.note) async for one in life.coordinator.order("1").history()]
        assert ("LATE", "returned") in seen
        assert "OVERLAP" not in [event for event, _ in seen]


async def test_the_grace_bounds_the_wait_and_the_history_says_so() -> None:
    """After `overlap_grace` the next attempt is sent although the first still runs."""
    world, gate = World(), asyncio.Event()
    world.script["a"] = [deaf(gate)]
    async with Life([line_of(effect("a", timeout=5, retry=TWICE))], world, options={"overlap_grace": 10}) as life:
        await life.start()
        await life.clock.advance(14)
        assert world.log == ["a#1"]
        await life.clock.advance(2)
        assert world.log == ["a#1", "a#2"]
        assert await life.status() is Status.COMPLETED
        assert "OVERLAP" in await life.events()
        gate.set()
        await settle()
        assert await life.status() is Status.COMPLETED


async def test_no_step_waits_for_an_attempt_of_another_that_lingers() -> None:
    """Only under one key must nothing be sent beside it: a member of a group goes on."""
    world, gate = World(), asyncio.Event()
    world.script["a"], world.script["b"] = [deaf(gate)], [OSError("line down")]
    group = parallel(effect("a", timeout=0.5, retry=TWICE), effect("b", retry=TWICE))
    async with Life([line_of(group)], world) as life:
        await life.start()
        await life.clock.advance(2)
        sent = list(world.log)
        gate.set()
        assert sent == ["a#1", "b#1", "b#2"]
        assert (await life.outcome()).status is Status.COMPLETED
        assert "OVERLAP" not in await life.events()


async def test_a_clock_that_is_set_forward_does_not_shorten_the_grace() -> None:
    """Nothing is sent beside an attempt that may still be charging, whatever time it is."""
    world, gate = World(), asyncio.Event()
    world.script["a"] = [deaf(gate)]
    async with Life([line_of(effect("a", timeout=5, retry=ONCE))], world, options={"overlap_grace": 30}) as life:
        handle = await life.start()
        await life.clock.advance(6)
        life.clock.wall += 3600
        assert await handle.cancel("no", by="me") is CancelAnswer.ALREADY_CANCELLING
        await life.clock.advance(28)
        early = list(world.log)
        await life.clock.advance(2)
        gate.set()
        assert (early, world.log) == (["a#1"], ["a#1", "a.undo#1"])
        assert (await life.outcome()).status is Status.COMPENSATED


async def test_the_compensation_too_waits_for_an_attempt_that_lingers() -> None:
    """Otherwise it could be undone before it is done."""
    world, gate = World(), asyncio.Event()
    world.script["a"] = [deaf(gate)]
    async with Life([line_of(effect("a", timeout=5, retry=ONCE))], world) as life:
        await life.start()
        await life.clock.advance(20)
        assert world.log == ["a#1"]
        gate.set()
        assert (await life.outcome()).status is Status.COMPENSATED
    assert world.log == ["a#1", "a.undo#1"]


async def test_a_late_answer_never_changes_state() -> None:
    """An attempt that returns after it was given up is not taken for a success."""
    world, gate = World(), asyncio.Event()
    world.script["a"] = [deaf(gate)]
    async with Life([line_of(effect("a", timeout=5, retry=ONCE))], world, options={"overlap_grace": 1}) as life:
        await life.start()
        await life.clock.advance(10)
        gate.set()
        outcome = await life.outcome()
    assert outcome.status is Status.COMPENSATED
    assert world.given == [("a", None)]


@pytest.mark.parametrize("error", [asyncio.CancelledError(), MemoryError(), RecursionError(), TimeoutError()])
async def test_interruptions_are_doubt_and_no_business_failure(error: BaseException) -> None:
    """Whatever an action raises but `PermanentError`: it may have happened."""
    world = World()
    world.script["a"] = [error]
    async with Life([line_of(effect("a", retry=TWICE))], world) as life:
        assert (await life.run()).status is Status.COMPLETED
        assert "REFUSED" not in await life.events()
    assert world.log == ["a#1", "a#2"]


async def test_a_result_that_cannot_be_stored_is_doubt() -> None:
    """The action ran; what it returned is of no use, and it is undone."""

    async def strange() -> object:
        return object()

    world = World()
    world.script["a"] = [strange]
    async with Life([line_of(effect("a", retry=ONCE))], world) as life:
        assert (await life.run()).status is Status.COMPENSATED
    assert world.given == [("a", None)]


async def test_the_history_says_which_compensation_goes_on_beside_the_next() -> None:
    """By its own number: the action may have had more attempts."""
    world, closing = World(refuses={"b"}), asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await closing.wait()

    world.script["a"], world.script["a.undo"] = [OSError("1"), OSError("2")], [hang]
    async with Life([line_of(effect("a"), effect("b"))], world) as life:
        assert (await life.run()).status is Status.COMPENSATED
        beside = [one async for one in life.coordinator.order("1").history() if one.event == "OVERLAP"]
        assert [(one.step, one.attempt, one.begun) for one in beside] == [("a", 1, ("a/compensation/2",))]
        closing.set()
