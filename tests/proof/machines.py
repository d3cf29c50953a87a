"""Hypothesis drives the real engine: it draws what clients, participants, disks and processes do, and shrinks."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import hypothesis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from atone.testing import SagaFailure, SagaMachine

from .counts import Case, Counts
from .exhaustive import SERVICES, TRIALS

WORKERS = 2
PER_CASE = 10  #: examples

_RULES = 30  #: of an example


class Shop(SagaMachine):
    """Orders of two sagas."""

    sagas = (TRIALS["grouped"].saga, TRIALS["once"].saga)
    services = SERVICES
    drawn: ClassVar[int] = 0
    orders_drawn: ClassVar[int] = 0

    def teardown(self) -> None:
        """Count it."""
        Shop.drawn += 1
        Shop.orders_drawn += len(self.started)
        super().teardown()


def prepare(seed: int, _size: int, _folder: Path) -> Case:
    """Nothing to be done beforehand."""
    options = settings(
        Shop.TestCase.settings, max_examples=PER_CASE, stateful_step_count=_RULES, database=None, deadline=None,
        print_blob=False, report_multiple_bugs=False, suppress_health_check=list(HealthCheck),
    )  # fmt: skip

    def case(index: int) -> Counts:
        Shop.drawn = Shop.orders_drawn = 0
        machine = hypothesis.seed(seed * 1_000_003 + index)(Shop)
        wrong: list[str] = []
        try:
            run_state_machine_as_test(machine, settings=options)
        except SagaFailure as failure:
            rules = [line for note in getattr(failure, "__notes__", ()) for line in note.splitlines()]
            wrong = [f"{one}; {'; '.join(rules)}" for one in failure.violations]
        return Counts(examples=Shop.drawn, histories=Shop.orders_drawn, violations=wrong)

    return case
