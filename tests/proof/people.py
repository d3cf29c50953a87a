"""Customers, who place orders and change their minds, and operators, who see to what is parked, truthfully."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from attrs import define, field

from atone import DID_NOT_HAPPEN, AnswerPending, Coordinator, Handle, OrderConflict, Park, ParkReason, VerbAnswer
from atone.sagas.context import idempotency_key
from atone.storage import Record
from atone.testing.evidence import Promise

from .season import Season
from .tickets import No, Note, Participant, Ticket, Yes


@define(eq=False)
class Customer:
    """Places one order, and sends whatever comes to mind."""

    season: Season
    ticket: Ticket
    started: asyncio.Event = field(factory=asyncio.Event)

    async def serve(self) -> None:
        """From the first request to the last."""
        season, weather, chance, id = self.season, self.season.weather, self.season.chance, self.ticket.id
        await asyncio.sleep(chance.random() * weather.spread)
        season.expect(id)
        if chance.random() < weather.confusion:
            season.confusion.ids.add(id)
        await self._start(self.ticket)
        acts = [self._repeat] * (chance.random() < 0.05)
        acts += [self._cancel] * (chance.random() < weather.cancels)
        acts += [self._suspend] * (chance.random() < weather.meddling)
        acts += [self._say] * (chance.randint(1, 3) if chance.random() < weather.messages else 0)
        chance.shuffle(acts)
        for act in acts:
            await asyncio.sleep(chance.choice((0.0, 0.03, 0.3, 2.0)) * chance.random())
            await act()

    async def _start(self, ticket: Ticket) -> None:
        asked = self._now
        await self.season.ask(lambda one: one.start(self.season.programs[0].saga, ticket, id=ticket.id))
        self._promise(asked, "start")

    async def _repeat(self) -> None:
        self.season.happened["client: started twice"] += 1
        await self._start(self.ticket)
        other = Ticket(self.ticket.id, not self.ticket.waits)
        try:
            await self._start(other)
        except OrderConflict:
            return
        self.season.violate("start", "A start with another input is refused.", other.id, "it was accepted")

    async def _cancel(self) -> None:
        chance, number = self.season.chance, f"cancel-{self.ticket.id}"
        for _ in range(1 + (chance.random() < 0.2)):
            asked = self._now
            answer = await self._decided(
                lambda order: order.cancel("changed their mind", by="carol", id=number, timeout=3.0)
            )
            self._promise(asked, "cancel", number, str(answer))
            self.season.happened[f"cancel: {answer}"] += 1

    async def _suspend(self) -> None:
        chance = self.season.chance
        asked = self._now
        answer = await self._decided(lambda order: order.suspend(by="dave", why="to look at it"))
        self._promise(asked, "suspend", "", str(answer))
        self.season.happened[f"suspend: {answer}"] += 1
        if chance.random() < 0.7:
            await asyncio.sleep(chance.random() * 4)
            asked = self._now
            answer = await self._decided(lambda order: order.resume(by="dave", why="seen"))
            self._promise(asked, "resume", "", str(answer))
            self.season.happened[f"resume: {answer}"] += 1

    async def _say(self) -> None:
        chance = self.season.chance
        message = chance.choice((Yes("alice"), Yes("alice"), No("bob"), Note("hello")))
        number = f"word-{chance.randrange(4)}"
        for _ in range(1 + (chance.random() < 0.3)):
            asked = self._now
            answer = await self.season.ask(lambda one: one.order(self.ticket.id).send(message, id=number))
            self._promise(asked, "send", number, str(answer), type(message).__name__)
            self.season.happened[f"send: {answer}"] += 1

    async def _decided(self, verb: Callable[[Handle], Coroutine[Any, Any, Any]]) -> Any:
        return await decided(self.season, self.ticket.id, verb)

    @property
    def _now(self) -> int:
        return len(self.season.journal.events)

    def _promise(self, asked: int, what: str, number: str = "", answer: str = "", kind: str = "") -> None:
        self.season.promises.append(Promise(what, self.ticket.id, number, answer, kind, asked, self._now))


async def decided(season: Season, id: str, verb: Callable[[Handle], Coroutine[Any, Any, Any]]) -> Any:
    """Ask for a decision until there is one."""

    async def question(one: Coordinator) -> Any:
        return await verb(one.order(id))

    while True:
        try:
            return await season.ask(question)
        except AnswerPending:
            season.happened["client: answer pending"] += 1


@define(eq=False)
class Operator:
    """Looks at what is parked, finds out what is true, and says so."""

    season: Season

    async def work(self) -> None:
        """Look now and then."""
        while self.season.weather.operators and not self.season.calm:
            await asyncio.sleep(self.season.weather.operators)
            for record in self.season.listed("PARKED"):
                if self.season.chance.random() < 0.5:
                    await self.see_to(record, leave=self.season.weather.abandons)

    async def see_to(self, record: Record, *, leave: bool) -> None:
        """Do something about one order."""
        season = self.season
        status = await season.ask(lambda one: one.order(record.id).status())
        park = status.park
        if park is None or park.reason is ParkReason.DEFINITION:
            return
        verbs = [self._retry, self._retry, self._resolve, self._skip] + [self._abandon] * leave
        name, verb = season.chance.choice(verbs)(record, park)
        if verb is None:
            return
        asked = len(season.journal.events)
        answer = await decided(season, record.id, verb)
        told = len(season.journal.events)
        season.promises.append(Promise(name, record.id, "", str(answer), "", asked, told))
        season.happened[f"{name} {park.reason}: {answer}"] += 1
        if answer == VerbAnswer.STALE:
            season.happened["verb: stale"] += 1

    def _retry(self, record: Record, park: Park) -> Any:
        if park.reason is ParkReason.PREDICATE:
            self.season.confusion.ids.discard(record.id)
        self.season.faults.cursed.discard(record.key)
        return "retry", lambda order: order.retry(park.number, by="erin", why="it may work now")

    def _skip(self, record: Record, park: Park) -> Any:
        return "skip", lambda order: order.skip(park.number, by="erin", why="not worth it")

    def _abandon(self, record: Record, park: Park) -> Any:
        return "abandon", lambda order: order.abandon(park.number, by="erin", why="not worth it")

    def _resolve(self, record: Record, park: Park) -> Any:
        """The truth, made certain first: what did not happen is done by hand, or made impossible."""
        if park.step is None or park.reason not in {ParkReason.IN_DOUBT, ParkReason.STEP, ParkReason.COMPENSATION}:
            return "resolve", None
        season = self.season
        program = season.program(record)
        (service,) = [one for one in season.services if type(one) is program.participant(park.step)]
        key = idempotency_key(record.definition.kind, record.id, park.step, "action")
        truth = self._truth(service, park, key, read_only=program.kinds[park.step] == "read-only")
        return "resolve", lambda order: order.resolve(park.number, truth, by="erin", why="I have looked")

    def _truth(self, service: Participant, park: Park, key: str, *, read_only: bool) -> object:
        if park.reason is ParkReason.COMPENSATION:
            service.carry_out(service.undo, key, (), {})
            return None
        if read_only:
            return service.ledger.answers.setdefault(("look by hand", key), "seen")
        if park.reason is ParkReason.IN_DOUBT and not service.ledger.standing.get(("do", key), 0):
            service.ledger.closed.add(("do", key))
            return DID_NOT_HAPPEN
        if (answer := service.answered(key)) is None:
            answer = service.by_hand(key)
        return answer
