"""A file and its book as evidence for the oracle of `atone.testing`, which judges simulations and users' stores alike.

The participants of the book stand in for fake services, the clients' answers in it for those that a simulation gave.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from atone.storage import Query, queries
from atone.storage.connection import reading
from atone.storage.lease import read_lease
from atone.testing import Effect, FakeService
from atone.testing.evidence import Evidence, Promise
from atone.testing.oracle import judge

from .shop import proof_saga

_ALL = 1000


def judged(path: Path, lines: Sequence[str]) -> list[str]:
    """What the oracle says of the orders that are in the file; of those that were purged there is no trail."""
    with closing(reading(str(path))) as db:
        evidence = _evidence(db, lines)
    return [f"{one.check}: {one.detail}, order {one.order}" for one in judge(evidence)]


def _evidence(db: sqlite3.Connection, lines: Sequence[str]) -> Evidence:
    keys = [record.key for record in queries.list_actors(db, Query(), _ALL)]
    records = queries.load(db, keys)
    ids = {record.id for record in records}
    told = [words for line in lines if (words := line.split(" "))[1] in ids]
    orders = [(record, queries.history(db, record.key, -1, _ALL)) for record in records]
    return Evidence(orders, [proof_saga], [_participant(told)], list(_promises(told)), lease=read_lease(db), exact=True)


def _participant(told: Sequence[list[str]]) -> FakeService:
    """All of them as one, with a ledger as the book has it."""
    service = FakeService()
    ledger = service.ledger
    for at, words in enumerate(told):
        match words:
            case ["do", _, step, _, key, _]:
                place = (step, key)
                ledger.sent.append(place)
                if place not in ledger.closed and not ledger.standing.get(place):
                    ledger.standing[place] = 1
                    ledger.lines.append(Effect(at, service.name, step, key))
            case ["undo", _, step, _, _, key]:
                place = (step, key)
                known = ledger.standing.get(place, 0) > 0
                if known or place not in ledger.closed:
                    ledger.lines.append(Effect(at, service.name, step, key, undone=True, known=known))
                ledger.standing[place] = 0
                ledger.closed.add(place)
            case _:
                pass
    return service


def _promises(told: Sequence[list[str]]) -> Iterator[Promise]:
    sent: set[tuple[str, str]] = set()
    for words in told:
        match words:
            case ["started", order]:
                yield Promise("start", order, "", "")
            case ["sent", order, id]:
                yield Promise("send", order, id, "DUPLICATE" if (order, id) in sent else "ACCEPTED")
                sent.add((order, id))
            case ["cancelled", order, id, answer]:
                yield Promise("cancel", order, id, answer)
            case _:
                pass
