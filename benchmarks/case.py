"""A case: something to be measured, of one system in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

from .figure import Figure
from .shop import Shop

#: Where the names of systems lead: the module whose `open_shop` makes one.
SHOPS: Mapping[str, str] = {
    "atone": "benchmarks.ours",
    "plain": "benchmarks.peers.plain",
    "dbos-sqlite": "benchmarks.peers.dbos",
    "dbos-postgres": "benchmarks.peers.dbos",
    "restate": "benchmarks.peers.restate",
    "sayiir-postgres": "benchmarks.peers.sayiir",
}
#: The systems that run in this project's own environment.
OWN = ("bare", "sqlite", "atone", "plain")


@dataclass(frozen=True)
class Setting:
    """What one measurement is given."""

    system: str
    folder: Path  #: empty, on the disk that is measured; thrown away afterwards
    size: Mapping[str, float]

    @property
    def shared(self) -> Path:
        """A folder that lives as long as the run, for files that are large to prepare."""
        folder = self.folder.parent / "prepared"
        folder.mkdir(exist_ok=True)
        return folder

    def number(self, name: str) -> int:
        """A size that is a count."""
        return int(self.size[name])

    def shop(self, **options: Any) -> Shop:
        """The system under test, not yet open."""
        shop: Shop = import_module(SHOPS[self.system]).open_shop(self.system, self.folder, **options)
        return shop


Measure = Callable[[Setting], list[Figure]]


@dataclass(frozen=True)
class Case:
    """What is measured, how much of it, and by which function for each system.

    Figures of the systems `bare` and `sqlite` are the references of those of the same name.
    """

    name: str
    about: str
    size: Mapping[str, float]
    quick: Mapping[str, float]  #: the same in seconds, to see that it works
    measures: Mapping[str, Measure]
    rounds: int = 1_000  #: at most; where one takes minutes, few will do
    slow: Mapping[str, float] = field(default_factory=dict[str, float])  #: sizes for systems that are not ours

    def size_for(self, system: str, *, quick: bool) -> dict[str, float]:
        """How much is asked of a system."""
        size = self.quick if quick else self.size
        return {**size, **({} if quick or system in OWN else self.slow)}

    def tuned(self) -> Case:
        """The same with Python's garbage collector as docs/performance.md advises it; see `child.tune`."""
        return replace(
            self,
            name=f"{self.name}-tuned",
            about=f"{self.about}, garbage collected less often",
            size={**self.size, "tuned": 1},
            quick={**self.quick, "tuned": 1},
        )


def everybody(measure: Measure, **own: Measure) -> dict[str, Measure]:
    """The same measure for every system that has a shop, but for those with one of their own."""
    return {**dict.fromkeys(SHOPS, measure), **own}
