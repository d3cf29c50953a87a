"""Faults on the way of messages and timers: what is accepted, answered, consumed and waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from typing import Any
from unittest.mock import patch

from attrs import evolve

from atone import CancelAnswer
from atone.actors import Actor, Supervisor
from atone.actors.actor import Turn
from atone.actors.mailbox import Mailbox
from atone.sagas import verbs
from atone.sagas.access import Access
from atone.sagas.behaviour import OrderBehaviour, OrderState
from atone.sagas.draft import Draft
from atone.sagas.events import Control, Verb
from atone.storage import Advance, Done, Lane, Phase, Snapshot, StoreError
from atone.storage.disk import Disk

from ..oracle import END
from .mutant import mutant

Planted = AbstractContextManager[object]

_asked: set[asyncio.Future[str]] = set()  #: keeps requests that nobody waits for from being collected


@mutant("scenarios", "S12 truthful answers")
def cancel_lost() -> Planted:
    """A cancel is answered ACCEPTED, and the order goes on."""

    def cancel(draft: Draft, event: Control) -> str:
        return CancelAnswer.TOO_LATE if draft.too_late else CancelAnswer.ACCEPTED

    return patch.dict(verbs._VERBS, {Verb.CANCEL: cancel})


@mutant("scenarios", "S12 truthful answers")
def cancel_answered_early() -> Planted:
    """A cancel is answered before it is on disk."""
    real = Access.request

    async def request(self: Access, order_id: str, control: Control, message_id: str | None, seconds: float) -> str:
        if control.verb is not Verb.CANCEL:
            return await real(self, order_id, control, message_id, seconds)
        asked = asyncio.ensure_future(real(self, order_id, control, message_id, seconds))
        _asked.add(asked)
        asked.add_done_callback(_asked.discard)
        return CancelAnswer.ACCEPTED

    return patch.object(Access, "request", request)


@mutant("scenarios", "S11 once")
def messages_twice() -> Planted:
    """A message that is sent again with the same id counts again."""
    real = Access._accept

    async def accept(self: Access, order_id: str, message_id: str | None, lane: Lane, *rest: Any, **named: Any) -> Any:
        return await real(self, order_id, f"{message_id}-{self.runtime.new_id()}", lane, *rest, **named)

    return patch.object(Access, "_accept", accept)


@mutant("scenarios", "L1 an end")
def parted_unread() -> Planted:
    """A message that is read while its actor is let go from memory is lost until the next host."""

    async def read(self: Supervisor[Any], actor: Actor[Any]) -> None:
        try:
            messages = await self.store.messages(actor.key)
        except StoreError as error:
            self.unknown(error)
            return
        if not actor.stopped:
            actor.deliver(messages)

    return patch.object(Supervisor, "_read_messages", read)


@mutant("scenarios", "S11 once")
def consumed_afterwards() -> Planted:
    """A message is marked as consumed a moment after the commit that it caused."""
    real = Disk._advance

    def advance(self: Disk, write: Advance) -> Any:
        result = real(self, write)
        if isinstance(result, Done):
            mails = [self.mails[seq] for seq, _ in write.consumed]
            for mail, (_, answer) in zip(mails, write.consumed, strict=True):
                mail.answer = None
                asyncio.get_running_loop().call_later(0.01, setattr, mail, "answer", answer)
        return result

    return patch.object(Disk, "_advance", advance)


@mutant("scenarios", END)
def timeout_first() -> Planted:
    """A wait that has run out is ended before a message that was accepted in time is taken."""

    def take(self: Mailbox, accepts: Callable[[Any, Any], bool], state: Any) -> object | None:
        if self.reports:
            report, self.reports = self.reports[0], self.reports[1:]
            return report
        return real(self, accepts, state)

    def advance(self: Actor[Any], turn: Turn[Any]) -> Advance:
        return evolve(real_advance(self, turn), waiting=None)

    real, real_advance = Mailbox.take, Actor._advance
    with ExitStack() as planted:
        planted.enter_context(patch.object(Mailbox, "take", take))
        planted.enter_context(patch.object(Actor, "_advance", advance))
        return planted.pop_all()


@mutant("scenarios", END)
def timer_lost() -> Planted:
    """A wait knows until when it lasts only as long as its process lives."""
    real, arm = OrderBehaviour.encode, Actor.arm

    def encode(self: OrderBehaviour, state: OrderState) -> Snapshot:
        snapshot = real(self, state)
        return evolve(snapshot, wake_at=None) if snapshot.phase is Phase.IDLE else snapshot

    def resumed(self: Supervisor[Any], record: Any, state: Any) -> None:
        with patch.object(Actor, "arm", lambda self, wake_at: None):
            resume(self, record, state)

    def armed(self: Actor[Any], wake_at: float | None) -> None:
        arm(self, wake_at if wake_at is not None else real_wake_at(self))

    def real_wake_at(actor: Actor[Any]) -> float | None:
        return real(actor.behaviour, actor.state).wake_at  # type: ignore[arg-type]

    def settled(self: Supervisor[Any], actor: Actor[Any]) -> None:
        if real_wake_at(actor) is None:
            settle(self, actor)

    resume, settle = Supervisor.resume, Supervisor.settled
    with ExitStack() as planted:
        for owner, name, faulty in (
            (OrderBehaviour, "encode", encode), (Supervisor, "resume", resumed), (Supervisor, "settled", settled),
            (Actor, "arm", armed),
        ):  # fmt: skip
            planted.enter_context(patch.object(owner, name, faulty))
        return planted.pop_all()
