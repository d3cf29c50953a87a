"""Simulate sagas, kill their process everywhere, and audit what is on disk. Installed by `atone[testing]`."""

from .audit import verify
from .crash import Coverage, crash_everywhere
from .durable import Durable
from .oracle import Violation
from .rehearsal import Flaw, rehearse
from .services import AnswerLost, Effect, FakeService, Outcomes, action, outcomes
from .simulation import Simulation
from .story import SagaFailure, Story

__all__ = [
    "AnswerLost",
    "Coverage",
    "Durable",
    "Effect",
    "FakeService",
    "Flaw",
    "Outcomes",
    "SagaFailure",
    "Simulation",
    "Story",
    "Violation",
    "action",
    "crash_everywhere",
    "outcomes",
    "rehearse",
    "verify",
]
