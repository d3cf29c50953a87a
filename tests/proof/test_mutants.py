"""Mutants can be planted, are caught, and stand in docs/proof.md."""

from __future__ import annotations

import re

import pytest

from tests.proof.counts import Counts
from tests.proof.layers import LAYERS
from tests.proof.mutants import MUTANTS, Mutant
from tests.proof.mutants.hunt import BUDGETS, hunt
from tests.proof.mutants.table import listed, markdown
from tests.proof.oracle import END
from tests.proof.worker import _tried

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=MUTANTS)
def test_a_mutant_can_be_planted_and_told_of(mutant: Mutant) -> None:
    """What it replaces is there, a layer is there to find it, and one sentence says what it does."""
    with mutant.plant():
        pass
    assert mutant.layer in LAYERS
    assert mutant.layer in BUDGETS
    assert mutant.check == END or re.match("[SL][0-9]+ ", mutant.check)
    assert mutant.sentence.endswith(".")
    assert "\n" not in mutant.sentence


def test_the_page_tells_of_every_mutant_that_is_planted_and_of_no_other() -> None:
    """Docs and code say the same."""
    assert listed() == [(one.name, one.sentence) for one in MUTANTS.values()]


def test_a_mutant_is_caught_and_it_is_said_by_what() -> None:
    """The order of compensations is somebody's business."""
    (found,) = hunt([MUTANTS["undone_in_order"]], 1, once=True)
    assert found.caught > 0
    assert "S3 order of undoing" in str(found)


@pytest.mark.parametrize(("check", "caught"), [("S3 order of undoing", 1), ("S4 one end", 0), ("", 1)])
def test_a_case_catches_a_mutant_by_the_check_that_is_to_find_it(check: str, caught: int) -> None:
    """What is broken must be seen as what it is; where nothing was planted, any promise counts."""
    broken = Counts(violations=["S3 order of undoing: upside down"])
    assert _tried(lambda _index: broken, 0, "again", check).caught == caught


def test_the_table_says_by_what_else_a_mutant_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """It survived, and whoever reads the table sees why."""
    told = Counts(cases=3, violations=["S4 one end: it went on"])
    monkeypatch.setattr("tests.proof.mutants.hunt.run", lambda *_args, **_options: told)
    found = list(hunt([MUTANTS["undone_in_order"]], 1, once=True))
    assert "0 of 3 | not by S3 order of undoing; S4 one end 1 time(s) |" in markdown(found)


def test_a_mutant_that_only_breaks_the_case_is_not_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that has moved on under a mutant is no promise that was broken."""
    told = Counts(cases=3, violations=["not foreseen: AttributeError(...)", "the proof itself: a worker ended with 1"])
    monkeypatch.setattr("tests.proof.mutants.hunt.run", lambda *_args, **_options: told)
    (found,) = hunt([MUTANTS["undone_in_order"]], 1, once=True)
    assert found.caught == 0
    assert "SURVIVED 3 cases" in str(found)
    assert "not foreseen" in str(found)


def test_a_mutant_that_is_not_hunted_is_said_to_survive() -> None:
    """Nothing is claimed of what was not tried."""
    (found,) = hunt([MUTANTS["undone_in_order"]], 1, stop=lambda: True)
    assert found.caught == 0
    assert "SURVIVED" in str(found)
