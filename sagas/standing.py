"""Questions about where an order stands. Pure, like the planner that they serve."""

from __future__ import annotations

from typing import Any

from ..storage import Phase
from .progress import ParkReason, Progress, Slot, Status, StepStatus, Work
from .receive import Receive
from .saga import Saga


def too_late(saga: Saga[Any], progress: Progress) -> bool:
    """Whether the pivot's intent was committed: from then on the order does not turn back on request."""
    return saga.pivot is not None and progress.slots[saga.pivot].sent[Work.ACTION] > 0


def expected(saga: Saga[Any], progress: Progress) -> Receive | None:
    """The place whose message would be consumed now, if the order waits for one."""
    if progress.held or progress.reason or progress.final or progress.cursor >= len(saga.nodes):
        return None
    index = saga.nodes[progress.cursor][0]
    receive = saga.slots[index]
    return receive if isinstance(receive, Receive) and progress.slots[index].status is StepStatus.STARTED else None


def lost(slot: Slot) -> bool:
    """Whether a step will not succeed any more."""
    return slot.status is StepStatus.FAILED or (slot.status is StepStatus.IN_DOUBT and slot.work is None)


def status(saga: Saga[Any], progress: Progress) -> Status:
    """The status of the order."""
    if progress.final is not None:
        return progress.final
    if progress.park is not None:
        return Status.PARKED
    if progress.suspended:
        return Status.SUSPENDED
    if progress.reason is not None:
        return Status.COMPENSATING
    return Status.WAITING if expected(saga, progress) else Status.RUNNING


def phase(saga: Saga[Any], progress: Progress) -> Phase:
    """What a host has to do for the order. One that neither waits nor is held must be taken up again.

    So must one that a leaving host left with a lost step, since what else it had scheduled will not be awaited.
    """
    if progress.final is not None:
        return Phase.FINAL
    scheduled = turns = False
    for slot in progress.slots:
        if slot.running:
            return Phase.ACTIVE
        forward = slot.work is not None and slot.work is not Work.COMPENSATION
        scheduled = scheduled or (slot.work is not None and not (forward and progress.reason))
        turns = turns or (progress.reason is None and lost(slot))
    return Phase.IDLE if (scheduled and not turns) or progress.held or expected(saga, progress) else Phase.ACTIVE


def wake_at(saga: Saga[Any], progress: Progress) -> float | None:
    """When the order wants to be woken, if nothing happens before. Timers of a held order keep their time."""
    if progress.final is not None or progress.suspended:
        return None
    times: list[float] = []
    if progress.deadline is not None and progress.reason is None and not too_late(saga, progress):
        times.append(progress.deadline)
    if progress.park is not None:
        return min(times) if times and progress.park.reason is ParkReason.PREDICATE else None
    times += [
        max(slot.due, slot.lingers or slot.due) for slot in progress.slots if slot.due is not None and not slot.running
    ]
    return min(times) if times else None
