"""Random sagas: every kind of place, in every order that a definition allows, with participants that keep ledgers."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from random import Random
from typing import Any, cast, get_type_hints

from attrs import frozen

from atone import Retry, Saga, Step, StepContext, parallel, receive, step
from atone.sagas.receive import Receive
from atone.sagas.saga import Group

from . import deeds
from .tickets import Confusion, Forgetful, Keeper, No, Note, Participant, Ticket, Yes


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
            undone = self._compensation(kind, name)
            made.compensation(timeout=chance.choice((0.5, 2.0)), retry=_retry(chance, 6))(undone)
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
        act = {"read-only": deeds.look, "stubborn": deeds.do_stubbornly, "thread": deeds.do_in_thread}.get(
            kind, deeds.do
        )
        return _typed(act, _service(kind), wanted, str)

    def _compensation(self, kind: str, name: str) -> Callable[..., Any]:
        knows = {name: str | None} if self._chance.random() < 0.5 else {}
        undo = deeds.undo_in_thread if self._chance.random() < 0.25 else deeds.undo
        return _typed(undo, _service(kind), knows, None)


def _service(kind: str) -> type[Participant]:
    return Forgetful if kind.startswith("unrepeatable") else Keeper


def _retry(chance: Random, most: int) -> Retry:
    return Retry(attempts=chance.randint(1, most), first=chance.choice((0.0, 0.1, 0.5)), longest=1.0)


def _probe(kind: str) -> Callable[..., Any]:
    asked = {
        "probe": deeds.find,
        "closing probe": deeds.close,
        "clueless probe": deeds.wonder,
        "unrepeatable probe": deeds.close,
    }[kind]
    return _typed(asked, _service(kind), {}, get_type_hints(asked)["return"])


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
