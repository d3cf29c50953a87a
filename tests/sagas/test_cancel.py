"""Cancel is a durable message with a durable answer."""

import asyncio
from datetime import timedelta

import pytest

from atone import (
    AnswerPending,
    CancelAnswer,
    CauseKind,
    PermanentError,
    Retry,
    Status,
    StepStatus,
    TooLarge,
    Unencodable,
    VerbAnswer,
    parallel,
    receive,
)
from tests.manual_runtime import settle
from tests.sagas.harness import TWICE, Life, later
from tests.sagas.world import Approve, World, effect, line_of, shop

pytestmark = pytest.mark.anyio


async def test_a_cancelled_order_is_undone_and_the_cause_is_kept() -> None:
    """Who and why stand apart from what the rollback did."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        handle = await life.start()
        await settle()
        assert await handle.cancel("changed their mind", by="bob") is CancelAnswer.ACCEPTED
        assert await life.status() is Status.COMPENSATING
        assert "charge.undo#1" not in world.log, "the running action is allowed to finish: its outcome matters"
        gate.set()
        outcome = await life.outcome()
    assert outcome.status is Status.COMPENSATED
    assert (outcome.cause.kind, outcome.cause.reason, outcome.cause.by) == (
        CauseKind.CANCEL, "changed their mind", "bob",
    )  # fmt: skip
    assert outcome.error is None, "cancelled is not failed"
    assert world.log == ["reserve#1", "charge#1", "charge.undo#1", "reserve.undo#1"]
    assert world.given[0][1] is not None, "what succeeded after the cancel is undone with its result"


async def test_no_forward_intent_is_committed_after_a_cancel_was_accepted() -> None:
    """Whatever an operator does afterwards, and however often it is asked."""
    world = World()
    world.script["charge"] = [asyncio.Event()]
    saga = shop()
    async with Life([saga], world) as life:
        handle = await life.start()
        await settle()
        await handle.cancel("no", by="bob")
        for ask in (handle.suspend, handle.resume):
            assert await ask(by="eve", why="?") is VerbAnswer.ACCEPTED
        await life.clock.advance(60)
        assert (await life.outcome()).status is Status.COMPENSATED
        seen = [one async for one in handle.history()]
    accepted = next(one.revision for one in seen if one.event == "CANCEL")
    forward = [begun for one in seen if one.revision >= accepted for begun in one.begun if "/action/" in begun]
    assert forward == []


async def test_cancel_ends_a_backoff_at_once() -> None:
    """The retry that waits is not sent any more, and the step in doubt is undone now."""
    world = World()
    world.script["charge"] = [OSError("line down")]
    async with Life([shop(Retry(attempts=9, first=1000.0, longest=1000.0))], world) as life:
        handle = await life.start()
        await settle()
        assert await handle.cancel("no", by="bob") is CancelAnswer.ACCEPTED
        assert await life.status() is Status.COMPENSATED, "without any time passing"
    assert world.log == ["reserve#1", "charge#1", "charge.undo#1", "reserve.undo#1"]


async def test_cancel_ends_a_wait_at_once() -> None:
    """An order that waits for a message unwinds now."""
    world = World()
    async with Life([line_of(effect("reserve"), receive(Approve, timeout=timedelta(days=9)))], world) as life:
        handle = await life.start()
        await settle()
        assert await handle.cancel("no", by="bob") is CancelAnswer.ACCEPTED
        assert await life.status() is Status.COMPENSATED
        assert (await handle.status()).steps["approve"] is StepStatus.SKIPPED


async def test_cancel_in_a_group_lets_running_members_finish() -> None:
    """The pending backoff of one member ends, the running one is awaited, then both are undone backwards."""
    world, gate = World(), asyncio.Event()
    world.script["a"], world.script["b"] = [OSError("line down")], [gate]
    group = parallel(effect("a", retry=Retry(attempts=3, first=1000, longest=1000)), effect("b"))
    async with Life([line_of(group, effect("c"))], world) as life:
        handle = await life.start()
        await settle()
        await handle.cancel("no", by="bob")
        await settle()
        assert "a.undo#1" not in world.log
        gate.set()
        assert (await life.outcome()).status is Status.COMPENSATED
    assert world.log == ["a#1", "b#1", "b.undo#1", "a.undo#1"]


async def test_cancel_is_too_late_once_the_pivot_has_begun() -> None:
    """From the commit of its intent on, although it has not ended."""
    world, gate = World(), asyncio.Event()
    world.script["ship"] = [gate]
    async with Life([shop()], world) as life:
        handle = await life.start()
        await settle()
        assert await handle.cancel("no", by="bob") is CancelAnswer.TOO_LATE
        gate.set()
        assert (await life.outcome()).status is Status.COMPLETED


async def test_a_second_cancel_and_one_of_an_ended_order_change_nothing() -> None:
    """Each is told how the order stands; so is one for an order that never was."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        handle = await life.start()
        await settle()
        assert await handle.cancel("no", by="bob") is CancelAnswer.ACCEPTED
        assert await handle.cancel("really", by="eve") is CancelAnswer.ALREADY_CANCELLING
        gate.set()
        outcome = await life.outcome()
        assert outcome.cause.by == "bob"
        assert await handle.cancel("no", by="bob") is CancelAnswer.ALREADY_FINISHED
        assert await life.coordinator.order("nobody").cancel("no", by="bob") is CancelAnswer.NOT_FOUND


