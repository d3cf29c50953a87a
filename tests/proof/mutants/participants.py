"""Faults on the other side: participants that do not do what `docs/guarantees.md` asks of them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from atone.testing import FakeService

from .mutant import mutant

Planted = AbstractContextManager[object]


def _participants(**lacking: bool) -> Planted:
    real = FakeService.__init__

    def make(self: FakeService, **options: Any) -> None:
        real(self, **{**options, **lacking})

    return patch.object(FakeService, "__init__", make)


@mutant("scenarios", "S4 exactly once")
def no_keys() -> Planted:
    """A participant does again what it has done under the same key."""
    return _participants(keys=False)


@mutant("scenarios", "S2 net zero")
def no_tombstones() -> Planted:
    """A participant carries out a charge that comes after its refund."""
    return _participants(tombstones=False)


@mutant("swarm", "S2 net zero")
def no_tombstones_in_a_swarm() -> Planted:
    """The same, and random sagas in random weather must show it as well."""
    return _participants(tombstones=False)
