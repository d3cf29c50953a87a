"""Kill the process everywhere, one history after another, and judge each of them."""

from __future__ import annotations

import copy
import functools
import inspect
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast, overload

from attrs import define, evolve, field, frozen

from ..sagas import Saga
from .outcomes import Fate
from .rehearsal import rehearse
from .services import FakeService
from .settings import settings
from .simulation import Simulation, drive
from .spy import Flaw
from .story import SagaFailure, Story

I = TypeVar("I")  # noqa: E741  # the input; one letter, as type variables are
Provide = Sequence[object] | Mapping[Any, object]
Scenario = Callable[[Simulation], Awaitable[None]]

#: How many calls of an action are late: more than most policies try before the pivot.
LATE_CALLS = 6
#: Deaths in one history, at the most.
DEEPEST = 2


@frozen
class Disturbance:
    """What is wrong with the world in a history, apart from crashes."""

    call: str = ""  #: the action, or its undo; empty where nothing is wrong
    fate: str = ""

    def __str__(self) -> str:
        return f"{self.call}={self.fate}" if self.call else ""

    def prepare(self, sim: Simulation) -> None:
        """Plan it."""
        for service in sim.services.values():
            if isinstance(service, FakeService) and self.call in service.calls():
                once = service.calls()[self.call] or self.fate == Fate.REFUSED
                service.plans[self.call] = [Fate(self.fate)] * (1 if once else LATE_CALLS)


@frozen
class History:
    """One run: a disturbance, and the callbacks before which the process dies."""

    disturbance: Disturbance = Disturbance()
    crashes: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{self.disturbance}@{','.join(map(str, self.crashes))}"

    @classmethod
    def parse(cls, text: str) -> History:
        """The history that `str` wrote."""
        what, _, numbers = text.partition("@")
        call, _, fate = what.partition("=")
        return cls(Disturbance(call, fate), tuple(int(number) for number in numbers.split(",") if number))


@define
class Coverage:
    """How much was tried. All of it held, or `SagaFailure` would have been raised."""

    points: int = 0  #: crash points of the undisturbed run
    kills: int = 0  #: histories with one crash, in disturbed runs as well
    pairs: int = 0  #: histories with a second crash, in the recovery
    disturbances: int = 0  #: runs in which something besides a crash went wrong
    histories: int = 0
    seconds: float = 0.0
    complete: bool = True  #: whether it came to the end within its budget
    ends: Counter[str] = field(factory=Counter[str])  #: how orders stood in the end

    def __str__(self) -> str:
        parts = [f"{self.points} crash points", f"{self.kills} kills"]
        parts += [f"{self.pairs} pairs"] if self.pairs else []
        parts += [f"{self.disturbances} disturbances", f"{self.histories} histories", f"{self.seconds:.1f} s"]
        return ", ".join(parts) + ("" if self.complete else " (out of budget)")


class _OutOfBudget(Exception):
    """The time for this test is over."""


@define(eq=False)
class _Campaign:
    """All histories of one scenario."""

    name: str
    scenario: Scenario
    sagas: Sequence[Saga[Any]]
    services: Provide
    seed: int
    store: Literal["memory", "sqlite"]
    crashes: int
    every: bool  #: whether callbacks count in which only the engine kept house
    budget: float | None
    coverage: Coverage = field(factory=Coverage)
    _end: float = field(init=False)
    _began: float = field(factory=time.perf_counter)

    def __attrs_post_init__(self) -> None:
        self._end = self._began + self.budget if self.budget is not None else float("inf")

    def run(self) -> Coverage:
        """Every history, or the one that was asked for."""
        coverage = self.coverage
        try:
            if settings.crash is not None:
                self._play(History.parse(settings.crash))
            else:
                self._explore()
        except _OutOfBudget:
            coverage.complete = False
        coverage.seconds = time.perf_counter() - self._began
        settings.lines.append(f"{self.name}: {coverage}")
        return coverage

    def _explore(self) -> None:
        quiet = self._play(History(), watch=True)
        disturbances = [Disturbance(), *_disturbances(quiet)]
        self.coverage.disturbances = len(disturbances) - 1
        for disturbance in disturbances:
            history = History(disturbance)
            seen = quiet if not disturbance.call else self._play(history, watch=True)
            points = self._points(seen, 0)
            if not disturbance.call:
                self.coverage.points = len(points)
            for number, point in enumerate(points, 1):
                self._kill(evolve(history, crashes=(point,)), f"{number} of {len(points)}")

    def _kill(self, history: History, number: str) -> None:
        settings.progress(f"{self.name} {history.disturbance} crash {number}")
        deeper = self.crashes > 1 and (self.every or history.disturbance.fate != Fate.LATE)
        seen = self._play(history, watch=deeper)
        self.coverage.kills += 1
        if deeper:
            for second in self._points(seen, history.crashes[0]):
                self._play(evolve(history, crashes=(*history.crashes, second)))
                self.coverage.pairs += 1

    def _points(self, seen: _Seen, after: int) -> list[int]:
        """The callbacks to die before: those since which anything has moved, or all of them."""
        versions = seen.versions
        return [
            place + 1
            for place in range(after, len(versions))
            if self.every or place in {after, len(versions) - 1} or versions[place] != versions[place - 1]
        ]

    def _play(self, history: History, *, watch: bool = False) -> _Seen:
        if time.perf_counter() > self._end:
            raise _OutOfBudget
        services = copy.deepcopy(self.services)
        sim = Simulation(*self.sagas, provide=services, seed=self.seed, store=self.store, crashes=history.crashes)
        try:
            history.disturbance.prepare(sim)
            if watch:
                sim.watch()
            drive(self.scenario(sim))
            sim.check()
            self.coverage.histories += 1
            self.coverage.ends.update(sim.ends())
            return _Seen(list(sim.world.fuse.seen), _called(sim))
        except SagaFailure as failure:
            raise SagaFailure(failure.story.again_by(self._again(history)), failure.violations) from None
        except AssertionError as error:
            story = sim.story().again_by(self._again(history))
            raise SagaFailure(story, (), error=error) from error
        finally:
            sim.close()

    def _again(self, history: History) -> str:
        test = settings.test
        command = f"pytest {test!r}" if test else "crash_everywhere with"
        return f"{command} --saga-seed={self.seed} --saga-crash='{history}'"


