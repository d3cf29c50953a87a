"""A disk that fails: what is unknown is read again, and nothing is done on a guess."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from atone import CancelAnswer, Saga, Status, StoreUnavailable, VerbAnswer, receive, step
from atone.storage import Advance, Write
from tests.faulty_store import When
from tests.manual_runtime import settle
from tests.sagas.harness import Life, later
from tests.sagas.world import Approve, Order, World, deaf, line_of, shop, slow_to_end

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("refuses", [None, "charge"])
async def test_an_unknown_commit_anywhere_ends_consistently(when: When, refuses: str | None) -> None:
    """Whether it was done or not: memory is dropped, the store reopened, the order read again."""
    for commit in range(1, 12):
        world = World(refuses={refuses} if refuses else set())
        async with Life([shop()], world) as life:
            life.store.fail_at = (commit, when)
            try:
                await life.start()
            except StoreUnavailable:
                await life.clock.advance(2)
                await life.start()
            outcome = await life.outcome()
            assert life.coordinator.hosting
        assert outcome.status is (Status.COMPENSATED if refuses else Status.COMPLETED), commit
        assert len(world.applied) == (0 if refuses else 4), commit


async def test_a_result_that_came_while_the_store_was_sick_is_kept() -> None:
    """It is offered to the order when that is read again: the charge is not repeated."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        await life.start()
        await settle()
        life.store.broken = True
        with pytest.raises(StoreUnavailable):
            await life.start("2")
        gate.set()
        await life.clock.advance(3)
        assert world.log == ["reserve#1", "charge#1"], "while the store is sick no action starts"
        life.store.broken = False
        assert (await life.outcome()).status is Status.COMPLETED
    assert world.count("charge") == 1


@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_result_whose_own_commit_failed_is_kept(when: When) -> None:
    """Whether it is on disk or not, the action is not repeated."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        await life.start()
        await settle()
        life.store.fail_at = (life.store.writes + 1, when)
        gate.set()
        assert (await life.outcome()).status is Status.COMPLETED
    assert world.count("charge") == 1
    assert world.count("ship") == 1, "an intent whose commit was unknown is not sent, and later sent once"


async def test_an_attempt_under_way_lives_through_the_trouble() -> None:
    """It is neither cut off nor repeated: its result is awaited."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        await life.start()
        await settle()
        life.store.fail_at = (life.store.writes + 1, "before")
        with pytest.raises(StoreUnavailable):
            await life.start("2")
        await life.clock.advance(3)
        assert world.running == ["charge"]
        gate.set()
        assert (await life.outcome()).status is Status.COMPLETED
    assert world.count("charge") == 1


async def test_no_action_starts_while_the_store_is_sick() -> None:
    """Not for orders on disk either, and callers are told."""
    world = World()
    async with Life([shop()], world, options={"host": False}) as script:
        await script.start("1")
    async with Life([shop()], world, script.disk, script.clock) as life:
        life.store.broken = life.store.sick = True
        await life.clock.advance(30)
        assert world.log == []
        for call in (life.start("2"), life.coordinator.order("1").cancel("no", by="bob")):
            with pytest.raises(StoreUnavailable):
                await call
        life.store.broken = False
        assert (await life.outcome()).status is Status.COMPLETED, "it recovers by itself"


async def test_a_request_of_unknown_fate_may_be_repeated_with_its_id() -> None:
    """It was accepted although nobody could say so."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        handle = await life.start()
        await settle()
        life.store.fail_at = (life.store.writes + 1, "after")
        with pytest.raises(StoreUnavailable):
            await handle.cancel("no", by="bob", id="c-1")
        await life.clock.advance(3)
        assert await handle.cancel("no", by="bob", id="c-1") is CancelAnswer.ACCEPTED
        gate.set()
        assert (await life.outcome()).status is Status.COMPENSATED


async def test_many_orders_live_through_an_unknown_commit() -> None:
    """Each is read again, and none is done twice."""
    world = World()
    async with Life([shop()], world) as life:
        life.store.fail_at = (25, "after")
        starting = [asyncio.ensure_future(life.start(str(number))) for number in range(10)]
        await asyncio.gather(*starting, return_exceptions=True)
        await life.clock.advance(3)
        for number in range(10):
            await life.start(str(number))
            assert (await life.outcome(str(number))).status is Status.COMPLETED
    assert len(world.applied) == 40


async def test_trouble_while_leaving_costs_nothing() -> None:
    """The next process goes on from what is on disk."""
    world = World()
    world.script["charge"] = [asyncio.Event()]
    async with Life([shop()], world) as life:
        await life.start()
        await settle()
        life.store.broken = life.store.sick = True
    async with life.successor() as heir:
        assert (await heir.outcome()).status is Status.COMPLETED
    assert len(world.applied) == 4


async def test_a_thread_that_outlives_the_loss_of_the_lease_is_not_joined_by_a_second() -> None:
    """Nothing can end a thread: the order waits for it, and takes its result."""
    gate = asyncio.Event()
    calls: list[str] = []

    def charge() -> None:
        calls.append("charge")

    async with Life([Saga("s", input=Order, steps=[step(pivot=True)(charge)])], World()) as life:
        life.runtime.gate = gate
        await life.start()
        await settle()
        life.lapse()
        await life.clock.advance(3)
        assert calls == ["charge"], "the heal has read the order again, and its attempt still runs"
        gate.set()
        assert (await life.outcome()).status is Status.COMPLETED
    assert calls == ["charge"]


async def test_an_attempt_that_was_cut_off_and_has_not_ended_is_not_joined_by_a_second(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its `finally` block still talks to the participant: the retry waits for it, and has its whole time then."""
    world, closing = World(), asyncio.Event()
    world.script["charge"] = [slow_to_end(closing)]
    async with Life([shop()], world, options={"overlap_grace": 90}) as life:
        await life.start()
        await settle()
        life.lapse()
        await life.clock.advance(3)
        assert world.log == ["reserve#1", "charge#1"]
        await life.clock.advance(30)
        assert world.log == ["reserve#1", "charge#1"]
        assert "step 'charge' of order '1' has waited 30 s for the attempt before it to end" in caplog.messages
        closing.set()
        assert (await life.outcome()).status is Status.COMPLETED
        assert "OVERLAP" not in await life.events()
    assert world.log[2] == "charge#2"


