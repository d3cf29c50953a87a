"""What a scenario is: what happens to one order of a small saga in a simulated world, and how it must end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

from attrs import frozen

from atone import Saga, Status
from atone.testing import Simulation

#: What people do, at moments that are drawn.
Play = Callable[[Simulation, Random], Awaitable[None]]


@frozen
class Scenario:
    """What happens to one order, and how it may end: by itself, and where the process died on the way."""

    name: str
    saga: Saga[Any]
    play: Play
    end: Status | None  #: `None` where `play` judges that itself
    also: tuple[Status, ...]


#: All of them, in the order in which their modules are imported.
SCENARIOS: list[Scenario] = []


def scenario(saga: Saga[Any], end: Status | None, *also: Status) -> Callable[[Play], Play]:
    """Register a story; its name is the scenario's."""

    def register(play: Play) -> Play:
        SCENARIOS.append(Scenario(play.__name__, saga, play, end, also))
        return play

    return register
