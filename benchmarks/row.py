"""A row of the result: one figure of one system, over all rounds."""

from __future__ import annotations

from typing import Any

from attrs import asdict, field, frozen

from . import statistic
from .figure import Figure

#: The figures of these systems are the references of the others'.
LIMIT, ALONE = "bare", "sqlite"


@frozen
class Row:
    """What is written for it; the rows of a run say nothing that another program could not read."""

    system: str
    case: str
    value: float | None  #: the median; `None` where it could not be measured
    unit: str
    durability: str
    ratio_to_limit: float | None  #: to the bare loop: 1 is as good
    ratio_to_sqlite: float | None  #: to SQLite alone
    limit: float | None  #: the bare loop's median
    sqlite: float | None  #: SQLite's
    lowest: float | None
    highest: float | None
    rounds: int
    note: str = ""  #: why there is no value
    versions: str = ""
    machine: str = ""
    date: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


@frozen
class Results:
    """Everything that was measured: one value for each round, `None` where there is none."""

    durability: dict[str, str]
    #: by case, figure and system, in the order in which they came
    values: dict[tuple[str, str, str], list[float | None]] = field(factory=dict)
    units: dict[tuple[str, str], str] = field(factory=dict)
    notes: dict[tuple[str, str], str] = field(factory=dict)  #: by case and system

    def add(self, round: int, case: str, system: str, figure: Figure) -> None:  # noqa: A002
        """Keep one value."""
        self.units[case, figure.name] = figure.unit
        values = self.values.setdefault((case, figure.name, system), [])
        values += [None] * (round + 1 - len(values))
        values[round] = figure.value

    def fail(self, case: str, system: str, why: str) -> None:
        """Keep that it could not be measured."""
        self.notes[case, system] = why

    def rows(self, stamp: dict[str, str]) -> list[Row]:
        """One for each figure of each system, and for each that could not be measured at all."""
        found = [self._row(*key, stamp) for key in self.values]
        measured = {(case, system) for case, _, system in self.values}
        for (case, system), why in self.notes.items():
            if (case, system) not in measured:
                found.append(_empty(system, case, self.durability[system], why, stamp))
        return found

    def _row(self, case: str, figure: str, system: str, stamp: dict[str, str]) -> Row:
        values, unit = self.values[case, figure, system], self.units[case, figure]
        limit = self.values.get((case, figure, LIMIT), [])
        alone = self.values.get((case, figure, ALONE), [])
        known = [value for value in values if value is not None]
        return Row(
            system=system, case=f"{case}: {figure}" if figure else case,
            value=statistic.median(values), unit=unit, durability=self.durability[system],
            ratio_to_limit=statistic.median_ratio(values, limit, unit),
            ratio_to_sqlite=statistic.median_ratio(values, alone, unit),
            limit=statistic.median(limit), sqlite=statistic.median(alone),
            lowest=min(known), highest=max(known), rounds=len(known),
            note=self.notes.get((case, system), ""), **stamp,
        )  # fmt: skip


def _empty(system: str, case: str, durability: str, why: str, stamp: dict[str, str]) -> Row:
    return Row(system, case, None, "", durability, None, None, None, None, None, None, 0, why, **stamp)
