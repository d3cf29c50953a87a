"""Simulate sagas, kill their process everywhere, and audit what is on disk. Installed by `atone[testing]`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from .actions import action
from .audit import verify
from .coverage import Coverage
from .crash import crash_everywhere
from .durable import Durable
from .evidence import Violation
from .happenings import ClockJump, CommitsFail, Death, FaultPlan, Mail, Mishap, NoRoom, Stall, Standby
from .history import simulate
from .ledger import Effect
from .outcomes import AnswerLost, Outcomes, outcomes
from .rehearsal import rehearse
from .services import FakeService
from .simulation import Simulation
from .spy import Flaw
from .story import SagaFailure, Story

if TYPE_CHECKING:
    from .machine import SagaMachine
    from .strategies import crash_points, fault_plans, messages, schedules

__all__ = [
    "AnswerLost",
    "ClockJump",
    "CommitsFail",
    "Coverage",
    "Death",
    "Durable",
    "Effect",
    "FakeService",
    "FaultPlan",
    "Flaw",
    "Mail",
    "Mishap",
    "NoRoom",
    "Outcomes",
    "SagaFailure",
    "SagaMachine",
    "Simulation",
    "Stall",
    "Standby",
    "Story",
    "Violation",
    "action",
    "crash_everywhere",
    "crash_points",
    "fault_plans",
    "messages",
    "outcomes",
    "rehearse",
    "schedules",
    "simulate",
    "verify",
]

#: What needs Hypothesis, and the module that it is in. Loaded when it is asked for: the rest of the kit needs none.
_DRAWN = {"SagaMachine": "machine"} | dict.fromkeys(
    ("crash_points", "fault_plans", "messages", "schedules"), "strategies"
)


def __getattr__(name: str) -> object:
    if name not in _DRAWN:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_DRAWN[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        msg = f"{name} needs Hypothesis, which is not installed: pip install 'atone[testing]'"
        raise ModuleNotFoundError(msg, name="hypothesis") from error
