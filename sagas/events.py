"""What can happen to an order, and what the planner can ask for in return. All of it plain data."""

from __future__ import annotations

from enum import StrEnum

from ..actors import Begin, Due, Resumed
from ..storage import frozen, plain
from .progress import Failure, Work

# ── what happens ──────────────────────────────────────────────────────────────────────────────────


@plain
class Returned:
    """An attempt succeeded.

    `result` is what it returned, as it will be stored; `value` is that, decoded again.
    """

    result: bytes | None
    value: object = None


@frozen
class Refused:
    """An attempt raised `PermanentError`: this one certainly had no effect."""

    failure: Failure


@frozen
class Unknown:
    """An attempt ended in any other way, and may have had its effect.

    `counted` is False where it was cut off from outside (a crash, a shutdown, storage trouble): that
    does not use up the retry budget. `lingers` is set where it timed out and has not really ended yet:
    until then, at the longest, nothing else is sent under its key.
    """

    failure: Failure
    counted: bool = True
    lingers: float | None = None


class Finding(StrEnum):
    """What a probe found, when it was not the result itself."""

    DID_NOT_HAPPEN = "DID_NOT_HAPPEN"
    NEVER_WILL_HAPPEN = "NEVER_WILL_HAPPEN"
    STILL_UNKNOWN = "STILL_UNKNOWN"


@frozen
class Probed:
    """A probe answered; its `Happened` is a `Returned`."""

    finding: Finding
    failure: Failure | None = None  #: what the probe raised, when it raised


@plain
class Ended:
    """The attempt `number` of `work` on a slot has ended."""

    slot: int
    work: Work
    number: int
    how: Returned | Refused | Unknown | Probed


@frozen
class Late:
    """An attempt that had timed out has now really ended; `answer` is what it brought, if anything."""

    slot: int
    work: Work
    number: int
    answer: str | None = None


@frozen
class Overlap:
    """An attempt that was cut off has not ended within its grace, and the next one is sent beside it."""

    slot: int
    number: int


@frozen
class Evaluated:
    """The `when` of an awaited message was asked."""

    slot: int
    verdict: bool | Failure


@frozen
class Arrived:
    """A message that the order waits for."""

    seq: int
    kind: str
    body: bytes
    value: object = None  #: the message itself


class Verb(StrEnum):
    """What people can ask of an order."""

    CANCEL = "CANCEL"
    RETRY = "RETRY"
    RESOLVE = "RESOLVE"
    SKIP = "SKIP"
    ABANDON = "ABANDON"
    SUSPEND = "SUSPEND"
    RESUME = "RESUME"


@frozen
class Control:
    """A person's request, with who and why. `park` is the number of the park that the person saw."""

    verb: Verb
    by: str
    why: str
    park: int | None = None
    result: bytes | None = None  #: of `RESOLVE`: the result, when it did happen
    happened: bool = False
    seq: int = 0


Event = Begin | Due | Resumed | Ended | Late | Overlap | Evaluated | Arrived | Control

# ── what the planner asks for ─────────────────────────────────────────────────────────────────────


@plain
class Run:
    """Send attempt `number` of `work`, once the intent is on disk."""

    slot: int
    work: Work
    number: int


@frozen
class Evaluate:
    """Ask the `when` of an awaited message, at once: its answer belongs to the same commit."""

    slot: int


Command = Run | Evaluate
