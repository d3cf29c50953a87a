"""Accepted means committed: verdicts, limits, waits, and who wins when time runs out."""

import asyncio
from datetime import timedelta

import pytest
from attrs import frozen

from atone import (
    CauseKind,
    InvalidId,
    MailboxFull,
    ParkReason,
    SendAnswer,
    Status,
    StepContext,
    StepStatus,
    TooLarge,
    Unencodable,
    receive,
    step,
)
from atone.sagas import access
from atone.storage import Accept, Lane
from tests.manual_runtime import settle
from tests.sagas.harness import Life
from tests.sagas.world import Approve, Decline, Order, World, effect, line_of

pytestmark = pytest.mark.anyio

MINUTE = timedelta(seconds=60)


@frozen
class Stranger:
    text: str = ""


def approval(**options: object) -> object:
    """Wait for a decision between two steps."""
    wait = receive(Approve | Decline, decline=Decline, name="decision", **options)  # type: ignore[arg-type]
    return line_of(effect("reserve"), wait, effect("charge"))


async def test_a_message_leads_the_order_on() -> None:
    """The order waits, and the message is durable when `send` returns."""
    world = World()
    async with Life([approval()], world) as life:  # type: ignore[list-item]
        handle = await life.start()
        assert await life.status() is Status.WAITING
        assert await handle.send(Approve()) is SendAnswer.ACCEPTED
        assert (await life.outcome()).status is Status.COMPLETED


async def test_a_message_that_comes_early_is_kept() -> None:
    """It is taken as soon as the order gets there."""
    world, gate = World(), asyncio.Event()
    world.script["reserve"] = [gate]
    async with Life([approval()], world) as life:  # type: ignore[list-item]
        handle = await life.start()
        assert await handle.send(Approve()) is SendAnswer.ACCEPTED
        await settle()
        assert await life.status() is Status.RUNNING
        gate.set()
        assert (await life.outcome()).status is Status.COMPLETED


async def test_a_repeated_message_is_told_apart_from_a_new_one() -> None:
    """By its id, also after it was consumed."""
    async with Life([approval()], World()) as life:  # type: ignore[list-item]
        handle = await life.start()
        assert await handle.send(Approve(), id="a-1") is SendAnswer.ACCEPTED
        await settle()
        assert await handle.send(Approve(), id="a-1") is SendAnswer.DUPLICATE
        await life.outcome()
        assert await handle.send(Approve(), id="a-1") is SendAnswer.DUPLICATE


async def test_messages_for_nobody_are_told_so() -> None:
    """An order that never was, one that has ended, and one whose saga has no place for it."""
    async with Life([approval()], World()) as life:  # type: ignore[list-item]
        assert await life.coordinator.order("nobody").send(Approve()) is SendAnswer.NOT_FOUND
        handle = await life.start()
        assert await handle.send(Stranger()) is SendAnswer.NEVER_EXPECTED
        await handle.send(Approve())
        await life.outcome()
        assert await handle.send(Approve()) is SendAnswer.ALREADY_FINISHED


