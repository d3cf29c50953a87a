"""Every case runs at a tiny size, in this process: not one of these tests looks at how long anything took."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.case import Case, Setting
from benchmarks.suite import CASES

#: Sizes below the quick ones: it is enough that every line runs.
TINY: dict[str, float] = {
    "seconds": 0.05, "flight": 4, "orders": 12, "messages": 3, "cancels": 4, "final": 10, "waiting": 10, "small": 5,
    "few": 5, "many": 20,
}  # fmt: skip
#: They hold on to what hangs, and end with their process.
ENDLESS = ("memory-active",)
MEASURED = [
    pytest.param(case, system, id=f"{case.name}-{system}")
    for case in CASES
    for system in ("bare", "sqlite", "atone", "plain")
    if system in case.measures and case.name not in ENDLESS
]


def tiny(case: Case) -> dict[str, float]:
    """The case's own sizes, made smaller."""
    return {name: min(size, TINY.get(name, size)) for name, size in case.quick.items()}


@pytest.mark.parametrize(("case", "system"), MEASURED)
def test_a_case_measures_what_it_says(case: Case, system: str, tmp_path: Path) -> None:
    """It comes to figures that are numbers, each under a name of its own."""
    folder = tmp_path / "one"
    folder.mkdir()
    figures = case.measures[system](Setting(system, folder, tiny(case)))
    assert figures
    assert len({figure.name for figure in figures}) == len(figures)
    assert all(figure.value == figure.value and figure.unit for figure in figures)
