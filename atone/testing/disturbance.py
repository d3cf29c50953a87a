"""What goes wrong in one history: a call of a participant, and the process itself."""

from __future__ import annotations

from attrs import frozen

from .outcomes import Fate
from .simulation import Simulation

#: How many calls of an action are late: more than most policies try before the pivot.
LATE_CALLS = 6


@frozen
class Disturbance:
    """What is wrong with the world in a history, apart from crashes."""

    call: str = ""  #: the action, or its undo; empty where nothing is wrong
    fate: str = ""

    def __str__(self) -> str:
        return f"{self.call}={self.fate}" if self.call else ""

    def prepare(self, sim: Simulation) -> None:
        """Plan it."""
        if self.call:
            undoes = any(fake.calls().get(self.call) for fake in sim.fakes)
            once = undoes or self.fate == Fate.REFUSED
            sim.misbehave(self.call, *[self.fate] * (1 if once else LATE_CALLS))


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
