"""Participants for simulations, which remember every effect and misbehave as told.

    class Payments(FakeService):
        charge = action(undo="refund")

Steps call `await payments.charge(key=ctx.key, cents=100)` and `await payments.refund(key=ctx.action_key)`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any

from ..sagas import PermanentError
from .actions import Action, Call, Declaration
from .indoors import IndoorLoop
from .ledger import Effect, Ledger
from .outcomes import AnswerLost, Fate, Outcomes
from .world import World, never


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
        self.number = 1  #: among those of a simulation whose classes have this name

    def __getattr__(self, name: str) -> Any:
        """The methods that `undo=` and `find=` name, which type checkers cannot see; there are no others."""
        msg = f"{type(self).__name__!r} has no {name!r}"
        if name in {"keys", "tombstones", "outcomes", "plans", "ledger", "world", "number"}:
            msg += ": its __init__ has to call super().__init__()"
        elif not name.startswith("_"):
            msg += f"; it declares: {', '.join(self.calls()) or 'nothing'}"
        raise AttributeError(msg, name=name, obj=self)

    @property
    def name(self) -> str:
        """The name of the service in stories and crash points."""
        return f"{type(self).__name__}{self.number if self.number > 1 else ''}"

    @classmethod
    @cache  # asked in every history
    def actions(cls) -> dict[str, Action]:
        """The declared actions by name."""
        found = {name: one for base in reversed(cls.__mro__) for name, one in vars(base).items()}
        return {name: one.action for name, one in found.items() if isinstance(one, Declaration)}

    @classmethod
    @cache
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
            self._refuse_strangers()
            return self.carry_out(call, key, args, kwargs)
        await world.alive()
        self.ledger.sent.append((call.name, key))
        self.ledger.arguments.setdefault((call.name, key), []).append((args, kwargs))
        asked = world.asked(self.name, call.name, key)
        fate = self._fate(call, key, world)
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
        world.answered(asked)
        return answer

    def _refuse_strangers(self) -> None:
        """Raise `LookupError` in a simulation that does not know this fake, and would judge nothing that it does."""
        loop = asyncio._get_running_loop()  # noqa: SLF001  # the public one raises
        if isinstance(loop, IndoorLoop):
            what = f"{self.name} is not among the services of this simulation: give it beside the client that it is in"
            loop.problems.append(what)
            raise LookupError(what)  # noqa: TRY004  # it is not there

    async def _there_and_back(
        self, world: World, call: Call, key: str, args: tuple[Any, ...], kwargs: dict[str, Any], *, refused: bool
    ) -> Any:
        def arrive() -> None:
            awaited = world.loop is loop
            if awaited and not world.passed(f"{call.name}:before_effect"):
                return
            try:
                answer = self.carry_out(call, key, args, kwargs, refused=refused)
            except Exception as error:  # noqa: BLE001  # a refusal, or a mistake in what makes the answer
                failure.append(error)
            else:
                answers.append(answer)
            if awaited and world.passed(f"{call.name}:after_effect") and not arrived.done():
                arrived.set_result(None)

        answers: list[Any] = []
        failure: list[Exception] = []
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
        if self.keys and (name, key) in ledger.answers:
            known = ledger.answers[name, key]
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

    def _fate(self, call: Call, key: str, world: World) -> Fate:
        """What is planned for this key (of `charge`, for the second one: `charge#2`), for the call, or drawn."""
        if self.plans:
            keys = dict.fromkeys(used for name, used in self.ledger.sent if name == call.name)
            for name in (f"{call.name}#{list(keys).index(key) + 1}", call.name):
                plan = self.plans.get(name)
                if plan:
                    return plan.pop(0)
        return self.outcomes.draw(world.chance, undo=call.undo) if self.outcomes is not None else Fate.OK

    def _tell(self, text: str) -> None:
        if self.world is not None:
            self.world.tell(self.name, text)

    def _time(self) -> float:
        return self.world.elapsed if self.world is not None else 0.0


def tell_apart(fakes: Iterable[FakeService]) -> None:
    """Number those whose classes have one name, so that each has a name of its own."""
    seen = Counter[str]()
    for fake in fakes:
        seen[type(fake).__name__] += 1
        fake.number = seen[type(fake).__name__]


def _delay(world: World) -> float:
    return 0.001 + world.chance.random() * 0.02
