"""Random sagas: every kind of place, in every order that a definition allows, with participants that keep ledgers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from datetime import timedelta
from random import Random
from typing import Any, cast, get_type_hints

from attrs import define, field, frozen

from atone import (
    DidNotHappen,
    Happened,
    NeverWillHappen,
    PermanentError,
    Probe,
    Retry,
    Saga,
    Step,
    StepContext,
    StillUnknown,
    parallel,
    receive,
    step,
)
from atone.sagas.context import idempotency_key
from atone.sagas.receive import Receive
from atone.sagas.saga import Group
from atone.testing import FakeService, action


@frozen
class Ticket:
    """The input of every program."""

    id: str
    waits: bool  #: whether `when` says that a message is awaited
    size: int = 0  #: characters that are added to each result


@frozen
class Yes:
    """A message."""

    by: str


@frozen
class No:
    """A message that may turn an order back."""

    by: str


@frozen
class Note:
    """A message of another kind."""

    text: str


class Participant(FakeService):
    """One who does things."""

    do = action(undo="undo", find="find")
    look = action(read_only=True)

    def __init__(self, *, keys: bool = True) -> None:
        super().__init__(keys=keys)
        self.peers: Sequence[Participant] = [self]
        self.wrong: list[str] = []  #: what steps were given that nobody had answered

    def look_over(self, given: dict[str, str | None], ctx: StepContext) -> None:
        """A step was given results of earlier ones: these must be what a participant, or a person, had answered."""
        for step_, value in given.items():
            key = idempotency_key(ctx.saga, ctx.order_id, step_, "action")
            answers = [
                one.ledger.answers.get((name, key)) for one in self.peers for name in ("do", "look", "look by hand")
            ]
            if value is not None and value.rstrip("x") not in answers:
                self.wrong.append(f"{ctx.step} of order {ctx.order_id} was given {value[:40]!r} for {step_}")

    async def close(self, *, key: str) -> object | None:
        """The answer that was given under a key; where there is none, the key is closed for ever."""
        await self.latency()
        answer = self.answered(key)
        if answer is None:
            self.ledger.closed.add(("do", key))
        await self.latency()
        return answer

    def by_hand(self, key: str) -> object:
        """Done by a person, whatever was refused before; no request under this key is taken any more."""
        self.ledger.closed.add(("do", key))
        return self._apply(self.do.action, key, (), {})

    def answered(self, key: str) -> object | None:
        """The receipt of what was done under a key."""
        answer = self.ledger.answers.get(("do", key))
        return None if isinstance(answer, PermanentError) else answer


class Keeper(Participant):
    """One who recognises a repeat."""


class Forgetful(Participant):
    """One who does not, and must never be asked twice."""

    def __init__(self) -> None:
        super().__init__(keys=False)


@define
class Confusion:
    """Orders whose `when` raises, until somebody sees to it."""

    ids: set[str] = field(factory=set)


@frozen
class Program:
    """A saga, and what its places are."""

    saga: Saga[Ticket]
    kinds: dict[str, str]  #: of each place, by name

    def participant(self, name: str) -> type[Participant]:
        """Who does a step."""
        return Forgetful if self.kinds[name].startswith("unrepeatable") else Keeper


class Draw:
    """Draws one program."""

    def __init__(self, chance: Random, confusion: Confusion) -> None:
        self._chance = chance
        self._confusion = confusion
        self._names: list[str] = []
        self._results: list[str] = []
        self._kinds: dict[str, str] = {}

    def program(self, version: int) -> Program:
        """A whole saga."""
        chance = self._chance
        length = chance.choice((1, 2, 2, 3, 3, 3, 4, 4, 5, 6))
        pivot = chance.randrange(length) if chance.random() < 0.7 else length
        places = [self._place(index - pivot) for index in range(length)]
        deadline = timedelta(seconds=chance.uniform(1, 20)) if chance.random() < 0.2 else None
        saga = Saga("program", version=version, input=Ticket, steps=places, deadline=deadline)
        return Program(saga, self._kinds)

    def _place(self, distance: int) -> Step[..., Any] | Group | Receive:
        """The next place, so far from the pivot."""
        chance = self._chance
        if distance == 0:
            return self._step(0)
        kind = chance.random()
        if kind < 0.2:
            return self._receive(retriable=distance > 0)
        if kind < 0.35:
            before = list(self._results)
            members: list[Step[..., Any]] = []
            added: list[str] = []
            for _ in range(chance.choice((2, 2, 3))):
                members.append(self._step(distance))
                added += [name for name in self._results if name not in before]
                self._results = list(before)  # members of a group do not see each other's results
            self._results += added
            return parallel(*members)
        return self._step(distance)

    def _receive(self, *, retriable: bool) -> Receive:
        chance = self._chance
        name = self._name("receive")
        types, decline = chance.choice(
            ((Yes | No, No), (Yes | No, None), (Yes, None), (Note, None), (Yes | Note, None))
        )
        timeout = timedelta(seconds=chance.choice((1, 4, 15)))
        return receive(
            types,
            decline=None if retriable else decline,
            timeout=None if retriable or chance.random() < 0.3 else timeout,
            when=self._when if chance.random() < 0.4 else None,
            name=name,
        )

    def _when(self, ticket: Ticket) -> bool:
        if ticket.id in self._confusion.ids:
            raise LookupError("nobody knows")
        return ticket.waits

    def _step(self, distance: int) -> Step[..., Any]:
        chance = self._chance
        kinds = ["plain", "plain", "probe", "closing probe", "clueless probe", "unrepeatable", "unrepeatable probe"]
        kinds += ["stubborn", "thread"] + ([] if distance == 0 else ["read-only"])
        kind = chance.choice(kinds)
        name = self._name(kind)
        made = step(
            name=name,
            timeout=chance.choice((0.2, 0.5, 2.0)),
            retry=_retry(chance, 4) if chance.random() < 0.8 else None,
            pivot=distance == 0,
            read_only=kind == "read-only",
            repeatable=not kind.startswith("unrepeatable"),
        )(self._action(kind))
        if "probe" in kind:
            made.probe(timeout=0.5, retry=_retry(chance, 3))(_probe(kind))
        if kind != "read-only" and distance < 0:
            made.compensation(timeout=chance.choice((0.5, 2.0)), retry=_retry(chance, 6))(
                self._compensation(kind, name)
            )
        self._results.append(name)
        return made

    def _name(self, kind: str) -> str:
        name = f"s{len(self._kinds)}"
        self._kinds[name] = kind
        return name

    def _action(self, kind: str) -> Callable[..., Any]:
        given = (
            self._chance.sample(self._results, self._chance.randrange(len(self._results) + 1)) if self._results else []
        )
        wanted: dict[str, Any] = {name: self._chance.choice((str, str | None)) for name in given}
        act = {"read-only": _look, "stubborn": _do_stubbornly, "thread": _do_in_thread}.get(kind, _do)
        return _typed(act, _service(kind), wanted, str)

    def _compensation(self, kind: str, name: str) -> Callable[..., Any]:
        knows = {name: str | None} if self._chance.random() < 0.5 else {}
        return _typed(_undo, _service(kind), knows, None)


def _service(kind: str) -> type[Participant]:
    return Forgetful if kind.startswith("unrepeatable") else Keeper


def _retry(chance: Random, most: int) -> Retry:
    return Retry(attempts=chance.randint(1, most), first=chance.choice((0.0, 0.1, 0.5)), longest=1.0)


def _typed(
    function: Callable[..., Any], service: type[Participant], given: dict[str, Any], result: object
) -> Callable[..., Any]:
    """A function of its own with these parameters, as injection wants to see them."""
    hints: dict[str, Any] = {"ticket": Ticket, "service": service, "ctx": StepContext, **given}
    kind = inspect.Parameter.KEYWORD_ONLY

    async def awaited(**arguments: Any) -> Any:
        return await function(**arguments)

    def called(**arguments: Any) -> Any:
        return function(**arguments)

    made: Any = awaited if inspect.iscoroutinefunction(function) else called
    made.__signature__ = inspect.Signature([inspect.Parameter(name, kind, annotation=hints[name]) for name in hints])
    made.__annotations__ = {**hints, "return": result}
    return cast("Callable[..., Any]", made)


# ── what steps do ──


async def _do(ticket: Ticket, service: Participant, ctx: StepContext, **given: str | None) -> str:
    service.look_over(given, ctx)
    return f"{await service.do(key=ctx.key)}{'x' * ticket.size}"


async def _look(ticket: Ticket, service: Participant, ctx: StepContext, **given: str | None) -> str:
    service.look_over(given, ctx)
    return f"{await service.look(key=ctx.key)}{'x' * ticket.size}"


async def _do_stubbornly(ticket: Ticket, service: Participant, ctx: StepContext, **given: str | None) -> str:
    """Does not end when it is told to, but a while later, and perhaps with an answer."""
    try:
        return await _do(ticket, service, ctx, **given)
    except asyncio.CancelledError:
        world = service.world
        if world is None or world.chance.random() < 0.5:
            raise
        await asyncio.sleep(world.chance.uniform(0, 4))
        if (answer := service.answered(ctx.key)) is None:
            raise
        return f"{answer}{'x' * ticket.size}"


def _do_in_thread(ticket: Ticket, service: Participant, ctx: StepContext, **given: str | None) -> str:
    service.look_over(given, ctx)
    if service.world is not None:
        service.world.asked(service.name, "do", ctx.key)
        service.ledger.sent.append(("do", ctx.key))
    return f"{service.carry_out(service.do, ctx.key, (), {})}{'x' * ticket.size}"


async def _undo(ticket: Ticket, service: Participant, ctx: StepContext, **given: str | None) -> None:
    service.look_over(given, ctx)
    await service.undo(key=ctx.action_key)


def _probe(kind: str) -> Callable[..., Any]:
    asked = {"probe": _find, "closing probe": _close, "clueless probe": _wonder, "unrepeatable probe": _close}[kind]
    return _typed(asked, _service(kind), {}, get_type_hints(asked)["return"])


async def _find(ticket: Ticket, service: Participant, ctx: StepContext) -> Probe[str]:
    found = await service.find(key=ctx.action_key)
    if found is None or isinstance(found, PermanentError):
        return DidNotHappen()
    return Happened(f"{found}{'x' * ticket.size}")


async def _close(ticket: Ticket, service: Participant, ctx: StepContext) -> Probe[str]:
    found = await service.close(key=ctx.action_key)
    return NeverWillHappen() if found is None else Happened(f"{found}{'x' * ticket.size}")


async def _wonder(ticket: Ticket, service: Participant, ctx: StepContext) -> Probe[str]:
    world = service.world
    luck = world.chance.random() if world is not None else 1.0
    if luck < 0.3:
        return StillUnknown()
    if luck < 0.5:
        raise ConnectionError("nobody is there")
    return await _find(ticket, service, ctx)
