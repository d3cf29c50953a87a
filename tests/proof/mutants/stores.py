"""Faults in the store: durability, atomicity, damage, and what stays behind an order that is gone."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

from atone import SqliteStore, StoreError
from atone.actors import Supervisor
from atone.storage import Advance, Done, Quarantine, Write, connection, queries
from atone.storage.changes import Changes
from atone.storage.connection import _demand

from .mutant import mutant

Planted = AbstractContextManager[object]
Writes = list[Write[Any]]


@mutant("power_loss", "S7 an answer is durable")
def synchronous_normal() -> Planted:
    """SQLite runs with `synchronous=NORMAL`: a commit is acknowledged before it is on disk."""

    def demand(db: sqlite3.Connection, path: str, setting: str, value: str, shown: str | None = None) -> None:
        weaker = ("normal", "1") if setting == "synchronous" else (value, shown)
        _demand(db, path, setting, *weaker)

    return patch.object(connection, "_demand", demand)


@mutant("io_faults", "S7 an answer is durable")
def failed_is_done() -> Planted:
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


@mutant("full_disk", "S10 nothing begins while the store is sick")
def failed_is_done_on_a_full_disk() -> Planted:
    """The same, where there really is no room."""
    return failed_is_done()


@mutant("power_loss", "S8 one commit")
def history_apart() -> Planted:
    """The history of a transition is written in a commit of its own."""
    real = Changes._rows

    def rows(self: Changes, statement: str, given: list[Any]) -> int:
        changed = real(self, statement, given)
        if statement.startswith("advance"):
            self._connection.execute("commit")
            self._connection.execute("begin immediate")
        return changed

    return patch.object(Changes, "_rows", rows)


@mutant("power_loss", "S7 an answer is durable")
def purged_without_a_trace() -> Planted:
    """A purge leaves no tombstone: a late repeat of a start would begin the order anew."""
    real = Changes._many

    def many(self: Changes, statement: str, rows: Any) -> int:
        return 0 if statement == "bury" else real(self, statement, rows)

    return patch.object(Changes, "_many", many)


class _Anything(int):
    """Equal to whatever it is compared with."""

    __hash__ = int.__hash__

    def __eq__(self, other: object) -> bool:
        return True

    def __ne__(self, other: object) -> bool:
        return False


@mutant("hostile", "S15 quarantine")
def checksum_ignored() -> Planted:
    """Damaged bytes are taken as they are."""
    return patch.object(queries, "checksum", lambda revision, body: _Anything())


@mutant("hostile", "S15 quarantine")
def quarantine_forgotten() -> Planted:
    """An order that cannot be read stands still, and nobody is told."""
    return patch.object(Supervisor, "quarantine", lambda self, key, revision, status, reason: None)


@mutant("hostile", "S15 quarantine")
def quarantine_mends() -> Planted:
    """An order that cannot be read is set aside, and its bytes are replaced by an empty state."""
    real = Changes._quarantine

    def quarantine(self: Changes, writes: Sequence[Quarantine]) -> list[Done]:
        done = real(self, writes)
        for write in writes:
            self._connection.execute("update actors set snapshot = x'7b7d' where key = ?", (write.key,))
        return done

    return patch.object(Changes, "_quarantine", quarantine)
