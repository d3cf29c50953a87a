"""What the steps of random programs do."""

from __future__ import annotations

import asyncio

from atone import DidNotHappen, Happened, NeverWillHappen, Probe, StepContext, StillUnknown
from atone.testing.actions import Call

from .tickets import Participant, Ticket


async def do(ticket: Ticket, service: Participant, ctx: StepContext, **given: str | None) -> str:
    """Have it done; the receipt."""
    service.look_over(given, ctx)
    return f"{await service.do(key=ctx.key)}{'x' * ticket.size}"


async def look(ticket: Ticket, service: Participant, ctx: StepContext, **given: str | None) -> str:
    """Look without doing anything."""
    service.look_over(given, ctx)
    return f"{await service.look(key=ctx.key)}{'x' * ticket.size}"


async def do_stubbornly(ticket: Ticket, service: Participant, ctx: StepContext, **given: str | None) -> str:
    """Does not end when it is told to, but a while later, and perhaps with an answer."""
    try:
        return await do(ticket, service, ctx, **given)
    except asyncio.CancelledError:
        world = service.world
        if world is None or world.chance.random() < 0.5:
            raise
        await asyncio.sleep(world.chance.uniform(0, 4))
        if (answer := service.answered(ctx.key)) is None:
            raise
        return f"{answer}{'x' * ticket.size}"


def do_in_thread(ticket: Ticket, service: Participant, ctx: StepContext, **given: str | None) -> str:
    """The same, without waiting for anybody."""
    service.look_over(given, ctx)
    return f"{_at_once(service, service.do, ctx.key)}{'x' * ticket.size}"


async def undo(ticket: Ticket, service: Participant, ctx: StepContext, **given: str | None) -> None:
    """Have it undone."""
    service.look_over(given, ctx)
    await service.undo(key=ctx.action_key)


def undo_in_thread(ticket: Ticket, service: Participant, ctx: StepContext, **given: str | None) -> None:
    """The same, without waiting for anybody."""
    service.look_over(given, ctx)
    _at_once(service, service.undo, ctx.action_key)


def _at_once(service: Participant, call: Call, key: str) -> object:
    if service.world is not None:
        service.world.asked(service.name, call.name, key)
        service.ledger.sent.append((call.name, key))
    return service.carry_out(call, key, (), {})


async def find(ticket: Ticket, service: Participant, ctx: StepContext) -> Probe[str]:
    """Ask whether it was done: so far."""
    found = await service.find(key=ctx.action_key)
    if found is None:
        return DidNotHappen()
    return Happened(f"{found}{'x' * ticket.size}")


async def close(ticket: Ticket, service: Participant, ctx: StepContext) -> Probe[str]:
    """Ask, and let it never be done if it was not."""
    found = await service.close(key=ctx.action_key)
    return NeverWillHappen() if found is None else Happened(f"{found}{'x' * ticket.size}")


async def wonder(ticket: Ticket, service: Participant, ctx: StepContext) -> Probe[str]:
    """Ask somebody who does not always know."""
    world = service.world
    luck = world.chance.random() if world is not None else 1.0
    if luck < 0.3:
        return StillUnknown()
    if luck < 0.5:
        raise ConnectionError("nobody is there")
    return await find(ticket, service, ctx)
