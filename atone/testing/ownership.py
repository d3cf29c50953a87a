"""What must hold of owners; each check yields the order and what it found instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from ..storage import Advance, Create, Created, Lease, Quarantine
from .evidence import Evidence
from .journal import Began, Committed, Left

Found = Iterator[tuple[str | None, str]]


def from_the_future(evidence: Evidence) -> Found:
    """Orders written by an owner that never was."""
    for id, trail in evidence.trails.items():
        if evidence.lease is not None and trail.record.epoch > evidence.lease.epoch:
            yield id, f"it was written in epoch {trail.record.epoch}, and the lease is at {evidence.lease.epoch}"


def from_the_past(evidence: Evidence) -> Found:
    """Orders written by an owner that had been replaced when its commit came to the disk."""
    current = 0
    for write, result in evidence.journal.of(Committed):
        if isinstance(result, Lease):
            current = result.epoch
        elif isinstance(write, Advance | Create | Quarantine) and write.epoch not in (current, None):
            key = result.key if isinstance(result, Created) else cast("Advance", write).key
            id = next((one.record.id for one in evidence.trails.values() if one.record.key == key), None)
            yield id, f"it was written in epoch {write.epoch}, and the lease was at {current} by then"


def begun_when_leaving(evidence: Evidence) -> Found:
    """Attempts that a process began after it had been asked to leave."""
    left = {event.process: event.at for event in evidence.journal.of(Left)}
    for event in evidence.journal.of(Began) if left else ():
        at, sender = left.get(event.sender.process), event.sender
        if at is not None and event.at > at:  # in the same moment it may not have heard of it yet
            yield sender.order, f"{sender} began {event.at - at:.3f} s after its process was asked to leave"