async def test_a_failing_order_is_cancelling_already() -> None:
    """A cancel while the rollback of an error runs does not change the cause."""
    world = World(refuses={"charge"})
    gate = asyncio.Event()
    world.script["reserve.undo"] = [gate]
    async with Life([shop()], world) as life:
        handle = await life.start()
        await settle()
        assert await handle.cancel("no", by="bob") is CancelAnswer.ALREADY_CANCELLING
        gate.set()
        assert (await life.outcome()).cause.kind is CauseKind.ERROR


@pytest.mark.parametrize("when", ["early", "late", "after a restart"])
async def test_a_repeated_id_gets_the_first_answer(when: str) -> None:
    """Also when the order has ended since, and in another process."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        handle = await life.start()
        await settle()
        assert await handle.cancel("no", by="bob", id="c-1") is CancelAnswer.ACCEPTED
        if when != "early":
            gate.set()
            await life.outcome()
        if when != "after a restart":
            assert await handle.cancel("no", by="bob", id="c-1") is CancelAnswer.ACCEPTED
        gate.set()
    if when == "after a restart":
        async with life.successor() as heir:
            again = await heir.coordinator.order("1").cancel("no", by="bob", id="c-1")
            assert again is CancelAnswer.ACCEPTED


async def test_without_a_host_the_answer_is_pending_and_the_request_durable() -> None:
    """It is decided by the next host, and a repeat of the id tells how."""
    world = World()
    world.script["charge"] = [asyncio.Event()]
    async with Life([shop()], world) as life:
        await life.start()
        await settle()
        life.die()
    async with Life([shop()], world, life.disk, life.clock, {"host": False}) as script:
        with pytest.raises(AnswerPending):
            await script.coordinator.order("1").cancel("no", by="bob", id="c-1", timeout=0)
    async with life.successor() as heir:
        assert (await heir.outcome()).status is Status.COMPENSATED
        assert await heir.coordinator.order("1").cancel("no", by="bob", id="c-1") is CancelAnswer.ACCEPTED
    assert world.count("charge") == 1, "the cancel was seen before the interrupted charge was repeated"


@pytest.mark.parametrize("commit", [3, 4, 5, 6, 7])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_an_accepted_cancel_outlives_any_death(commit: int, when: str) -> None:
    """Once told ACCEPTED, the order ends undone, whichever commit the process dies at."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        handle = await life.start()
        await settle()
        life.store.die_at = (commit, when)  # type: ignore[assignment]
        answer = await life.survive(handle.cancel("no", by="bob", id="c"))
        gate.set()
        await life.clock.advance(5)
        life.die()
    async with life.successor() as heir:
        outcome = await heir.outcome()
        if answer is CancelAnswer.ACCEPTED:
            assert outcome.status is Status.COMPENSATED
            assert world.applied == []
        again = await heir.coordinator.order("1").cancel("no", by="bob", id="c")
        accepted = again is CancelAnswer.ACCEPTED
        assert accepted is (outcome.status is Status.COMPENSATED)


