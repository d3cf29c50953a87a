"""What a layer has done and found; layers run in several processes, so it goes through JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, Self

from attrs import asdict, define, field

#: Violations of no promise: what a case raised, and a worker that died. A mutant that does no more is not caught.
UNFORESEEN, BROKEN = "not foreseen", "the proof itself"


@define
class Counts:
    """How much was tried, and every promise that did not hold, with the command that shows it again."""

    histories: int = 0  #: simulated lives of orders, from their start to an end, or to a wait with a reason
    examples: int = 0  #: sequences of what clients, participants, disks and processes do, drawn by Hypothesis
    crash_points: int = 0  #: different moments at which a simulated process was killed
    images: int = 0  #: legal contents of the disk after a loss of power, each counted once
    io_faults: int = 0  #: operations on files that failed, or at which the process died
    missed: int = 0  #: faults that were planned for an operation which then did not come: of these, none is counted
    kills: int = 0
    takeovers: int = 0  #: of a stopped owner, which came back
    hostile_rows: int = 0
    cases: int = 0  #: in which this was done
    caught: int = 0  #: cases that showed a promise broken
    violations: list[str] = field(factory=list)

    def __iadd__(self, other: Counts) -> Self:
        for name, value in asdict(other).items():
            setattr(self, name, getattr(self, name) + value)
        return self

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))


#: Tries one case, by its number.
Case = Callable[[int], Counts]


class Layer(Protocol):
    """A module of this folder that torments the engine in one way.

    A violation is told as `check: what was found instead`.
    """

    WORKERS: int  #: processes at once: as many as processors, or more where cases mostly wait
    PER_CASE: float  #: how many a case counts, about

    def prepare(self, seed: int, size: int, folder: Path) -> Case:
        """Get ready for `size` cases, in a process that was started with the library of `iolog.py`.

        The folder is empty, and stays as long as the process. A simulated layer is started without the library.
        """
        ...
