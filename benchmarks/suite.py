"""Every case, in the order in which they are run."""

from __future__ import annotations

from collections.abc import Sequence

from .case import Case
from .cases import (
    approvals,
    cpu,
    fairness,
    growth,
    importing,
    latency,
    memory,
    messages,
    payloads,
    recovery,
    startup,
    throughput,
)

CASES: Sequence[Case] = (
    *throughput.CASES,
    *latency.CASES,
    *cpu.CASES,
    *approvals.CASES,
    *messages.CASES,
    *recovery.CASES,
    *startup.CASES,
    *growth.CASES,
    *memory.CASES,
    *payloads.CASES,
    *fairness.CASES,
    *importing.CASES,
)
