"""Participants for simulations, which remember every effect and misbehave as told.

    class Payments(FakeService):
        charge = action(undo="refund")

Steps call `await payments.charge(key=ctx.key, cents=100)` and `await payments.refund(key=ctx.action_key)`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Self, overload

from attrs import define, frozen

from ..sagas import PermanentError
from .ledger import Effect, Ledger
from .outcomes import AnswerLost, Fate, Outcomes
from .world import World, never


@define(eq=False)
class Action:
    """What a service can do: an action, the name of its undo, and of what looks its answer up."""

    answer: Callable[..., Any] | None
    undo: str | None
    find: str | None
    read_only: bool
    name: str = ""


class Declaration:
    """Stands in the class body; becomes a `Call` on the instance."""

    def __init__(self, action: Action) -> None:
        self.action = action

    def __call__(self, answer: Callable[..., Any]) -> Self:
        """Decorate the function that makes the answer."""
        self.action.answer = answer
        return self

    def __set_name__(self, owner: type, name: str) -> None:
        action = self.action
        action.name = name
        if action.undo is not None:
            setattr(owner, action.undo, _Derived(lambda service: Call(service, action, action.undo or "", undo=True)))
        if action.find is not None:
            setattr(owner, action.find, _Derived(lambda service: Lookup(service, action)))

    @overload
    def __get__(self, service: None, _owner: type) -> Self: ...
    @overload
    def __get__(self, service: FakeService, _owner: type) -> Call: ...
    def __get__(self, service: FakeService | None, _owner: type) -> Self | Call:
        return self if service is None else Call(service, self.action, self.action.name, undo=False)


class _Derived:
    """A method that a declaration names."""

    def __init__(self, make: Callable[[FakeService], Any]) -> None:
        self._make = make

    def __get__(self, service: FakeService | None, _owner: type) -> Any:
        return self if service is None else self._make(service)


def action(
    answer: Callable[..., Any] | None = None,
    *,
    undo: str | None = None,
    find: str | None = None,
    read_only: bool = False,
) -> Declaration:
    """Declare an action of a `FakeService`.

    `undo` names the method that takes it back, `find` one that looks its answer up by key (for probes).
    `read_only` says that it has no effect. The answer is a receipt such as `"charge-1"`, or what `answer` returns
    when called with the service and the call's arguments, once for each effect; `action` also decorates it.
    """
    return Declaration(Action(answer, undo, find, read_only))


@frozen
class Lookup:
    """The method that `find` named: the answer that an action gave under a key, or `None`."""

    service: FakeService
    action: Action

    async def __call__(self, *, key: str) -> Any:
        """Ask what became of a key."""
        await self.service.latency()
        return self.service.ledger.answers.get((self.action.name, key))


@frozen
class Call:
    """An action, or its undo, of one service: call it, or plan what becomes of its next calls."""

    service: FakeService
    action: Action
    name: str
    undo: bool

    def plan(self, *fates: str) -> None:
        """The fates of the next calls, one after another: `plan("lost", "ok")`."""
        self.service.plans.setdefault(self.name, []).extend(map(Fate, fates))

    def __call__(self, *args: Any, key: str, **kwargs: Any) -> Awaitable[Any]:
        """Send the request under an idempotency key; raises `PermanentError` where it is refused."""
        return self.service.request(self, key, args, kwargs)


class FakeService:
    """A participant with an effect ledger, idempotency keys and tombstones.

    `keys=False` makes it one that does not recognise a repeat, `tombstones=False` one that accepts an action after
    its undo: what that costs, a simulation shows. `outcomes` draws the fates of calls that no plan names.
    """

    def __init__(self, *, keys: bool = True, tombstones: bool = True, outcomes: Outcomes | None = None) -> None:
        self.keys, self.tombstones = keys, tombstones
        self.outcomes = outcomes
        self.plans: dict[str, list[Fate]] = {}
        self.ledger = Ledger()
        self.world: World | None = None

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """The methods that `undo=` and `find=` name, which type checkers cannot see."""

    @property
    def name(self) -> str:
        """The name of the service in stories and crash points."""
        return type(self).__name__

    @classmethod
    def actions(cls) -> dict[str, Action]:
        """The declared actions by name."""
        found = {name: one for base in reversed(cls.__mro__) for name, one in vars(base).items()}
        return {name: one.action for name, one in found.items() if isinstance(one, Declaration)}

    @classmethod
    def calls(cls) -> dict[str, bool]:
        """What can be asked of it, and whether that undoes something."""
        undos = [one.undo for one in cls.actions().values() if one.undo is not None]
        return dict.fromkeys(cls.actions(), False) | dict.fromkeys(undos, True)

    def standing(self, key: str) -> set[str]:
        """The actions whose effect under this key stands."""
        return {name for (name, used), count in self.ledger.standing.items() if used == key and count > 0}

    async def request(self, call: Call, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """One request on its way there and back."""
        world = self.world
        if world is None:
            return self.carry_out(call, key, args, kwargs)
        await world.alive()
        self.ledger.sent.append((call.name, key))
        world.asked(self.name, call.name, key)
        fate = self._fate(call, world)
        self._tell(f"{call.name}?" if fate is Fate.OK else f"{call.name}?  (will be: {fate.value.replace('_', ' ')})")
        if fate is Fate.LOST:
            await self.latency()
            raise AnswerLost(f"no connection to {self.name}")
        if fate is Fate.HANG:
            await never()
        if fate is Fate.LATE:
            world.send(40 + world.chance.random() * 20, lambda: self._arrive_late(call, key, args, kwargs), late=True)
            await never()
        answer = await self._there_and_back(world, call, key, args, kwargs, refused=fate is Fate.REFUSED)
        if fate is Fate.APPLIED_ANSWER_LOST:
            raise AnswerLost(f"the answer of {self.name} was lost")
        return answer

    async def _there_and_back(
        self, world: World, call: Call, key: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, refused: bool
    ) -> Any:
        def arrive() -> None:
            awaited = world.loop is loop
            if awaited and not world.passed(f"{call.name}:before_effect"):
                return
            try:
                answer = self.carry_out(call, key, args, kwargs, refused=refused)
            except PermanentError as error:
                failure.append(error)
            else:
                answers.append(answer)
            if awaited and world.passed(f"{call.name}:after_effect") and not arrived.done():
                arrived.set_result(None)

        answers: list[Any] = []
        failure: list[PermanentError] = []
        loop = asyncio.get_running_loop()
        arrived: asyncio.Future[None] = loop.create_future()
        world.send(_delay(world), arrive)
        await arrived
        await self.latency()
        if failure:
            raise failure[0]
        return answers[0]

    async def latency(self) -> None:
        """Let a little time pass, as a network does."""
        if self.world is not None:
            await self.world.alive()
            await asyncio.sleep(_delay(self.world))

    def carry_out(
        self, call: Call, key: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, refused: bool = False
    ) -> Any:
        """What the participant does when a request arrives."""
        ledger, name = self.ledger, call.action.name
        ledger.calls.append((call.name, key))
        if self.world is not None:
            self.world.version += 1
        if call.undo:
            return self._undo(call, key, refused=refused)
        if self.tombstones and (name, key) in ledger.closed:
            self._tell(f"{name} is refused: its key was undone")
            raise PermanentError(f"{self.name} has closed this key: {name} was undone")
        known = ledger.answers.get((name, key))
        if self.keys and known is not None:
            self._tell(f"{name} again: first answer")
            if isinstance(known, PermanentError):
                raise known.with_traceback(None)
            return known
        if refused:
            error = PermanentError(f"{self.name} refused {name}")
            ledger.answers[name, key] = error
            self._tell(f"{name} is refused")
            raise error
        return self._apply(call.action, key, args, kwargs)

    def _apply(self, declared: Action, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        ledger, name = self.ledger, declared.name
        answer: Any = f"{name}-{len(ledger.lines) + 1}"
        if declared.answer is not None:
            answer = declared.answer(self, *args, **kwargs)
        ledger.answers[name, key] = answer
        if not declared.read_only:
            ledger.standing[name, key] = ledger.standing.get((name, key), 0) + 1
            ledger.lines.append(Effect(self._time(), self.name, name, key))
            self._tell(f"{name} ✔")
        return answer

    def _undo(self, call: Call, key: str, *, refused: bool) -> None:
        ledger, name = self.ledger, call.action.name
        if refused:
            self._tell(f"{call.name} is refused")
            raise PermanentError(f"{self.name} refused {call.name}")
        place = (name, key)
        known = ledger.standing.get(place, 0) > 0
        if known or place not in ledger.closed:
            ledger.lines.append(Effect(self._time(), self.name, name, key, undone=True, known=known))
        if known:
            ledger.standing[place] -= 1
        ledger.closed.add(place)
        self._tell(f"{call.name} ✔" if known else f"{call.name}: nothing to undo")

    def _arrive_late(self, call: Call, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._tell(f"{call.name} arrives late")
        try:
            self.carry_out(call, key, args, kwargs)
        except PermanentError:
            return

    def _fate(self, call: Call, world: World) -> Fate:
        plan = self.plans.get(call.name)
        if plan:
            return plan.pop(0)
        return self.outcomes.draw(world.chance, undo=call.undo) if self.outcomes is not None else Fate.OK

    def _tell(self, text: str) -> None:
        if self.world is not None:
            self.world.tell(self.name, text)

    def _time(self) -> float:
        return self.world.elapsed if self.world is not None else 0.0


def _delay(world: World) -> float:
    return 0.001 + world.chance.random() * 0.02
