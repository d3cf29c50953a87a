"""Actors: a mailbox and a state that is on disk before anything follows from it. Knows storage, and no saga."""

from .actor import Actor
from .admission import Admission, Call
from .behaviour import Begin, Behaviour, Decision, Due, Moment, Resumed, Stage
from .limits import Limits
from .mailbox import Mailbox
from .ownership import Ownership
from .recovery import Recovery
from .restarts import Intensity, Restarts
from .runtime import Cancellable, Runtime, SystemRuntime, within
from .supervisor import Supervisor
from .timers import Timer, Timers
from .words import storable

__all__ = [
    "Actor",
    "Admission",
    "Begin",
    "Behaviour",
    "Call",
    "Cancellable",
    "Decision",
    "Due",
    "Intensity",
    "Limits",
    "Mailbox",
    "Moment",
    "Ownership",
    "Recovery",
    "Restarts",
    "Resumed",
    "Runtime",
    "Stage",
    "Supervisor",
    "SystemRuntime",
    "Timer",
    "Timers",
    "storable",
    "within",
]
