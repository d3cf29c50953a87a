"""Mutates rows of a file, as a bad disk, a bad hand or a bad program would, and remembers whose they were."""

from __future__ import annotations

import random
import sqlite3
from typing import Any
from zlib import crc32

from attrs import define, field

#: what is damaged, how often, and the columns in which a lie may stand
_COLUMNS = {
    "actors": ("revision", "epoch", "status", "phase", "wake_at", "deaths", "updated_at", "quarantine", "definition"),
    "inputs": ("checksum",),
    "parts": ("checksum", "name"),
    "inbox": ("lane", "id", "kind", "accepted_at"),
    "history": ("revision", "at", "event", "source", "target", "step", "attempt", "error", "note", "begun"),
}
_BODIES = {"actors": "snapshot", "inputs": "body", "parts": "body", "inbox": "body"}
_NUMBERS = (-1, 0, 1, 2, 3, 7, 2**31, 2**63 - 1, -(2**63))
_TIMES = (-1e308, -1.0, 0.0, 1e12, 1e308, float("inf"))
_TEXTS = (
    b"", b"\0", b"\xff\xfe", b"\xed\xa0\x80", b"'; drop table actors; --", b'"', b"../../etc/passwd", b"<script>",
    b"COMPLETED", b"RUNNING", "\u202eevil".encode(), b"x" * 100_000,
)  # fmt: skip
_JSONS = (
    b"", b"null", b"[]", b"{}", b"0", b"1e999", b'"x"', b"{", b"[" * 5000, b'{"format": 1}', b'{"format": 99}',
    b"\xef\xbb\xbf{}", b"{" + b'"a":{' * 2000, b'{"id": null, "manner": 7, "letter": []}',
)  # fmt: skip


@define
class Vandal:
    """Mutates rows of an open file, and remembers whose."""

    db: sqlite3.Connection
    chance: random.Random
    rows: int = 0
    touched: set[int] = field(factory=set)  #: keys of orders of which anything but the history was changed
    flipped: set[int] = field(factory=set)  #: of these, those in which nothing but the bytes of bodies was damaged

    def rage(self, keys: list[int], rows: int) -> None:
        """Mutate so many rows of these orders."""
        while self.rows < rows:
            key = self.chance.choice(keys)
            self.chance.choice((self._flip, self._flip, self._forge, self._lie, self._lie, self._message))(key)

    def _flip(self, key: int) -> None:
        """Damage the bytes of a body."""
        table = self.chance.choice(("actors", "inputs", "parts"))
        for row, body in self._bodies(table, key):
            self._set(table, _BODIES[table], row, damaged(body, self.chance))
            if key not in self.touched:
                self.flipped.add(key)
            self.touched.add(key)

    def _forge(self, key: int) -> None:
        """Replace a body by another, and its checksum as well."""
        table = self.chance.choice(("actors", "inputs", "parts"))
        for row, body in self._bodies(table, key):
            changed = self.chance.choice((*_JSONS, confused(body, self.chance), confused(body, self.chance)))
            self._set(table, _BODIES[table], row, changed)
            (revision,) = self.db.execute("select revision from actors where key = ?", (key,)).fetchone() or (0,)
            self._set(table, "checksum", row, crc32(changed) + (revision if table == "actors" else 0))
            self._change(key)

    def _lie(self, key: int) -> None:
        """Put a wrong value into a column."""
        table = self.chance.choice(("actors", "inputs", "parts", "history", "history"))
        column = self.chance.choice(_COLUMNS[table])
        found = self.db.execute(
            f"select rowid_of, typeof(value) from (select {_ROW[table]} as rowid_of, {column} as value"
            f" from {table} where key = ? order by random() limit 1)", (key,)).fetchone()  # fmt: skip
        if found is None:
            return
        row, kind = found
        self._set(table, column, row, self._value(table, column, kind))
        if table != "history":
            self._change(key)

    def _change(self, key: int) -> None:
        self.touched.add(key)
        self.flipped.discard(key)

    def _value(self, table: str, column: str, kind: str) -> object:
        if kind == "real" or column.endswith(("_at", "at")):
            return self.chance.choice(_TIMES)
        if kind == "integer" or column == "attempt":
            return self.chance.choice(_NUMBERS)
        return self.chance.choice(_TEXTS)

    def _message(self, key: int) -> None:
        """A message that no caller could have sent. It is set aside, and the order goes on."""
        kind = self.chance.choice((b"Approve", b"Nothing", b"", b"\0", b"cancel", b"retry", b"abandon", b"\xff"))
        lane = self.chance.choice((0, 1, 1, 7, -1))
        body = self.chance.choice(_JSONS)
        id = f"hostile-{self.rows}"
        self.db.execute(
            "insert into inbox (key, lane, id, kind, body, accepted_at) values (?, ?, ?, cast(? as text), ?, ?)",
            (key, lane, id, kind, body, self.chance.choice(_TIMES)),
        )
        self.rows += 1

    def _bodies(self, table: str, key: int) -> list[tuple[Any, bytes]]:
        return self.db.execute(
            f"select {_ROW[table]}, {_BODIES[table]} from {table} where key = ? order by random() limit 1",
            (key,),
        ).fetchall()

    def _set(self, table: str, column: str, row: object, value: object) -> None:
        text = isinstance(value, bytes) and column not in {"snapshot", "body"}
        try:
            self.db.execute(
                f"update {table} set {column} = {'cast(? as text)' if text else '?'} where {_ROW[table]} = ?",
                (value, row),
            )
        except sqlite3.IntegrityError:
            return  # STRICT refuses it, or it is not unique: nothing was done
        self.rows += 1


#: what finds one row again
_ROW = {"actors": "key", "inputs": "key", "parts": "key || '/' || hex(name)", "inbox": "seq", "history": "seq"}


def damaged(body: bytes, chance: random.Random) -> bytes:
    """Bytes as a bad disk or a bad hand leaves them."""
    content = bytearray(body or b"\0")
    match chance.randrange(4):
        case 0:
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        case 1:
            del content[chance.randrange(len(content)) :]
        case 2:
            content += chance.randbytes(chance.randrange(1, 50))
        case _:
            start = chance.randrange(len(content))
            content[start : start + 16] = chance.randbytes(len(content[start : start + 16]))
    return bytes(content)


def confused(body: bytes, chance: random.Random) -> bytes:
    """JSON in which one token is of another type."""
    tokens = [place for place, byte in enumerate(body) if byte in b'0123456789"[{tfn']
    if not tokens:
        return b"{}"
    place = chance.choice(tokens)
    return (
        body[:place] + chance.choice((b"null", b'""', b"-1", b"[]", b"{}", b"1e400", b'"\\ud800"')) + body[place + 1 :]
    )
