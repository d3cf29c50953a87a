"""Reading: plain functions of one connection, each of them seeing one moment of the database."""

from __future__ import annotations

import heapq
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from typing import Any

import orjson

from .codec import checksum
from .records import Count, Definition, Entry, HistoryRow, Lane, Message, Phase, Query, Record, Snapshot, Tombstone
from .statements import STATEMENTS

#: so many actors are read at once: enough to be quick, few enough to hold little memory
_CHUNK = 256


def load(connection: sqlite3.Connection, keys: Sequence[int], *, messages: bool = True) -> list[Record]:
    """Actors whole, in the order of their keys."""
    records: list[Record] = []
    for start in range(0, len(keys), _CHUNK):
        records += _load(connection, keys[start : start + _CHUNK], messages=messages)
    return records


def _load(connection: sqlite3.Connection, keys: Sequence[int], *, messages: bool) -> list[Record]:
    chosen = {"keys": orjson.dumps(keys).decode()}
    damage: defaultdict[int, list[str]] = defaultdict(list)
    parts: defaultdict[int, dict[str, bytes]] = defaultdict(dict)
    for key, name, total, body in connection.execute(STATEMENTS["load_parts"], chosen):
        parts[key][name] = body
        if total != checksum(0, body):
            damage[key].append(f"the checksum of the part {name!r} is wrong")
    inbox = _messages(connection, chosen) if messages else {}
    return [
        _record(row, parts.get(row[0], {}), tuple(inbox.get(row[0], ())), damage[row[0]])
        for row in connection.execute(STATEMENTS["load"], chosen)
    ]


def _messages(connection: sqlite3.Connection, chosen: dict[str, str]) -> dict[int, list[Message]]:
    inbox: defaultdict[int, list[Message]] = defaultdict(list)
    for key, seq, id, lane, kind, body, accepted_at in connection.execute(STATEMENTS["load_messages"], chosen):
        inbox[key].append(Message(seq, id, _LANES.get(lane, Lane.DATA), kind, body, accepted_at))
    return inbox


def _record(row: tuple[Any, ...], parts: dict[str, bytes], messages: tuple[Message, ...], damage: list[str]) -> Record:
    """Whatever is wrong with a row becomes the record's damage: one bad row must not hide the others."""
    (key, id, kind, version, fingerprint, revision, epoch, status, phase, wake_at, deaths) = row[:11]
    (created_at, updated_at, quarantine, total, body, input_total, input) = row[11:]
    if total != checksum(revision, body):
        damage.append("the checksum of the snapshot is wrong")
    if input is None:
        damage.append("the input is missing")
    elif input_total != checksum(0, input):
        damage.append("the checksum of the input is wrong")
    if kind is None:
        damage.append("the definition is missing")
    if phase not in _PHASES:
        damage.append(f"there is no phase {phase}")
    if not all(0 <= time <= _END_OF_TIME for time in (created_at, updated_at, wake_at or 0.0)):
        damage.append("a time is out of range")
        created_at, updated_at, wake_at = 0.0, 0.0, None
    if not all(map(_is_text, (id, kind, fingerprint, status, quarantine, *parts))):
        damage.append("a text is not UTF-8")
    return Record(
        key=key,
        id=id,
        definition=Definition(kind or "", version or 0, fingerprint or ""),
        revision=revision,
        epoch=epoch,
        created_at=created_at,
        updated_at=updated_at,
        snapshot=Snapshot(status, _PHASES.get(phase, Phase.IDLE), body, wake_at, deaths),
        quarantine=quarantine,
        input=input or b"",
        parts=parts,
        messages=messages,
        damage="; ".join(damage) or None,
    )


_END_OF_TIME = 253402300799.0  # the last second that a calendar has
_PHASES = {int(phase): phase for phase in Phase}
_LANES = {int(lane): lane for lane in Lane}


def _is_text(value: str | None) -> bool:
    """Whether a text was read as it was written; bytes that are not UTF-8 come as lone surrogates."""
    if value is None or value.isascii():
        return True
    return not any("\udc80" <= letter <= "\udcff" for letter in value)


