"""A run: every case of every system, in rounds, so that what disturbs the machine disturbs all of them alike."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import mkdtemp

from attrs import frozen

from .case import Case, Setting
from .figure import Figure
from .row import Results
from .system import System, Unable
from .table import number


@frozen
class Campaign:
    """What is measured, of whom, how often and where."""

    cases: Sequence[Case]
    systems: Sequence[System]
    rounds: int
    folder: Path  #: on the disk that is measured
    quick: bool = False

    def steps(self) -> Iterator[tuple[int, Case, System]]:
        """Round by round; within a case the systems take turns in beginning."""
        for round in range(self.rounds):  # noqa: A001
            for case in self.cases:
                if round < case.rounds:
                    able = [system for system in self.systems if system.name in case.measures]
                    turn = round % max(1, len(able))
                    yield from ((round, case, system) for system in able[turn:] + able[:turn])

    def run(self) -> Iterator[Results]:
        """Measure, say how it goes, and give what there is after every step."""
        results = Results({system.name: system.durability for system in self.systems})
        steps = list(self.steps())
        for place, (round, case, system) in enumerate(steps, 1):  # noqa: A001
            if system.unable is None or (case.name, system.name) not in results.notes:
                said = self._step(results, round, case, system)
                print(f"[{place}/{len(steps)}] round {round + 1}  {case.name:16} {system.name:16} {said}", flush=True)
            yield results

    def _step(self, results: Results, round: int, case: Case, system: System) -> str:  # noqa: A002
        folder = Path(mkdtemp(prefix=f"{case.name}-", dir=self.folder))
        setting = Setting(system.name, folder, case.size_for(system.name, quick=self.quick))
        try:
            figures = system.measure(case.measures[system.name], setting, patience=60 if self.quick else 1_200)
        except Unable as error:
            results.fail(case.name, system.name, str(error))
            return f"– {error}"
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        for figure in figures:
            results.add(round, case.name, system.name, figure)
        return "   ".join(map(told, figures))


def told(figure: Figure) -> str:
    """A figure in a line of progress."""
    return f"{figure.name} {number(figure.value)} {figure.unit}".strip()