async def test_the_grace_bounds_the_wait_for_what_was_cut_off_and_the_history_says_so() -> None:
    """An attempt that will not end is joined by the next one, as one that timed out is."""
    world, closing = World(), asyncio.Event()
    world.script["charge"] = [deaf(closing)]
    async with Life([shop()], world, options={"overlap_grace": 10}) as life:
        await life.start()
        await settle()
        life.lapse()
        await life.clock.advance(10)
        before = list(world.log)
        await life.clock.advance(3)
        assert (await life.outcome()).status is Status.COMPLETED
        closing.set()
        seen = [one async for one in life.coordinator.order("1").history() if one.event == "OVERLAP"]
    assert before == ["reserve#1", "charge#1"]
    assert world.log[2] == "charge#2"
    assert [(one.step, one.attempt) for one in seen] == [("charge", 1)]


async def test_a_compensation_in_a_thread_waits_for_an_action_that_was_cut_off_and_has_not_ended() -> None:
    """Whether a step's functions run in the event loop or in a thread makes no difference to that."""
    log: list[str] = []
    closing = asyncio.Event()

    async def charge() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await closing.wait()
            log.append("charge has ended")

    def refund() -> None:
        log.append("refund")

    once = step(repeatable=False)(charge)
    once.compensation(refund)
    async with Life([Saga("s", input=Order, steps=[once])], World(), options={"overlap_grace": 90}) as life:
        await life.start()
        await settle()
        life.lapse()
        await life.clock.advance(40)
        assert log == []
        closing.set()
        assert (await life.outcome()).status is Status.COMPENSATED
    assert log == ["charge has ended", "refund"]


async def test_a_commit_of_an_order_that_was_given_up_meanwhile_is_told() -> None:
    """A host that stood down has begun anew while a write still stood in line; it ends the order, and is told."""
    async with Life([line_of(receive(Approve))], World()) as life:
        handle = await life.start()
        held = hold_a_commit(life)
        waiting, cancelling = later(handle.outcome()), later(handle.cancel("no", by="bob"))
        await settle()
        supervisor = life.coordinator._access.supervisor
        assert supervisor is not None
        everybody = supervisor.look_again

        def look() -> None:
            everybody()
            supervisor.look_again = everybody
            asyncio.get_running_loop().call_soon(held.pop())

        supervisor.look_again = look
        life.lapse()
        await life.clock.advance(5)
        assert waiting.result().status is Status.COMPENSATED
        assert cancelling.result() is CancelAnswer.ACCEPTED


async def test_a_request_decided_by_a_commit_of_an_order_that_was_given_up_is_answered() -> None:
    """The order that was read again has nothing more to commit, by which anybody would learn of the answer."""
    async with Life([line_of(receive(Approve))], World()) as life:
        handle = await life.start()
        held = hold_a_commit(life)
        suspending = later(handle.suspend(by="bob", why="a moment"))
        await settle()
        life.lapse()
        await life.clock.advance(0.25)
        held.pop()()
        await life.clock.advance(5)
        assert suspending.result() is VerbAnswer.ACCEPTED


def hold_a_commit(life: Life) -> list[Callable[[], None]]:
    """Let the next transition stand in line until what is returned is called."""
    held: list[Callable[[], None]] = []
    supervisor = life.coordinator._access.supervisor
    assert supervisor is not None
    submit = supervisor.submit

    def slow(write: Write[Any], done: Callable[[Any], None]) -> None:
        if isinstance(write, Advance):
            supervisor.submit = submit
            held.append(partial(submit, write, done))
        else:
            submit(write, done)

    supervisor.submit = slow
    return held
