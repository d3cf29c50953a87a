"""Every scenario of `stories` and `requests` in a simulated world, once undisturbed, and killed before each callback.

Judged by the oracle of `atone.testing`, and by how each order must end.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from atone import Status
from atone.testing import SagaFailure, Simulation

from . import oracle, requests, stories
from .counts import UNFORESEEN, Case, Counts
from .scenario import SCENARIOS, Scenario
from .small import EFFECTS, SERVICES

__all__ = ["requests", "stories"]  # which tell of the scenarios

WORKERS = 2
PER_CASE = 1

#: Callbacks of one history; it takes some hundreds.
_ENDLESS = 5_000


def prepare(seed: int, size: int, _folder: Path) -> Case:
    """Choose histories: every callback of every scenario before any of them is run with another seed."""
    histories: list[tuple[Scenario, int, int]] = []
    luck = seed * 1_000
    while len(histories) < size:
        found = [(one, luck, crash) for one in SCENARIOS for crash in range(_callbacks(one, luck) + 1)]
        histories += random.Random(luck).sample(found, len(found))
        luck += 1

    def case(index: int) -> Counts:
        scenario, luck, crash = histories[index]
        died, found = live(scenario, luck, crash)
        wrong = [f"{text} ({scenario.name}, seed {luck}, crash {crash})" for text in found]
        return Counts(histories=1, crash_points=int(died), violations=wrong)

    return case


def live(scenario: Scenario, seed: int, crash: int) -> tuple[bool, list[str]]:
    """Run one history, killed before a callback (0: never): whether it lasted so long, and what is wrong with it."""
    sim = Simulation(scenario.saga, provide=SERVICES, seed=seed, crashes=[crash] if crash else [])
    try:
        wrong = _lived(scenario, sim, seed, crash)
        return 0 < crash <= sim.steps, wrong
    finally:
        sim.close()


def _lived(scenario: Scenario, sim: Simulation, seed: int, crash: int) -> list[str]:
    try:
        _drive(scenario, sim, random.Random(f"{seed}/{crash}"))
        return [*_judged(sim), *_ends(scenario, sim, died=bool(crash))]
    except SagaFailure as failure:
        return [f"{one.check}: {one.detail}" for one in failure.violations]
    except AssertionError as error:
        return [str(error) or f"{UNFORESEEN}: {error!r}", *_judged(sim)]


def _judged(sim: Simulation) -> list[str]:
    return [f"{one.check}: {one.detail}" for one in sim.violations()]


def _callbacks(scenario: Scenario, seed: int) -> int:
    """How many callbacks an undisturbed run has."""
    sim = Simulation(scenario.saga, provide=SERVICES, seed=seed)
    try:
        _drive(scenario, sim, random.Random(f"{seed}/0"))
    except (SagaFailure, AssertionError):
        pass  # a mutant: its cases will tell
    finally:
        steps = sim.steps
        sim.close()
    return steps


def _drive(scenario: Scenario, sim: Simulation, chance: random.Random) -> None:
    """Run a coroutine that waits for nothing but its simulation, which never really waits."""

    def look() -> None:
        assert sim.steps < _ENDLESS, f"{UNFORESEEN}: {_ENDLESS} callbacks, and it goes on"

    sim.world.fuse.look = look
    for _ in scenario.play(sim, chance).__await__():
        raise RuntimeError("a scenario waited for something outside its simulation")


def _ends(scenario: Scenario, sim: Simulation, *, died: bool) -> Iterator[str]:
    """There is one order, and it ended as it must."""
    allowed = {scenario.end, *(scenario.also if died else ())}
    ends = sim.ends()
    if len(ends) != 1:
        yield f"{oracle.REPEATED}: one order was placed, and there are {len(ends)}"
    elif scenario.end is not None and ends[0] not in allowed:
        yield f"{oracle.END}: the order is {ends[0]}, and should be {' or '.join(map(str, allowed))}"
    elif ends[0] == Status.COMPLETED and sim.effects("1") != EFFECTS[scenario.saga.name]:
        yield f"{oracle.ONCE}: the order is COMPLETED, and its effects are {sorted(sim.effects('1'))}"
