"""Sagas: steps with their compensations, the planner that decides about them, and the coordinator that runs them."""

from .answers import CancelAnswer, SendAnswer, VerbAnswer
from .context import StepContext
from .coordinator import Coordinator
from .errors import (
    AlreadyFinished,
    AlreadyHosted,
    AnswerPending,
    CoordinatorClosed,
    CoordinatorFailed,
    DefinitionError,
    MailboxFull,
    OrderConflict,
    OrderError,
    OrderNotFound,
    PermanentError,
    SagaError,
    ServiceMissing,
    StepFailed,
    WrongInput,
    WrongLoop,
)
from .handle import DID_NOT_HAPPEN, Handle
from .progress import CauseKind, Park, ParkReason, Status, StepStatus
from .receive import Receive, receive
from .retry import Retry
from .saga import Group, Saga, Zone, parallel
from .step import DidNotHappen, Happened, NeverWillHappen, Probe, Step, StillUnknown, step
from .views import Cause, OrderStatus, Outcome, Transition

__all__ = [
    "DID_NOT_HAPPEN",
    "AlreadyFinished",
    "AlreadyHosted",
    "AnswerPending",
    "CancelAnswer",
    "Cause",
    "CauseKind",
    "Coordinator",
    "CoordinatorClosed",
    "CoordinatorFailed",
    "DefinitionError",
    "DidNotHappen",
    "Group",
    "Handle",
    "Happened",
    "MailboxFull",
    "NeverWillHappen",
    "OrderConflict",
    "OrderError",
    "OrderNotFound",
    "OrderStatus",
    "Outcome",
    "Park",
    "ParkReason",
    "PermanentError",
    "Probe",
    "Receive",
    "Retry",
    "Saga",
    "SagaError",
    "SendAnswer",
    "ServiceMissing",
    "Status",
    "Step",
    "StepContext",
    "StepFailed",
    "StepStatus",
    "StillUnknown",
    "Transition",
    "VerbAnswer",
    "WrongInput",
    "WrongLoop",
    "Zone",
    "parallel",
    "receive",
    "step",
]
