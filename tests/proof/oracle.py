"""What must hold of a file and a book, each sentence under the name that the oracle of `atone.testing` gives it.

`kept` may be asked of a file at any moment, also of an image after the loss of power: was anything that was promised
lost, is anything half done? It is plain SQL, shares nothing with the engine but the schema, and takes a millisecond.
`ended_well` is asked when all is over, and asks the other oracle as well.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from zlib import crc32

from atone import CancelAnswer, Status
from atone.testing import oracle as checks
from atone.testing.halves import BESIDE, WITHIN, half_done
from atone.testing.oracle import CHECKS

from .book import Effects
from .shop import ENDS, Manner
from .testimony import judged


def _named(name: str) -> str:
    """A name of the oracle's own: it says what each of them means."""
    return next(check.name for check in CHECKS if check.name == name)


INTENT, NET, ORDER = map(_named, ("S1 intent first", "S2 net zero", "S3 order at participants"))
ONCE, DURABLE, WHOLE = map(_named, ("S4 exactly once", "S7 an answer is durable", "S8 one commit"))
WRITER, TRUE, REPEATED = map(_named, ("S6 one writer", "S12 truthful answers", "S11 once"))
SOUND, SICK, SHUTDOWN = checks.SOUND.name, checks.SICK.name, checks.SHUTDOWN.name
#: How an order ends follows from its story, and how a process ends from what was done to it: the proof alone knows.
END, EXIT = "the story's end", "the process's end"

#: answers that no message stands behind
_NOTHING_KEPT = {CancelAnswer.ALREADY_FINISHED, CancelAnswer.NOT_FOUND}
_FINAL = {Status.COMPLETED, Status.COMPENSATED}
_ACTIONS = ("reserve", "charge", "ship", "confirm")


def kept(db: sqlite3.Connection, lines: Sequence[str]) -> list[str]:
    """Every promise in the book that the file does not keep, and everything in the file that is half done."""
    (tables,) = db.execute("select count(*) from sqlite_schema where name = 'actors'").fetchone()
    if not tables:
        return [f"{DURABLE}: a file without tables, after {line!r}" for line in lines[:1]]
    half = [f"{WHOLE}: {one}" for one in half_done(db, {**WITHIN, **BESIDE})]
    return [*_damaged(db), *half, *_lost(db, lines)]


def _damaged(db: sqlite3.Connection) -> Iterator[str]:
    for (verdict,) in db.execute("pragma quick_check"):
        if verdict != "ok":
            yield f"{SOUND}: SQLite says {verdict}"
    sums = (
        "select id, checksum - revision, snapshot from actors",
        "select key, checksum, body from inputs",
        "select key || '/' || name, checksum, body from parts",
    )
    for query in sums:
        yield from (f"{SOUND}: wrong checksum at {id}" for id, found, body in db.execute(query) if found != crc32(body))


def _lost(db: sqlite3.Connection, lines: Sequence[str]) -> Iterator[str]:
    there = dict(db.execute("select id, case phase when 0 then status else '' end from actors"))
    gone = dict(db.execute("select id, status from tombstones"))
    inbox = {(order, id): answer for order, id, answer in db.execute(
        "select actors.id, inbox.id, answer from inbox join actors using (key)")}  # fmt: skip
    begun = {(order, intent) for order, intents in db.execute(
        "select id, begun from history join actors using (key) where begun is not null")
        for intent in intents.split(" ")}  # fmt: skip
    for line in lines:
        match line.split(" "):
            case [_, order, *_] if order in gone:
                kept = not line.startswith("ended") or line.endswith(gone[order])
            case ["started", order]:
                kept = order in there
            case ["ended", order, status]:
                kept = there.get(order) == status
            case ["sent", order, id]:
                kept = (order, id) in inbox
            case ["cancelled", order, id, answer] if answer not in _NOTHING_KEPT:
                kept = inbox.get((order, id)) == answer
            case ["do", order, step, attempt, *_]:
                kept = (order, f"{step}/action/{attempt}") in begun
            case ["undo", order, step, attempt, *_]:
                kept = (order, f"{step}/compensation/{attempt}") in begun
            case _:
                kept = True
        if not kept:
            check = INTENT if line.startswith(("do", "undo")) else DURABLE
            yield f"{check}: promised and lost, {line!r}"


def ended_well(path: Path, lines: Sequence[str], expected: Sequence[str]) -> list[str]:
    """Every order is there, ended as its manner says, and left outside exactly what that means."""
    with closing(sqlite3.connect(path)) as db:
        found = dict(db.execute("select id, status from actors union all select id, status from tombstones"))
        wrong = kept(db, lines) + judged(path, lines)
    effects = Effects.of(lines)
    wrong += [f"{DURABLE}: order {id} is not there" for id in expected if id not in found]
    asked = {line.partition(" ")[2] for line in lines if line.startswith("asked ")}
    wrong += [f"{ONCE}: order {id} exists, and nobody placed it" for id in found.keys() - asked]
    for id, status in found.items():
        wrong += _end(id, status, _cancel_accepted(id, lines))
        wrong += _left(id, status, effects)
    wrong += _out_of_order(lines)
    return wrong


def _cancel_accepted(id: str, lines: Sequence[str]) -> bool | None:
    answers = [line.rsplit(" ", 1)[-1] for line in lines if line.startswith(f"cancelled {id} ")]
    if not answers:
        return None
    return CancelAnswer.ACCEPTED in answers or CancelAnswer.ALREADY_CANCELLING in answers


def _end(id: str, status: str, cancelled: bool | None) -> Iterator[str]:
    manner = Manner(id.partition("-")[0])
    if status not in _FINAL:
        yield f"{END}: order {id} is {status}"
    elif manner in ENDS:
        if status != ENDS[manner]:
            yield f"{END}: order {id} ended {status}, and should be {ENDS[manner]}"
    elif cancelled is not None and (status == Status.COMPENSATED) != cancelled:
        yield f"{TRUE}: order {id} ended {status}, against the answer to its cancel"


def _left(id: str, status: str, effects: Effects) -> Iterator[str]:
    wanted = int(status == Status.COMPLETED)
    for step in _ACTIONS:
        found = effects.happened(id, step)
        if found != wanted:
            check = ONCE if wanted else NET
            yield f"{check}: order {id} is {status}, and its {step} happened {found} times"


def _out_of_order(lines: Sequence[str]) -> Iterator[str]:
    """Compensations run in reverse: what is refunded at all was refunded before the goods were released."""
    refunded: set[str] = set()
    released: set[str] = set()
    for line in lines:
        match line.split(" "):
            case ["undo", order, "reserve", *_]:
                released.add(order)
            case ["undo", order, "charge", *_]:
                if order in released - refunded:
                    yield f"{ORDER}: order {order} was refunded after its goods were released"
                refunded.add(order)
            case _:
                pass