async def test_limits_hold_before_acceptance(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is refused with an error never reaches the mailbox."""
    monkeypatch.setattr(access, "MAILBOX", 2)
    world = World()
    world.script["reserve"] = [asyncio.Event()]
    async with Life([approval()], world) as life:  # type: ignore[list-item]
        handle = await life.start()
        with pytest.raises(TooLarge):
            await handle.send(Approve("x" * (2 * 1024 * 1024)))
        with pytest.raises(Unencodable):
            await handle.send(Approve(object()))  # type: ignore[arg-type]
        for id in ("", "x" * 201, "a\x00b"):
            with pytest.raises(InvalidId):
                await handle.send(Approve(), id=id)
        assert life.disk.mails == {}
        await handle.send(Approve(), id="1")
        await handle.send(Approve(), id="2")
        with pytest.raises(MailboxFull):
            await handle.send(Approve(), id="3")
        assert len(life.disk.mails) == 2
        life.die()


async def test_a_decline_rolls_back_with_the_message_as_cause() -> None:
    """And the message can be read in the outcome."""
    world = World()
    async with Life([approval()], world) as life:  # type: ignore[list-item]
        handle = await life.start()
        await handle.send(Decline("too dear"))
        outcome = await life.outcome()
    assert outcome.status is Status.COMPENSATED
    assert outcome.cause.message == Decline("too dear")
    assert world.log == ["reserve#1", "reserve.undo#1"]


async def test_a_timeout_rolls_back_with_cause_deadline() -> None:
    """At its time, and not before."""
    async with Life([approval(timeout=MINUTE)], World()) as life:  # type: ignore[list-item]
        await life.start()
        await life.clock.advance(59)
        assert await life.status() is Status.WAITING
        await life.clock.advance(2)
        outcome = await life.outcome()
    assert outcome.status is Status.COMPENSATED
    assert outcome.cause.kind is CauseKind.DEADLINE


async def test_a_message_accepted_before_the_timeout_wins_however_late_the_host() -> None:
    """It was accepted in time by a process that does not host; the host comes long after the timeout."""
    world = World()
    saga = approval(timeout=MINUTE)
    async with Life([saga], world) as life:  # type: ignore[list-item]
        await life.start()
        await settle()
        life.die()
    async with Life([saga], world, life.disk, life.clock, {"host": False}) as script:  # type: ignore[list-item]
        await script.coordinator.order("1").send(Approve())
    await life.clock.advance(1000)
    async with life.successor() as heir:
        assert (await heir.outcome()).status is Status.COMPLETED


async def test_a_timeout_commits_only_if_no_message_waits_unseen() -> None:
    """The message of another process that the host has not noticed yet is seen by the same transaction."""
    world = World()
    async with Life([approval(timeout=MINUTE)], world) as life:  # type: ignore[list-item]
        await life.start()
        await life.clock.advance(30)
        unseen = Accept("1", "m", Lane.DATA, "Approve", b'{"by":"carol"}', life.clock.wall, 9)
        life.clock.monotonic += 29.999  # the host is busy with something else until just before the timeout
        life.clock.wall += 29.999
        life.disk.apply(unseen)
        assert (await life.outcome()).status is Status.COMPLETED


async def test_when_decides_once_and_its_answer_is_stored() -> None:
    """On False nothing is awaited and the message is `None`; a restart does not ask again."""
    asked: list[int] = []

    def dear(order: Order) -> bool:
        asked.append(order.total_cents)
        return order.total_cents > 100

    given: list[Approve | None] = []

    @step(read_only=True)
    async def look(approve: Approve | None) -> None:
        given.append(approve)

    saga = line_of(receive(Approve, when=dear), look)
    async with Life([saga], World()) as life:
        assert (await life.run("cheap", Order(5))).status is Status.COMPLETED
        handle = await life.start("dear", Order(500))
        assert await life.status("dear") is Status.WAITING
        assert (await life.coordinator.order("cheap").status()).steps["approve"] is StepStatus.SKIPPED
        assert handle.created
        life.die()
    async with life.successor() as heir:
        await heir.clock.advance(3)
        await heir.coordinator.order("dear").send(Approve("bob"))
        assert (await heir.outcome("dear")).status is Status.COMPLETED
    assert asked == [5, 500]
    assert given == [None, Approve("bob")]


async def test_a_predicate_that_raises_parks_the_order() -> None:
    """Visibly; retry asks it again."""
    answers: list[Exception | bool] = [ZeroDivisionError("a bug"), False]

    def moody(_order: Order) -> bool:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with Life([line_of(effect("reserve"), receive(Approve, when=moody))], World()) as life:
        handle = await life.start()
        seen = await life.reach(Status.PARKED)
        assert seen.park.reason is ParkReason.PREDICATE
        assert "a bug" in seen.park.error
        await handle.retry(seen.park.number, by="eve", why="fixed")
        assert (await life.outcome()).status is Status.COMPLETED


async def test_receives_of_one_type_consume_in_order_of_acceptance() -> None:
    """The first one gets what was accepted first."""
    given: list[str] = []

    @step(read_only=True)
    async def look(first: Approve, second: Approve) -> None:
        given.extend([first.by, second.by])

    saga = line_of(receive(Approve, name="first"), receive(Approve, name="second"), look)
    async with Life([saga], World()) as life:
        handle = await life.start()
        await asyncio.gather(*(handle.send(Approve(by)) for by in ("alice", "bob")))
        await life.outcome()
    assert given == ["alice", "bob"]


async def test_order_of_acceptance_holds_over_processes() -> None:
    """The host has not noticed yet what another process accepted before its own message."""
    given: list[str] = []

    @step(read_only=True)
    async def look(first: Approve, second: Approve) -> None:
        given.extend([first.by, second.by])

    world, gate = World(), asyncio.Event()
    world.script["reserve"] = [gate]
    saga = line_of(effect("reserve"), receive(Approve, name="first"), receive(Approve, name="second"), look)
    async with Life([saga], world) as life, life.beside(host=False) as script:
        handle = await life.start()
        await settle()
        await script.coordinator.order("1").send(Approve("alice"))
        await handle.send(Approve("bob"))
        gate.set()
        await life.outcome()
    assert given == ["alice", "bob"]


async def test_a_message_that_cannot_be_decoded_is_set_aside() -> None:
    """With the reason, and the order goes on to the next one."""
    async with Life([approval()], World()) as life:  # type: ignore[list-item]
        handle = await life.start()
        await settle()
        life.disk.apply(Accept("1", "bad", Lane.DATA, "Approve", b'{"by": [', life.clock.wall, 9))
        await life.clock.advance(3)
        assert await life.status() is Status.WAITING
        assert "DEAD_LETTER" in await life.events()
        assert await handle.send(Approve()) is SendAnswer.ACCEPTED
        assert (await life.outcome()).status is Status.COMPLETED


async def test_what_nobody_consumed_is_closed_when_the_order_ends() -> None:
    """No message is left waiting for an order that has ended."""
    async with Life([approval()], World()) as life:  # type: ignore[list-item]
        handle = await life.start()
        await handle.send(Approve(), id="1")
        await handle.send(Approve(), id="2")
        await life.outcome()
        assert {mail.answer for mail in life.disk.mails.values()} == {"CONSUMED", "UNUSED"}


async def test_effects_of_a_message_happen_once_over_a_death_at_every_commit() -> None:
    """Consuming is part of the transition: the step behind the wait runs under one key, once acknowledged."""
    for commit in range(2, 8):
        world = World()
        async with Life([approval()], world) as life:  # type: ignore[list-item]
            handle = await life.start()
            await settle()
            life.store.die_at = (commit, "after")
            await life.survive(handle.send(Approve(), id="a"))
            await life.clock.advance(3)
            life.die()
        async with life.successor() as heir:
            await heir.coordinator.order("1").send(Approve(), id="a")
            assert (await heir.outcome()).status is Status.COMPLETED
        keys = {ctx.key for name, ctx in world.contexts if name == "charge"}
        assert len(keys) == 1
        assert len(world.applied) == 2


async def test_nothing_that_is_logged_or_shown_contains_payloads(caplog: pytest.LogCaptureFixture) -> None:
    """Neither inputs nor results nor messages; not in logs, history or the repr of what people see."""
    caplog.set_level("DEBUG")
    secret = "4111-1111"

    @step
    async def pay(approve: Approve, ctx: StepContext) -> Stranger:
        return Stranger(secret)

    @pay.compensation
    async def unpay(stranger: Stranger | None) -> None: ...

    async with Life([line_of(receive(Approve), pay)], World()) as life:
        handle = await life.start()
        await handle.send(Approve(secret), id="m")
        life.disk.apply(Accept("1", "bad", Lane.DATA, "Approve", b'"' + secret.encode(), 1.0, 9))
        outcome = await life.outcome()
        shown = [str(one) async for one in handle.history()]
        shown += [repr(outcome), repr(await handle.status()), repr(handle), caplog.text]
    assert outcome.result(pay) == Stranger(secret)
    assert not [text for text in shown if secret in text]
