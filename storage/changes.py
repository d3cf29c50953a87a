"""What each kind of write does to the tables: plain functions of rows, without a thought of transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from .codec import checksum
from .inbox import Inbox
from .lease import Claim, Release, claim, release
from .queries import find
from .records import Definition, Entry, Lease, Record, Tombstone
from .statements import STATEMENTS, for_rows, width_of
from .writes import (
    Accept,
    Advance,
    Create,
    Created,
    Done,
    Exists,
    Purge,
    Purged,
    Quarantine,
    Renew,
    Stale,
    Unseen,
    Write,
)

_Rows = list[tuple[Any, ...]]
#: The values of many rows in one list: a tuple for each row would only keep the garbage collector busy.
_Values = list[Any]

#: Rows that one call of SQLite writes: each size is a statement of its own, prepared once.
_SIZES = (512, 64, 8, 1)


class Refused(Exception):
    """A guard did not match; what was written since the savepoint must go. It carries the answer."""

    def __init__(self, answer: Any) -> None:
        super().__init__(answer)
        self.answer = answer


class Changes:
    """Carries out several writes of one kind at once, and returns what each came to.

    Raises `Refused` when a guard of any of them does not match: whoever called rolls back.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._definitions: dict[Definition, int] = {}
        self._inbox = Inbox(connection, self._rows)
        # The order within a transaction: messages reach an actor that is created beside them, and where
        # somebody takes the lease over, those who were there before go first.
        self.by_kind: dict[type[Write[Any]], Callable[[Any], list[Any]]] = {
            Renew: self._renew,
            Create: self._create,
            Accept: self._inbox.accept,
            Advance: self._advance,
            Quarantine: self._quarantine,
            Purge: self._purge,
            Claim: self._claim,
            Release: self._release,
        }

    def forget(self) -> None:
        """After a rollback: a definition may have lost its number."""
        self._definitions.clear()

    def _rows(self, statement: str, values: _Values) -> int:
        """Carry out a statement of `values` for many rows in as few calls as its prepared sizes allow."""
        width = width_of(statement)
        changed = start = 0
        for size in _SIZES:
            while len(values) - start >= size * width:
                part = values[start : start + size * width]
                changed += self._connection.execute(for_rows(statement, size), part).rowcount
                start += size * width
        return changed

    def _many(self, statement: str, rows: _Rows) -> int:
        return self._connection.executemany(STATEMENTS[statement], rows).rowcount if rows else 0

    def _renew(self, writes: Sequence[Renew]) -> list[Done]:
        self._connection.execute(STATEMENTS["renew"], {"at": writes[-1].at, "epoch": writes[-1].epoch})
        return [Done()] * len(writes)

    def _create(self, writes: Sequence[Create]) -> list[Created]:
        last = self._connection.execute(STATEMENTS["last_key"]).fetchone()
        first = last[0] + 1 if last else 1
        actors: _Values = []
        inputs: _Values = []
        history: _Values = []
        parts: _Rows = []
        for key, write in enumerate(writes, first):
            now, revision = write.snapshot, write.revision
            actors += (
                key,
                write.id,
                self._definition(write.definition),
                revision,
                write.epoch or 0,
                now.status,
                int(now.phase),
                now.wake_at,
                now.deaths,
                write.at,
                write.at,
                checksum(revision, now.body),
                now.body,
            )
            inputs += (key, checksum(0, write.input), write.input)
            _tell(history, write.at, key, revision, write.history)
            if write.parts:
                parts += _parts(key, write.parts)
        if self._rows("create", actors) != len(writes):
            raise Refused(self._present(writes[0].id))
        self._rows("create_input", inputs)
        self._rows("record", history)
        self._many("put_part", parts)
        return [Created(key) for key in range(first, first + len(writes))]

    def _present(self, id: str) -> Exists | Purged | None:
        found = find(self._connection, id)
        if isinstance(found, Record):
            return Exists(found)
        return Purged(found) if isinstance(found, Tombstone) else None

    def _definition(self, definition: Definition) -> int:
        number = self._definitions.get(definition)
        if number is None:
            row = (definition.kind, definition.version, definition.fingerprint)
            found = self._connection.execute(STATEMENTS["definition"], row).fetchone()
            number = int((found or self._connection.execute(STATEMENTS["define"], row).fetchone())[0])
            self._definitions[definition] = number
        return number

    def _advance(self, writes: Sequence[Advance]) -> list[Done]:
        moves: dict[str, _Values] = {"advance": [], "advance_in_place": []}
        history: _Values = []
        consumed: _Rows = []
        parts: _Rows = []
        guards: list[tuple[int, int]] = []
        for write in writes:
            now, revision, key = write.snapshot, write.revision, write.key
            moves["advance_in_place" if write.in_place else "advance"] += (
                key,
                revision,
                write.epoch,
                now.status,
                int(now.phase),
                now.wake_at,
                now.deaths,
                write.at,
                checksum(revision, now.body),
                now.body,
            )
            _tell(history, write.at, key, revision, write.history)
            if write.consumed:
                consumed += [(text, seq, key) for seq, text in write.consumed]
            if write.parts:
                parts += _parts(key, write.parts)
            if write.waiting is not None:
                guards.append((key, write.waiting))
        moved = sum(self._rows(statement, values) for statement, values in moves.items())
        stray = self._connection.execute(STATEMENTS["strays"]).fetchone()
        if moved != len(writes) or (stray is not None and any(write.key == stray[0] for write in writes)):
            raise Refused(Stale())
        if self._many("consume", consumed) != len(consumed):
            raise Refused(Stale())
        if guards and not self._as_many_wait(guards):
            raise Refused(Unseen())
        self._rows("record", history)
        self._many("put_part", parts)
        return [Done()] * len(writes)

    def _as_many_wait(self, guards: Sequence[tuple[int, int]]) -> bool:
        """Whether each actor has exactly as many unconsumed messages as it knows of."""
        execute = self._connection.execute
        if not any(known for _, known in guards) and execute(STATEMENTS["any_waiting"]).fetchone() is None:
            return True
        return all(execute(STATEMENTS["waiting"], (key,)).fetchone()[0] == known for key, known in guards)

    def _quarantine(self, writes: Sequence[Quarantine]) -> list[Done]:
        for write in writes:
            parameters = {
                "key": write.key,
                "revision": write.revision,
                "epoch": write.epoch,
                "at": write.at,
                "status": write.status,
                "reason": write.reason,
            }
            if self._connection.execute(STATEMENTS["quarantine"], parameters).rowcount != 1:
                raise Refused(Stale())
            history: _Values = []
            _tell(history, write.at, write.key, write.revision, (write.entry,))
            self._rows("record", history)
        return [Done()] * len(writes)

    def _purge(self, writes: Sequence[Purge]) -> list[int]:
        return [self._purge_one(write) for write in writes]

    def _purge_one(self, write: Purge) -> int:
        keys = self._connection.execute(STATEMENTS["ended"], {"before": write.before, "limit": write.limit}).fetchall()
        if keys:
            self._connection.execute(STATEMENTS["purge_mark"], (write.before,))
            self._connection.execute(STATEMENTS["purge_old_marks"])
        for statement in (
            "bury",
            "purge_actor",
            "purge_input",
            "purge_parts",
            "purge_inbox",
            "purge_history",
        ):
            self._many(statement, keys)
        return len(keys)

    def _claim(self, writes: Sequence[Claim]) -> list[Lease | None]:
        return [claim(self._connection, write) for write in writes]

    def _release(self, writes: Sequence[Release]) -> list[Done]:
        return [release(self._connection, write) for write in writes]


def _tell(history: _Values, at: float, key: int, revision: int, entries: Iterable[Entry]) -> None:
    """Add the lines of one transition."""
    for entry in entries:
        history += (
            key,
            revision,
            at,
            entry.event,
            entry.source,
            entry.target,
            entry.step,
            entry.attempt,
            entry.error,
            entry.note,
            entry.begun,
        )


def _parts(key: int, parts: Iterable[tuple[str, bytes]]) -> _Rows:
    return [(key, name, checksum(0, body), body) for name, body in parts]
