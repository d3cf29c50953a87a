"""Hostile data: rows that were damaged, forged or confused, and callers who pass whatever they like.

A file with many waiting orders is mutated row by row, then hosted. The host lives; orders that nobody touched go on to
their end; an order whose bytes are damaged is parked and its bytes stay as they are; every question is answered, or
refused with a typed error.
"""

from __future__ import annotations

import asyncio
import random
import shutil
import sqlite3
import traceback
from collections.abc import Awaitable
from contextlib import closing
from pathlib import Path
from typing import Any
from zlib import crc32

from attrs import define, field

from atone import AtoneError, Coordinator, CoordinatorFailed, Status

from . import callers, lives, shop
from .book import Book
from .counts import Case, Counts
from .shop import Approve, Manner, Order, proof_saga

WORKERS = 2
PER_CASE = 500

_ORDERS = 300
_UNTOUCHED = 60  #: of these
_SOON = 10.0  #: seconds in which a sound order must end

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


def prepare(seed: int, _size: int, folder: Path) -> Case:
    """Make the file that every case mutates a copy of."""
    life = lives.begin(lambda: _fill(folder), folder)
    assert life.wait() == lives.DONE, lives.errors(folder)

    def case(index: int) -> Counts:
        chance = random.Random(f"{seed}/{index}")
        with lives.workplace() as place:
            shutil.copytree(folder, place, dirs_exist_ok=True)
            return torment(place, chance)

    return case


def _fill(folder: Path) -> None:
    """Orders that wait, a third of them with results in rows of their own."""
    (folder / "db").mkdir(exist_ok=True)

    async def wait() -> None:
        book = Book(folder / "book")
        async with shop.coordinator(folder / "db" / "orders.db", book) as opened:
            handles = await asyncio.gather(*(opened.start(proof_saga, order, id=order.id) for order in placed()))
            while await opened.count() != {Status.WAITING: len(handles)}:
                await asyncio.sleep(0.01)

    asyncio.run(wait())


def placed() -> list[Order]:
    """The orders in the file."""
    return [
        Order(f"approved-x-{number}", Manner.APPROVED, "x" * 3000 if number % 3 == 0 else "x" * 10)
        for number in range(_ORDERS)
    ]


@define
class Vandal:
    """Mutates rows of an open file, and remembers whose."""

    db: sqlite3.Connection
    chance: random.Random
    rows: int = 0
    touched: set[int] = field(factory=set)  #: keys of orders of which anything but the history was changed

    def rage(self, keys: list[int]) -> None:
        """Mutate about as many rows as a case counts."""
        while self.rows < PER_CASE:
            key = self.chance.choice(keys)
            self.chance.choice((self._flip, self._flip, self._forge, self._lie, self._lie, self._message))(key)

    def _flip(self, key: int) -> None:
        """Damage the bytes of a body."""
        table = self.chance.choice(("actors", "inputs", "parts"))
        for row, body in self._bodies(table, key):
            self._set(table, _BODIES[table], row, damaged(body, self.chance))
            self.touched.add(key)

    def _forge(self, key: int) -> None:
        """Replace a body by another, and its checksum as well."""
        table = self.chance.choice(("actors", "inputs", "parts"))
        for row, body in self._bodies(table, key):
            changed = self.chance.choice((*_JSONS, confused(body, self.chance), confused(body, self.chance)))
            self._set(table, _BODIES[table], row, changed)
            (revision,) = self.db.execute("select revision from actors where key = ?", (key,)).fetchone() or (0,)
            self._set(table, "checksum", row, crc32(changed) + (revision if table == "actors" else 0))
            self.touched.add(key)

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
            self.touched.add(key)

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