def find(connection: sqlite3.Connection, id: str) -> Record | Tombstone | None:
    """An actor by its id, without messages; or its tombstone."""
    row = connection.execute(STATEMENTS["key"], {"id": id}).fetchone()
    if row is not None:
        return load(connection, row, messages=False)[0]
    row = connection.execute(STATEMENTS["tombstone"], {"id": id}).fetchone()
    if row is None:
        return None
    id, kind, version, fingerprint, status, finished_at = row
    return Tombstone(id, Definition(kind, version, fingerprint), status, finished_at)


def messages(connection: sqlite3.Connection, key: int) -> tuple[Message, ...]:
    """The unconsumed messages of one actor."""
    return tuple(_messages(connection, {"keys": f"[{key}]"}).get(key, ()))


def unread(connection: sqlite3.Connection, lane: Lane, after: int, limit: int) -> list[tuple[int, int]]:
    """The unconsumed messages of all actors in one lane, in order of acceptance."""
    statement = "unread_requests" if lane is Lane.CONTROL else "unread_data"
    return rows(connection, statement, after=after, limit=limit)


def column(connection: sqlite3.Connection, statement: str, /, **parameters: Any) -> list[Any]:
    """The first column of a named statement."""
    return [value for (value,) in connection.execute(STATEMENTS[statement], parameters)]


def value(connection: sqlite3.Connection, statement: str, /, **parameters: Any) -> Any:
    """The first column of the first row; `None` where there is none."""
    row = connection.execute(STATEMENTS[statement], parameters).fetchone()
    return None if row is None else row[0]


def rows(connection: sqlite3.Connection, statement: str, /, **parameters: Any) -> list[tuple[Any, ...]]:
    """All rows of a named statement."""
    return connection.execute(STATEMENTS[statement], parameters).fetchall()


def history(connection: sqlite3.Connection, key: int, after: int, limit: int) -> list[HistoryRow]:
    """An actor's history above a revision, which is never split."""
    found = rows(connection, "history", key=key, after=after, limit=limit)
    return [HistoryRow(seq, key, revision, at, Entry(*entry)) for seq, key, revision, at, *entry in found]


def list_actors(connection: sqlite3.Connection, query: Query, limit: int) -> list[Record]:
    """Actors in order of arrival, without messages."""
    keys = _all(connection, query, limit) if query.status is None else _some(connection, query, limit)
    return load(connection, keys, messages=False)


def _all(connection: sqlite3.Connection, query: Query, limit: int) -> list[int]:
    return column(
        connection,
        "list_all",
        after=query.after_key,
        kind=query.kind,
        created_before=query.created_before,
        limit=limit,
    )


def _some(connection: sqlite3.Connection, query: Query, limit: int) -> list[int]:
    """Each run of the index is sorted: a few parked actors are found at once among a million others."""
    runs = [
        column(
            connection,
            "list_some",
            definition=definition,
            status=status,
            phase=int(phase),
            after=query.after_key,
            created_before=query.created_before,
            limit=limit,
        )
        for definition in column(connection, "definitions", kind=query.kind)
        for status in dict.fromkeys(query.status or ())
        for phase in Phase
    ]
    return list(islice(heapq.merge(*runs), limit))


def live(connection: sqlite3.Connection, limit: int) -> list[Count]:
    """How many live actors there are of each definition, status and phase, each counted up to `limit`."""
    counts: list[Count] = []
    run: dict[str, Any] = {"definition": 0, "status": b"", "phase": 0}
    while found := rows(connection, "next_run", **run):
        run = dict(zip(run, found[0], strict=True))
        if run["phase"] != Phase.FINAL:
            status = (run["status"] or b"").decode("utf-8", "surrogateescape")  # a damaged one may be null
            counts += [
                Count(Definition(*definition), status, _PHASES.get(run["phase"], Phase.IDLE), number)
                for *definition, number in rows(connection, "length_of_run", limit=limit, **run)
            ]
    return counts


def count(connection: sqlite3.Connection, query: Query) -> list[Count]:
    """How many actors match, by definition, status and phase."""
    statuses = None if query.status is None else orjson.dumps(query.status).decode()
    parameters = {"after": query.after_key, "kind": query.kind, "statuses": statuses}
    if query.created_before is None:
        found = rows(connection, "count", **parameters)
    else:
        found = rows(connection, "count_older", created_before=query.created_before, **parameters)
    return [
        Count(Definition(kind, version, fingerprint), status, _PHASES.get(phase, Phase.IDLE), number)
        for kind, version, fingerprint, status, phase, number in found
    ]
