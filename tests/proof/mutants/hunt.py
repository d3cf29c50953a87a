"""Hunting mutants: each is planted in workers of the layer that must find it, and its cases are counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from attrs import frozen

from ..campaign import run
from ..counts import Counts
from .mutant import Mutant

#: How much of each layer a mutant must survive, in the layer's unit.
BUDGETS = {
    "scenarios": 2_400,
    "swarm": 16_000,
    "power_loss": 4_000,
    "io_faults": 400,
    "kills": 60,
    "takeovers": 60,
    "hostile": 5_000,
    "exhaustive": 5_000,
    "machines": 100,
    "full_disk": 8,
}
_PATIENCE = 240.0  #: seconds for one mutant: some run in circles
_AT_ONCE = 2
#: Cases that caught a mutant, after which its rate is known well enough.
_SURE = 20


@frozen
class Found:
    """What became of one mutant."""

    mutant: Mutant
    tried: int  #: cases
    caught: int  #: of these
    instead: str  #: by what else it showed itself and how often: other checks, or a case or worker that broke
    seconds: float

    def __str__(self) -> str:
        if not self.caught:
            tried = f"{self.tried:,} cases of {self.mutant.layer}" + (f" ({self.instead})" if self.instead else "")
            return f"{self.mutant.name} SURVIVED {tried}: {self.mutant.sentence}"
        layer, check = self.mutant.layer, self.mutant.check
        return f"{self.mutant.name}: caught by {layer}, {self.caught:,} of {self.tried:,}, {check}"


def hunt(
    mutants: Iterable[Mutant], seed: int, *, once: bool = False, stop: Callable[[], bool] = lambda: False
) -> Iterator[Found]:
    """What becomes of each mutant; with `once`, each is let off when it has been caught."""
    with ThreadPoolExecutor(_AT_ONCE) as hunters:
        yield from hunters.map(lambda mutant: _hunted(mutant, seed, once, stop), mutants)


def _hunted(mutant: Mutant, seed: int, once: bool, stop: Callable[[], bool]) -> Found:
    began = time.monotonic()

    wanted = 1 if once else _SURE

    def enough(counts: Counts) -> bool:
        return stop() or counts.caught >= wanted or time.monotonic() - began > _PATIENCE

    budget = BUDGETS[mutant.layer]
    counts = run(mutant.layer, budget, seed, mutant=mutant.name, workers=1, until=enough)
    checks = Counter(violation.split(": ")[0] for violation in counts.violations)
    del checks[mutant.check]
    instead = ", ".join(f"{name} {times} time(s)" for name, times in checks.most_common())
    return Found(mutant, counts.cases, counts.caught, instead, time.monotonic() - began)
