"""Simulate sagas, kill their process everywhere, and audit what is on disk. Installed by `atone[testing]`."""

from .audit import verify
from .crash import Coverage, crash_everywhere
from .durable import Durable
from .evidence import Violation
from .outcomes import AnswerLost, Outcomes, outcomes
from .rehearsal import rehearse
from .services import Effect, FakeService, action
from .simulation import Simulation
from .spy import Flaw
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
