"""How long one order takes from its start to its end, when there is no other, beside four bare commits."""

from __future__ import annotations

import asyncio

from .. import alone, bare, workload
from ..case import Case, Setting, everybody
from ..figure import Figure
from ..statistic import percentiles


def bare_one(setting: Setting) -> list[Figure]:
    """Four commits through the bare loop, one after the other."""
    run = asyncio.run(bare.run(setting.folder / "bare.db", flight=1, seconds=setting.size["seconds"]))
    return percentiles(run.latencies)


def alone_one(setting: Setting) -> list[Figure]:
    """Four commits of one row each, with nothing between them."""
    run = alone.run(setting.folder / "alone.db", commits=4, batch=1, seconds=setting.size["seconds"])
    return percentiles(run.latencies)


CASES = [
    Case(
        "latency",
        "one order at a time, from start to end",
        size={"seconds": 3},
        quick={"seconds": 0.3},
        measures=everybody(workload.one_by_one, bare=bare_one, sqlite=alone_one),
    )
]