async def test_cancel_overtakes_data() -> None:
    """A message that was accepted first does not lead the order on: the control lane is read first."""
    world = World()
    saga = line_of(effect("reserve"), receive(Approve), effect("charge"))
    async with Life([saga], world) as life:
        await life.start()
        await settle()
        life.die()
    async with Life([saga], world, life.disk, life.clock, {"host": False}) as script:
        order = script.coordinator.order("1")
        await order.send(Approve())
        with pytest.raises(AnswerPending):
            await order.cancel("no", by="bob", timeout=0)
    async with life.successor() as heir:
        outcome = await heir.outcome()
    assert outcome.status is Status.COMPENSATED
    assert world.count("charge") == 0


async def test_a_parked_order_accepts_a_cancel_and_unwinds_when_it_can() -> None:
    """A predicate's park only held it from going forward; the unwinding begins at once."""

    def broken(_order: object) -> bool:
        raise ZeroDivisionError

    world = World()
    async with Life([line_of(effect("reserve"), receive(Approve, when=broken))], world) as life:
        handle = await life.start()
        await life.reach(Status.PARKED)
        assert await handle.cancel("no", by="bob") is CancelAnswer.ACCEPTED
        assert (await life.outcome()).status is Status.COMPENSATED


async def test_a_suspended_order_accepts_a_cancel_and_unwinds_after_resume() -> None:
    """Nothing begins before."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        handle = await life.start()
        await settle()
        await handle.suspend(by="eve", why="audit")
        assert await handle.cancel("no", by="bob") is CancelAnswer.ACCEPTED
        gate.set()
        await life.clock.advance(5)
        assert world.count("charge.undo") == 0
        assert await life.status() is Status.SUSPENDED
        await handle.resume(by="eve", why="done")
        assert (await life.outcome()).status is Status.COMPENSATED


async def test_a_cancelled_caller_loses_only_the_answer() -> None:
    """The request was accepted, and is decided."""
    world, gate = World(), asyncio.Event()
    world.script["charge"] = [gate]
    async with Life([shop()], world) as life:
        handle = await life.start()
        await settle()
        asking = later(handle.cancel("no", by="bob"))
        await asyncio.sleep(0)
        asking.cancel()
        await settle()
        gate.set()
        assert (await life.outcome()).status is Status.COMPENSATED


async def test_a_refusal_after_a_cancel_is_owed_nothing() -> None:
    """The running action turns out refused at its first attempt: only the step before is undone."""
    world, gate = World(), asyncio.Event()

    async def refuse() -> object:
        await gate.wait()
        raise PermanentError("no")

    world.script["charge"] = [refuse]
    async with Life([shop(TWICE)], world) as life:
        handle = await life.start()
        await settle()
        await handle.cancel("no", by="bob")
        gate.set()
        assert (await life.outcome()).status is Status.COMPENSATED
    assert world.log == ["reserve#1", "charge#1", "reserve.undo#1"]


async def test_a_reason_is_a_text_of_some_length() -> None:
    """It is kept with the order for ever: what is no text or too long is refused, and the order goes on."""
    saga = line_of(effect("reserve"), receive(Approve), effect("charge"))
    async with Life([saga], World()) as life:
        handle = await life.start()
        await life.reach(Status.WAITING)
        with pytest.raises(TooLarge, match="the reason takes 900,000 bytes"):
            await handle.cancel("x" * 900_000, by="me")
        with pytest.raises(Unencodable, match="name of who asks is a int"):
            await handle.cancel("no", by=7)  # type: ignore[arg-type]
        assert await life.status() is Status.WAITING


async def test_a_repeated_cancel_gives_an_order_no_lasting_precedence() -> None:
    """Once it has the first answer again, what the order commits is as ordinary as anybody's."""
    world = World()
    world.script["ship"] = [end := asyncio.Event()]
    async with Life([line_of(effect("ship", pivot=True, undo=False))], world) as life:
        handle = await life.start()
        await settle()
        for _ in range(2):
            assert await handle.cancel("changed my mind", by="bob", id="c") is CancelAnswer.TOO_LATE
        supervisor = life.coordinator._access.supervisor
        assert supervisor is not None
        assert [actor.pressed for actor in supervisor.actors.values()] == [False]
        end.set()
        await life.outcome()
