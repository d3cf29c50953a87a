"""Orders that wait for a person: first all of them wait, then all are approved, and then all have ended."""

from __future__ import annotations

from .. import alone, bare, workload
from ..case import Case, Setting, everybody
from ..figure import Figure


def bare_approvals(setting: Setting) -> list[Figure]:
    """The message, what it sets off, and two steps: four commits; placing one is two."""
    return [
        Figure("approved", bare.figures(setting)[0].value, "orders/s"),
        Figure("placed", bare.figures(setting, commits=2)[0].value, "orders/s"),
    ]


def alone_approvals(setting: Setting) -> list[Figure]:
    """The same commits."""
    return [
        Figure("approved", alone.figures(setting)[0].value, "orders/s"),
        Figure("placed", alone.figures(setting, commits=2)[0].value, "orders/s"),
    ]


CASES = [
    Case(
        "approvals",
        "orders that wait for a person, all of them approved at once",
        size={"orders": 10_000, "flight": 500, "seconds": 2},
        quick={"orders": 200, "flight": 50, "seconds": 0.2},
        measures=everybody(workload.approvals, bare=bare_approvals, sqlite=alone_approvals),
        slow={"orders": 500, "flight": 64},
    )
]