@frozen
class _Seen:
    """What one run showed."""

    versions: Sequence[object]  #: before each callback
    calls: Sequence[str]  #: of fake services


def _called(sim: Simulation) -> list[str]:
    fakes = [one for one in sim.services.values() if isinstance(one, FakeService)]
    return list(dict.fromkeys(name for fake in fakes for name, _ in fake.ledger.calls))


def _disturbances(seen: _Seen) -> Iterator[Disturbance]:
    """Every action that the quiet run called is refused once; and does not answer, but takes effect late."""
    for call in seen.calls:
        yield Disturbance(call, Fate.REFUSED)
        yield Disturbance(call, Fate.LATE)


@overload
def crash_everywhere(
    saga: Saga[I],
    input: I,
    services: Provide = ...,
    *,
    crashes: int = ...,
    messages: Sequence[object] = ...,
    seed: int = ...,
    store: Literal["memory", "sqlite"] = ...,
    every: bool = ...,
    budget: float | None = ...,
    allow: Sequence[Flaw] = ...,
) -> Coverage: ...
@overload
def crash_everywhere(
    *sagas: Saga[Any],
    services: Provide = ...,
    crashes: int = ...,
    seed: int = ...,
    store: Literal["memory", "sqlite"] = ...,
    every: bool = ...,
    budget: float | None = ...,
) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]: ...
def crash_everywhere(*args: Any, **options: Any) -> Any:
    """Kill the process at every crash point of a saga, let it recover, and judge what came of it.

    Called with a saga and an input, it rehearses the saga (see `rehearse`), runs one order of it, and returns a
    `Coverage`. Above an `async def` test that takes `sim`, it makes that test run once for each history.

    Histories are: the undisturbed run; runs in which one action of a `FakeService` is refused, or takes effect late
    and without an answer; each of them killed before every callback since which the steps, the disk, a participant
    or the wire have moved (`every=True`: before every callback at all); and with `crashes=2` each of those killed
    once more in its recovery. `messages` are sent to the order. `budget` is in seconds. Raises `SagaFailure`, whose
    text is the story of the first history that broke a promise.
    """
    sagas: list[Saga[Any]] = [one for one in args if isinstance(one, Saga)]
    rest = [one for one in args if not isinstance(one, Saga)]
    if "input" in options:
        rest.append(options.pop("input"))
    if not rest:
        return functools.partial(_decorate, sagas, options)
    return _crash(sagas[0], *rest, **options)


def _crash(
    saga: Saga[Any],
    input: Any,
    services: Provide = (),
    *,
    messages: Sequence[object] = (),
    allow: Sequence[Flaw] = (),
    **options: Any,
) -> Coverage:
    flaws = rehearse(saga, input, services, messages=messages, allow=allow, seed=options.get("seed", 0))
    if flaws:
        raise SagaFailure(Story(violations=tuple(flaws)), flaws)

    async def scenario(sim: Simulation) -> None:
        id = await sim.start(saga, input, id="1")
        for message in messages:
            await sim.send(id, message)
        await sim.settle()

    return _campaign(saga.name, scenario, [saga], services, **options).run()


def _decorate(
    sagas: Sequence[Saga[Any]], options: Mapping[str, Any], test: Callable[..., Awaitable[None]]
) -> Callable[..., None]:
    @functools.wraps(test)
    def every_history(**fixtures: Any) -> None:
        def scenario(sim: Simulation) -> Awaitable[None]:
            return test(sim=sim, **fixtures)

        _campaign(test.__name__, scenario, sagas, options.get("services", ()), **_without(options, "services")).run()

    signature = inspect.signature(test)
    wanted = [one for name, one in signature.parameters.items() if name != "sim"]
    cast("Any", every_history).__signature__ = signature.replace(parameters=wanted, return_annotation=None)
    del cast("Any", every_history).__wrapped__  # pytest would look behind it, and find the async function
    return every_history


def _without(options: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name not in names}


def _campaign(
    name: str,
    scenario: Scenario,
    sagas: Sequence[Saga[Any]],
    services: Provide,
    *,
    crashes: int = 1,
    seed: int = 0,
    store: Literal["memory", "sqlite"] = "memory",
    every: bool = False,
    budget: float | None = None,
) -> _Campaign:
    crashes = min(settings.crashes if settings.crashes is not None else crashes, DEEPEST)
    seed = settings.seed if settings.seed is not None else seed
    budget = settings.budget if settings.budget is not None else budget
    return _Campaign(name, scenario, sagas, services, seed, store, crashes, every, budget)