def torment(folder: Path, chance: random.Random) -> Counts:
    """Mutate the file, host it, ask everything about it, and see who was harmed."""
    path = folder / "db" / "orders.db"
    with closing(sqlite3.connect(path)) as db:
        db.text_factory = bytes
        keys = [key for (key,) in db.execute("select key from actors order by key")]
        vandal = Vandal(db, chance)
        vandal.rage(keys[_UNTOUCHED:])
        db.commit()
        broken, before = _broken(db), _standing(db)
    sound = [order.id for key, order in zip(keys, placed(), strict=True) if key not in vandal.touched]
    said = folder / "said"
    life = lives.begin(lambda: said.write_text("\n".join(asyncio.run(_host(folder, sound)))), folder)
    code = life.wait()
    wrong = said.read_text().splitlines() if said.exists() else []
    if code != lives.DONE:
        wrong.append(f"L1 an end: the host ended with {code}: {lives.errors(folder)}")
    with closing(sqlite3.connect(path)) as db:
        db.text_factory = bytes
        after = _standing(db)
    for key in broken:
        if after[key][1:] != before[key][1:]:
            wrong.append(f"S15 quarantine: the bytes of damaged order {key} were changed")
        if after[key][0] not in {before[key][0], b"PARKED"}:
            wrong.append(f"S15 quarantine: damaged order {key} went on, it is {after[key][0]!r}")
    return Counts(hostile_rows=vandal.rows + callers.CALLS, violations=wrong)


def _broken(db: sqlite3.Connection) -> set[int]:
    """Keys of the orders whose bytes no longer fit their checksums."""
    queries = (
        "select key, checksum - revision, snapshot from actors where revision between 0 and 1000",
        "select key, checksum, body from inputs",
        "select key, checksum, body from parts",
    )
    return {key for query in queries for key, found, body in db.execute(query) if found != crc32(body)}


def _standing(db: sqlite3.Connection) -> dict[int, list[bytes]]:
    """The status of each order, and everything it is made from."""
    found = {key: [status, body] for key, status, body in db.execute("select key, status, snapshot from actors")}
    for query in ("select key, body from inputs", "select key, body from parts order by key, name"):
        for key, body in db.execute(query):
            found[key].append(body)
    return found


async def _host(folder: Path, sound: list[str]) -> list[str]:
    """Approve all orders, and ask about each; what went wrong."""
    path = folder / "db" / "orders.db"
    async with shop.coordinator(path, Book(folder / "book")) as opened:
        wrong = [text for order in placed() for text in await _tried(_approve(opened, order.id))]
        wrong += [text for found in await asyncio.gather(*(_sound(opened, id) for id in sound)) for text in found]
        wrong += await _tried(_list(opened))
        for order in placed():
            wrong += await _tried(_ask(opened, order.id))
        return wrong + await callers.Caller(opened, path).torment()


async def _sound(opened: Coordinator, id: str) -> list[str]:
    """An order which nobody damaged must be completed."""
    try:
        outcome = await opened.order(id).outcome(timeout=_SOON)
    except (AtoneError, TimeoutError) as error:
        return [f"S15 others run: order {id}, which nobody damaged, {error!r:.200}"]
    return [] if outcome.status is Status.COMPLETED else [f"S15 others run: order {id}, which nobody damaged, ended {outcome.status}"]


async def _approve(opened: Coordinator, id: str) -> None:
    await opened.order(id).send(Approve("alice"), id="approval")


async def _list(opened: Coordinator) -> None:
    await opened.count()
    found = [status.id async for status in opened.orders()]
    if len(found) < _ORDERS:
        raise LookupError(f"the list holds {len(found)} orders")


async def _ask(opened: Coordinator, id: str) -> None:
    handle = opened.order(id)
    await handle.status()
    async for _ in handle.history():
        pass
    await handle.cancel("why not", by="eve", timeout=0.01)


async def _tried(call: Awaitable[None]) -> list[str]:
    """What a call raised that is no error of ours."""
    try:
        await call
    except CoordinatorFailed as error:
        return [f"S15 others run: the coordinator failed, {error.__cause__!r}"]
    except AtoneError:
        return []
    except Exception as error:
        return [f"X2 typed errors: {getattr(call, '__name__', '')} raised {error!r:.200} at {traceback.extract_tb(error.__traceback__)[-1]}"]
    return []
