"""Who is brought into memory next, and how many may be there.

New work waits on disk while the window is full. An actor that is called for (by a message, its timer, a report) is let
in all the same, up to a reserve beyond the window, and one with a request of the control lane up to twice that: a
cancel is decided however many actors are busy with long work, and however many messages came before it.
"""

from __future__ import annotations

from enum import IntEnum
from itertools import islice

from attrs import define, field

from ..storage import Lane
from .limits import Limits


class Call(IntEnum):
    """What an actor is wanted in memory for; the lowest goes first."""

    REQUEST = 0  #: a message of the control lane
    NEWS = 1  #: a message of the data lane, a timer, a report
    WORK = 2  #: work that is to be begun, or taken up again

    @classmethod
    def of(cls, lane: Lane) -> Call:
        """What an actor with a message in this lane is wanted for."""
        return cls.REQUEST if lane is Lane.CONTROL else cls.NEWS


@define(eq=False, repr=False)
class Admission:
    """The keys that are wanted, each sort in order of arrival."""

    _limits: Limits
    _wanted: tuple[dict[int, None], ...] = field(factory=lambda: tuple({} for _ in Call))

    def want(self, key: int, call: Call) -> None:
        """Put a key in line, unless it stands there with as good a reason."""
        if any(key in self._wanted[better] for better in range(call + 1)):
            return
        for line in self._wanted[call + 1 :]:
            line.pop(key, None)
        self._wanted[call][key] = None

    def take(self, present: int) -> dict[int, Call]:
        """Remove and return the next page of those that may come in where so many are there already."""
        taken: dict[int, Call] = {}
        # However many are called for, a quarter of each page is left to work that the window has room for.
        share = self._limits.page // 4 if self.work and present < self._limits.window else 0
        for call in Call:
            line = self._wanted[call]
            most = self._limits.page - (share if call is not Call.WORK else 0)
            room = min(most, self._bound(call) - present) - len(taken)
            for key in list(islice(line, max(room, 0))):
                del line[key]
                taken[key] = call
        return taken

    def _bound(self, call: Call) -> int:
        """How many actors may be in memory before one that is wanted for this has to wait."""
        return self._limits.window + self._limits.reserve * (Call.WORK - call)

    @property
    def work(self) -> int:
        """How many are wanted for work, and stand in line for a place in the window."""
        return len(self._wanted[Call.WORK])

    def before(self, call: Call) -> int:
        """How many stand in line before one that comes to be wanted for this now."""
        return sum(map(len, self._wanted[: call + 1]))

    def clear(self) -> None:
        """Nobody is wanted any more."""
        for line in self._wanted:
            line.clear()

    def __contains__(self, key: int) -> bool:
        return any(key in line for line in self._wanted)

    def __len__(self) -> int:
        return sum(map(len, self._wanted))
