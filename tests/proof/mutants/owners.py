"""Faults between processes: who owns the file, and who may write."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from atone.actors import Ownership, actor
from atone.sagas.runner import Runner
from atone.storage import Write
from atone.storage.apply import Applier

from .mutant import mutant

Planted = AbstractContextManager[object]


@mutant("takeovers", "S6 one writer")
def epoch_ignored() -> Planted:
    """An owner goes on writing after another has taken over."""

    def sort(self: Applier, writes: Any, results: list[Any]) -> dict[type[Write[Any]], list[int]]:
        places: dict[type[Write[Any]], list[int]] = {kind: [] for kind in self._changes.by_kind}
        for place, write in enumerate(writes):
            places[type(write)].append(place)
        return {kind: chosen for kind, chosen in places.items() if chosen}

    return patch.object(Applier, "_sorted", sort)


@mutant("swarm", "S1 one at a time")
def new_work_is_cut_off() -> Planted:
    """Work that a request began when a host took its order up is taken for work of the life before."""
    return patch.object(actor, "_beside", lambda event, _decision: event)


@mutant("scenarios", "S1 one at a time")
def grace_by_the_wall() -> Planted:
    """An attempt that timed out has no more grace than a clock gives it that may be set."""
    return patch.object(Runner, "_grace", lambda self, attempt: self.overlap_grace if attempt.stopped else 0.0)


@mutant("takeovers", "S6 one writer")
def lease_stolen() -> Planted:
    """A standby takes the lease from an owner that lives and renews it."""
    return patch.object(Ownership, "_gone", lambda self, lease, holder: True)


@mutant("kills", "S20 shutdown is no cancel")
def left_with_the_lease() -> Planted:
    """A host that leaves in good order keeps the lease, and the next one has to find out that it is gone."""

    async def keep(self: Ownership, epoch: int) -> None:
        return

    return patch.object(Ownership, "release", keep)
