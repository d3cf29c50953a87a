"""Simulate sagas, kill their process everywhere, and audit what is on disk. Installed by `atone[testing]`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .actions import action
from .audit import verify
from .campaign import Coverage
from .crash import crash_everywhere
from .durable import Durable
from .evidence import Violation
from .ledger import Effect
from .outcomes import AnswerLost, Outcomes, outcomes
from .rehearsal import rehearse
from .services import FakeService
from .simulation import Simulation
from .spy import Flaw
from .story import SagaFailure, Story

if TYPE_CHECKING:
    from .machine import SagaMachine

__all__ = [
    "AnswerLost",
    "Coverage",
    "Durable",
    "Effect",
    "FakeService",
    "Flaw",
    "Outcomes",
    "SagaFailure",
    "SagaMachine",
    "Simulation",
    "Story",
    "Violation",
    "action",
    "crash_everywhere",
    "outcomes",
    "rehearse",
    "verify",
]


def __getattr__(name: str) -> type[SagaMachine]:
    """`SagaMachine` is loaded when it is asked for: the rest of the kit needs no Hypothesis."""
    if name != "SagaMachine":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from .machine import SagaMachine  # noqa: PLC0415  # see above
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        msg = "SagaMachine needs Hypothesis, which is not installed: pip install 'atone[testing]'"
        raise ModuleNotFoundError(msg, name="hypothesis") from error
    return SagaMachine
