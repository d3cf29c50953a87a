"""Accepted means committed: verdicts, limits, waits, and who wins when time runs out."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from attrs import frozen

from atone import (
    InvalidId,
    MailboxFull,
    Saga,
    SendAnswer,
    Status,
    StepContext,
    TooLarge,
    Undecodable,
    Unencodable,
    receive,
    step,
)
from atone.sagas import access
from atone.storage import Accept, Lane, make_converter
from tests.manual_runtime import settle
from tests.sagas.harness import Life
from tests.sagas.world import Approve, Decline, Order, World, effect, line_of

pytestmark = pytest.mark.anyio

MINUTE = timedelta(seconds=60)


@frozen
class Stranger:
    text: str = ""


def approval(**options: Any) -> Saga[Order]:
    """Wait for a decision between two steps."""
    wait = receive(Approve | Decline, decline=Decline, name="decision", **options)
    return line_of(effect("reserve"), wait, effect("charge"))


@frozen
class Count:
    pieces: int


async def test_a_message_whose_fields_are_of_other_types_is_refused() -> None:
    """Accepted it would be set aside when its order takes it, and its sender would never know."""
    world = World()
    async with Life([approval()], world) as life:
        handle = await life.start("1")
        with pytest.raises(Undecodable, match=r"the message Count does not fit .*pieces"):
            await handle.send(Count("two"))  # type: ignore[arg-type]
        assert [one.event async for one in handle.history()] == ["BEGUN"]


async def test_a_message_leads_the_order_on() -> None:
    """The order waits, and the message is durable when `send` returns."""
    world = World()
    async with Life([approval()], world) as life:
        handle = await life.start()
        assert await life.status() is Status.WAITING
        assert await handle.send(Approve()) is SendAnswer.ACCEPTED
        assert (await life.outcome()).status is Status.COMPLETED


async def test_a_message_that_comes_early_is_kept() -> None:
    """It is taken as soon as the order gets there."""
    world, gate = World(), asyncio.Event()
    world.script["reserve"] = [gate]
    async with Life([approval()], world) as life:
        handle = await life.start()
        assert await handle.send(Approve()) is SendAnswer.ACCEPTED
        await settle()
        assert await life.status() is Status.RUNNING
        gate.set()
        assert (await life.outcome()).status is Status.COMPLETED


async def test_a_repeated_message_is_told_apart_from_a_new_one() -> None:
    """By its id, also after it was consumed."""
    async with Life([approval()], World()) as life:
        handle = await life.start()
        assert await handle.send(Approve(), id="a-1") is SendAnswer.ACCEPTED
        await settle()
        assert await handle.send(Approve(), id="a-1") is SendAnswer.DUPLICATE
        await life.outcome()
        assert await handle.send(Approve(), id="a-1") is SendAnswer.DUPLICATE


async def test_messages_for_nobody_are_told_so() -> None:
    """An order that never was, one that has ended, and one whose saga has no place for it."""
    async with Life([approval()], World()) as life:
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
    async with Life([approval()], world) as life:
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
    async with Life([approval()], World()) as life:
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
    async with Life([approval()], World()) as life:
        handle = await life.start()
        await handle.send(Approve(), id="1")
        await handle.send(Approve(), id="2")
        await life.outcome()
        assert {mail.answer for mail in life.disk.mails.values()} == {"CONSUMED", "UNUSED"}


async def test_effects_of_a_message_happen_once_over_a_death_at_every_commit() -> None:
    """Consuming is part of the transition: the step behind the wait runs under one key, once acknowledged."""
    for commit in range(2, 8):
        world = World()
        async with Life([approval()], world) as life:
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
    card = "4111-1111"

    @step
    async def pay(approve: Approve, ctx: StepContext) -> Stranger:
        return Stranger(card)

    @pay.compensation
    async def unpay(stranger: Stranger | None) -> None: ...

    async with Life([line_of(receive(Approve), pay)], World()) as life:
        handle = await life.start()
        await handle.send(Approve(card), id="m")
        life.disk.apply(Accept("1", "bad", Lane.DATA, "Approve", b'"' + card.encode(), 1.0, 9))
        outcome = await life.outcome()
        shown = [str(one) async for one in handle.history()]
        shown += [repr(outcome), repr(await handle.status()), repr(handle), caplog.text]
    assert outcome.result(pay) == Stranger(card)
    assert not [text for text in shown if card in text]


async def test_a_message_that_met_a_lack_of_memory_is_read_again() -> None:
    """That says nothing of the message, which was accepted: it must not be set aside."""
    converter, read = make_converter(), 0

    def structure(fields: dict[str, str], _: object) -> Approve:
        nonlocal read
        read += 1
        if read == 2:  # the first time it was accepted
            raise MemoryError
        return Approve(**fields)

    converter.register_structure_hook(Approve, structure)
    async with Life([approval()], World(), options={"converter": converter}) as life:
        handle = await life.start()
        await life.reach(Status.WAITING)
        assert await handle.send(Approve()) is SendAnswer.ACCEPTED
        assert (await life.outcome()).status is Status.COMPLETED
        assert "DEAD_LETTER" not in await life.events()
