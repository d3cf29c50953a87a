"""All histories of one scenario: undisturbed, disturbed, and each of them killed at every moment that matters."""

from __future__ import annotations

import copy
import shlex
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

from attrs import define, evolve, field, frozen
from cattrs import Converter

from ..sagas import Saga
from .disturbance import Disturbance, History
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
        ends = ", ".join(f"{number} {status}" for status, number in self.ends.most_common())
        return f"{', '.join(parts)}; orders: {ends or 'none'}" + ("" if self.complete else " (out of budget)")


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
    ) -> Campaign:
        """As a test wants it, but for what the run of all tests says otherwise."""
        crashes = settings.crashes if settings.crashes is not None else crashes
        if crashes not in range(DEEPEST + 1):
            raise ValueError(f"a process dies at most {DEEPEST} times in one history: crashes={crashes} is too many")
        seed = settings.seed if settings.seed is not None else seed
        budget = settings.budget if settings.budget is not None else budget
        only = settings.crash if settings.crash is not None else only
        return cls(name, scenario, sagas, services, seed, store, crashes, every, budget, only, converter)

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
        __tracebackhide__ = True
        quiet = self.play(History(), watch=True)
        tried = [Disturbance(), *quiet.disturbances()]
        self.coverage.disturbances = len(tried) - 1
        for disturbance in tried:
            history = History(disturbance)
            seen = quiet if not disturbance.call else self.play(history, watch=True)
            points = self.points(seen, 0)
            if not disturbance.call:
                self.coverage.points = len(points)
            for number, point in enumerate(points, 1):
                self._kill(evolve(history, crashes=(point,)), f"{number} of {len(points)}")

    def _kill(self, history: History, number: str) -> None:
        __tracebackhide__ = True
        settings.progress(f"{self.name} {history.disturbance} crash {number}")
        deeper = self.crashes > 1 and (self.every or history.disturbance.fate != Fate.LATE)
        seen = self.play(history, watch=deeper)
        self.coverage.kills += 1
        if deeper:
            for second in self.points(seen, history.crashes[0]):
                self.play(evolve(history, crashes=(*history.crashes, second)))
                self.coverage.pairs += 1

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
            history.disturbance.prepare(sim)
            if watch:
                sim.watch()
            sim.play(self.scenario, again=self._again(history))
            if history.crashes and sim.steps < history.crashes[-1]:
                raise RuntimeError(_SHORTER.format(history, sim.steps))
            self.coverage.histories += 1
            self.coverage.ends.update(sim.ends())
            calls = dict.fromkeys(name for fake in sim.fakes for name, _ in fake.ledger.calls)
            return Seen(list(sim.world.fuse.seen), list(calls))

    def _again(self, history: History) -> str:
        if settings.test:
            return f"pytest {shlex.quote(settings.test)} --saga-seed={self.seed} --saga-crash='{history}'"
        return f"crash_everywhere({self.name}, ..., seed={self.seed}, only='{history}')"


@frozen
class Seen:
    """What one run showed."""

    versions: Sequence[object]  #: before each callback
    calls: Sequence[str]  #: of fake services

    def disturbances(self) -> Iterator[Disturbance]:
        """Every action that was called is refused once; and does not answer, but takes effect late."""
        for call in self.calls:
            yield Disturbance(call, Fate.REFUSED)
            yield Disturbance(call, Fate.LATE)
