"""All histories of one scenario: undisturbed, disturbed, and each of them killed at every moment that matters."""

from __future__ import annotations

import copy
import shlex
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from attrs import define, evolve, field
from cattrs import Converter

from ..sagas import Saga
from .coverage import Coverage
from .disturbance import ACTION_FATES, UNDO_FATES, Asked, History, Seen, asked
from .outcomes import Fate
from .settings import settings
from .simulation import Simulation

Provide = Sequence[object] | Mapping[Any, object]
Scenario = Callable[[Simulation], Awaitable[None]]

#: Deaths in one history, at the most.
DEEPEST = 2
_SHORTER = (
    "history '{}' has only {} callbacks: its process has not died there. Where nobody named it by hand, something in "
    "it is not the same each time: what a test and its steps do must depend on nothing real"
)
_NOT_ASKED = "history '{}' disturbs a call that nothing has asked for, under so many keys: it was as if undisturbed"


class _OutOfBudget(Exception):
    """The time for this test is over."""


@define(eq=False)
class Campaign:
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
    only: str | None  #: the history that alone is run, as a failure names it
    converter: Converter | None
    refuse_undos: bool  #: which no saga can make good: its order waits for a person
    coverage: Coverage = field(factory=Coverage)
    _end: float = field(init=False)
    _began: float = field(factory=time.perf_counter)

    def __attrs_post_init__(self) -> None:
        self._end = self._began + self.budget if self.budget is not None else float("inf")

    @classmethod
    def of(
        cls,
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
        only: str | None = None,
        converter: Converter | None = None,
        refuse_undos: bool = False,
    ) -> Campaign:
        """As a test wants it, but for what the run of all tests says otherwise."""
        crashes = settings.crashes if settings.crashes is not None else crashes
        if crashes not in range(DEEPEST + 1):
            raise ValueError(f"a process dies at most {DEEPEST} times in one history: crashes={crashes} is too many")
        seed = settings.seed if settings.seed is not None else seed
        budget = settings.budget if settings.budget is not None else budget
        only = settings.crash if settings.crash is not None else only
        return cls(name, scenario, sagas, services, seed, store, crashes, every, budget, only, converter, refuse_undos)

    def run(self) -> Coverage:
        """Every history, or the one that was asked for."""
        __tracebackhide__ = True
        coverage = self.coverage
        try:
            if self.only is not None:
                self.play(History.parse(self.only))
            else:
                self._explore()
        except _OutOfBudget:
            coverage.complete = False
        coverage.seconds = time.perf_counter() - self._began
        settings.lines.append(f"{self.name}: {coverage}")
        return coverage

    def _explore(self) -> None:
        """What says most for its time comes first: a budget may end it anywhere."""
        __tracebackhide__ = True
        runs = list(self._runs())
        recoveries = [one for history, points in runs for one in self._kills(history, points)]
        for history, points in recoveries:
            for number, point in enumerate(points, 1):
                settings.progress(f"{self.name} {history} crash {number} of {len(points)}")
                self.play(evolve(history, crashes=(*history.crashes, point)))
                self.coverage.pairs += 1

    def _runs(self) -> Iterator[tuple[History, list[int]]]:
        """The runs in which the process is killed, and before which callbacks."""
        __tracebackhide__ = True
        quiet = self.play(History(), watch=True)
        points = self.points(quiet, 0)
        self.coverage.points = len(points)
        yield quiet.history, points
        turned: list[Seen] = []
        for one in quiet.asked:
            for fate in self.fates(one):
                seen = self._disturb(History((one.disturbed(fate),)), watch=one.outer)
                turned += [] if one.undo else [seen]
                if one.outer:  # which bounds what a loop over many things costs
                    yield seen.history, self.points(seen, 0)
        for history in self._on_the_way_back(turned):
            self._disturb(history)

    def fates(self, asked: Asked) -> Sequence[Fate]:
        """What befalls a call."""
        if not asked.undo:
            return ACTION_FATES
        return (*UNDO_FATES, Fate.REFUSED) if self.refuse_undos else UNDO_FATES

    def _on_the_way_back(self, turned: Sequence[Seen]) -> Iterator[History]:
        """Every undo in the first run that calls it after a refusal, which knows the result, and after a doubt.

        A second thing that goes wrong is enough: in these runs the process lives on.
        """
        for reason in ACTION_FATES:
            runs = [seen for seen in turned if seen.history.disturbances[0].fate == reason]
            undos = [(seen.history, one) for seen in runs for one in seen.asked if one.undo]
            first = {(one.call, one.key): (history, one) for history, one in reversed(undos)}
            for history, one in reversed(first.values()):
                for fate in self.fates(one):
                    yield History((*history.disturbances, one.disturbed(fate)))

    def _disturb(self, history: History, *, watch: bool = False) -> Seen:
        __tracebackhide__ = True
        settings.progress(f"{self.name} {history}")
        seen = self.play(history, watch=watch)
        self.coverage.disturbances += 1
        return seen

    def _kills(self, history: History, points: Sequence[int]) -> Iterator[tuple[History, list[int]]]:
        """Kill a run everywhere; what is left is where its recoveries are to be killed."""
        __tracebackhide__ = True
        late = any(one.fate == Fate.LATE for one in history.disturbances)
        deeper = self.crashes > 1 and (self.every or not late)
        for number, point in enumerate(points if self.crashes else (), 1):
            killed = evolve(history, crashes=(point,))
            settings.progress(f"{self.name} {history} crash {number} of {len(points)}")
            seen = self.play(killed, watch=deeper)
            self.coverage.kills += 1
            if deeper:
                yield killed, self.points(seen, point)

    def points(self, seen: Seen, after: int) -> list[int]:
        """The callbacks to die before: those since which anything has moved, or all of them."""
        versions = seen.versions
        return [
            place + 1
            for place in range(after, len(versions))
            if self.every or place in {after, len(versions) - 1} or versions[place] != versions[place - 1]
        ]

    def play(self, history: History, *, watch: bool = False) -> Seen:
        """Run one history and judge it; raises `SagaFailure`. `watch` notes what each callback may have moved."""
        __tracebackhide__ = True
        if time.perf_counter() > self._end:
            raise _OutOfBudget
        services = copy.deepcopy(self.services)
        with Simulation(
            *self.sagas, provide=services, seed=self.seed, store=self.store, crashes=history.crashes,
            converter=self.converter,
        ) as sim:  # fmt: skip
            history.prepare(sim)
            if watch:
                sim.watch()
            sim.play(self.scenario, again=self._again(history))
            if history.crashes and sim.steps < history.crashes[-1]:
                raise RuntimeError(_SHORTER.format(history, sim.steps))
            if self.only is not None and not all(one.took_place(sim) for one in history.disturbances):
                raise RuntimeError(_NOT_ASKED.format(history))
            self.coverage.histories += 1
            self.coverage.ends.update(sim.ends())
            return Seen(history, list(sim.world.fuse.seen), list(asked(sim)))

    def _again(self, history: History) -> str:
        if settings.test:
            return f"pytest {shlex.quote(settings.test)} --saga-seed={self.seed} --saga-crash='{history}'"
        return f"the crash_everywhere(...) of {self.name}, with seed={self.seed}, only='{history}'"
