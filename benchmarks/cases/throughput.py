"""Orders a second, with so many in flight; and orders that fail at their last step, so that two are undone."""

from __future__ import annotations

from .. import alone, bare, workload
from ..case import Case, Setting, everybody
from ..figure import Figure


def bare_refused(setting: Setting) -> list[Figure]:
    """Started, reserved, charged, not shipped, refunded, released: six commits."""
    return bare.figures(setting, commits=6)


def alone_refused(setting: Setting) -> list[Figure]:
    """The same six."""
    return alone.figures(setting, commits=6)


def _case(flight: int) -> Case:
    return Case(
        f"throughput-{flight}",
        f"orders of three steps, {flight:,} in flight",
        size={"flight": flight, "seconds": 4},
        quick={"flight": min(flight, 100), "seconds": 0.3},
        measures=everybody(workload.orders, bare=bare.figures, sqlite=alone.figures),
        slow={"seconds": 3},
    )


CASES = [
    *map(_case, (1, 64, 1_000)),
    _case(1_000).tuned(),
    Case(
        "failing-64",
        "orders that fail at the last step and are undone by two compensations, 64 in flight",
        size={"flight": 64, "seconds": 4},
        quick={"flight": 16, "seconds": 0.3},
        measures=everybody(workload.refused, bare=bare_refused, sqlite=alone_refused),
        slow={"seconds": 3},
    ),
]
