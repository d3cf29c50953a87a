"""One life of the simulated process, from its start to its death."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from ..sagas import Coordinator
from ..storage import Write
from .intents import Intents
from .loop import SimLoop
from .world import World


@define(eq=False)
class Life:
    """A coordinator on a loop of its own. It is the gate of its store as well: no dead process writes anything."""

    number: int
    world: World
    loop: SimLoop
    intents: Intents
    coordinator: Coordinator = field(init=False)

    def alive(self) -> bool:
        """Whether the process lives."""
        return self.world.life == self.number and not self.loop.fuse.burnt

    def committing(self) -> int:
        """A commit is handed over to the disk; its number."""
        self.world.commits += 1
        self.world.passed(f"commit {self.world.commits}:before")
        return self.world.commits

    def committed(self, number: int, write: Write[Any], result: object) -> bool:
        """A commit was carried out; whether the process lives to hear of it."""
        if not self.alive():
            return False
        self.intents.committed(write, result)
        return self.world.passed(f"commit {number}:after")
