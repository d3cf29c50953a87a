"""Engines and participants with a planted fault: each layer must find what it is there to find.

A mutant is planted in worker processes alone, and what they fork inherits it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from atone import SqliteStore, StoreError
from atone.storage import Advance, Done, Write, connection, queries
from atone.storage.apply import Applier
from atone.storage.connection import _demand

from . import book

Writes = list[Write[Any]]


def _normal() -> AbstractContextManager[object]:
    """`synchronous=NORMAL`: what was acknowledged may be lost with the power."""

    def demand(db: sqlite3.Connection, path: str, setting: str, value: str, shown: str | None = None) -> None:
        weaker = ("normal", "1") if setting == "synchronous" else (value, shown)
        _demand(db, path, setting, *weaker)

    return patch.object(connection, "_demand", demand)


def _early_ack() -> AbstractContextManager[object]:
    """Transitions are acknowledged, and their steps begin, a little before they are on disk."""
    commit = SqliteStore._commit
    earlier: list[asyncio.Task[None]] = []

    async def later(store: SqliteStore, writes: Writes, before: list[asyncio.Task[None]]) -> None:
        await asyncio.sleep(0.01)
        await asyncio.gather(*before)
        await commit(store, writes)

    async def early(self: SqliteStore, writes: Writes) -> list[Any]:
        before, earlier[:] = earlier[:], []
        if not all(isinstance(write, Advance) for write in writes):
            await asyncio.gather(*before)
            return await commit(self, writes)
        earlier.append(asyncio.create_task(later(self, writes, before)))
        return [Done()] * len(writes)

    return patch.object(SqliteStore, "_commit", early)


def _failed_is_done() -> AbstractContextManager[object]:
    """A transition whose commit failed is taken for done."""
    commit = SqliteStore._commit

    async def hopeful(self: SqliteStore, writes: Writes) -> list[Any]:
        try:
            return await commit(self, writes)
        except StoreError:
            if not all(isinstance(write, Advance) for write in writes):
                raise
            return [Done()] * len(writes)

    return patch.object(SqliteStore, "_commit", hopeful)


def _no_epoch() -> AbstractContextManager[object]:
    """An owner goes on writing after another has taken over."""

    def sort(self: Applier, writes: Writes, results: list[Any]) -> dict[type[Write[Any]], list[int]]:
        places: dict[type[Write[Any]], list[int]] = {kind: [] for kind in self._changes.by_kind}
        for place, write in enumerate(writes):
            places[type(write)].append(place)
        return {kind: chosen for kind, chosen in places.items() if chosen}

    return patch.object(Applier, "_sorted", sort)


class _Anything(int):
    """Equal to whatever it is compared with."""

    __hash__ = int.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


def _no_checksum() -> AbstractContextManager[object]:
    """Damaged bytes are taken as they are."""
    return patch.object(queries, "checksum", lambda revision, body: _Anything())


def _no_keys() -> AbstractContextManager[object]:
    """Participants that do again what they have done under the same key."""
    return patch.object(book, "HONOURS_KEYS", new=False)


def _no_tombstones() -> AbstractContextManager[object]:
    """Participants that carry out a charge which comes after its refund."""
    return patch.object(book, "HONOURS_TOMBSTONES", new=False)


MUTANTS: Mapping[str, Callable[[], AbstractContextManager[object]]] = {
    "normal": _normal,
    "early_ack": _early_ack,
    "failed_is_done": _failed_is_done,
    "no_epoch": _no_epoch,
    "no_checksum": _no_checksum,
    "no_keys": _no_keys,
    "no_tombstones": _no_tombstones,
}
