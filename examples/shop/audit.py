"""Compares what the participants' books say with how the coordinator says each order ended.

It shares nothing with either of them: it reads the ledger with SQL of its own, and asks of the coordinator
only the final statuses. Every contradiction is one sentence.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from attrs import field, frozen

from .domain import Order


@frozen
class Ending:
    """How the coordinator says an order ended."""

    order_id: str
    status: str
    why: str | None = None  #: of a parked order


@frozen
class Told:
    """What callers were told on the way, and may rely on."""

    accepted: set[str] = field(factory=set)  #: orders for which `start` returned
    cancelled: set[str] = field(factory=set)  #: orders whose cancel was accepted
    declined: set[str] = field(factory=set)  #: orders whose decline was accepted


@frozen
class Tally:
    """All entries of one kind for one order."""

    times: int = 0
    total: int = 0


Books = Mapping[str, Mapping[str, Tally]]  #: order id, kind

#: What a completed order leaves in the books: each once, and nothing else.
COMPLETED = ("reserve", "charge", "ship", "confirm")


def audit(ledger: Path, orders: Iterable[Order], endings: Iterable[Ending], told: Told) -> list[str]:
    """Return every contradiction between the books, the endings and what callers were told."""
    expected = {order.id: order for order in orders}
    ended = {ending.order_id: ending for ending in endings}
    with closing(sqlite3.connect(ledger)) as db:
        books = _read(db)
        stock = list(_stock(db))
    return [
        *_lost(expected, ended, told),
        *(line for id, order in expected.items() if id in ended for line in _order(order, ended[id], books[id])),
        *_broken_words(ended, told),
        *(f"the books name order {id}, which nobody placed" for id in books.keys() - expected.keys()),
        *stock,
    ]


def _read(db: sqlite3.Connection) -> Books:
    books: defaultdict[str, defaultdict[str, Tally]] = defaultdict(lambda: defaultdict(Tally))
    query = "select order_id, kind, count(*), sum(amount) from entry group by order_id, kind"
    for order_id, kind, times, total in db.execute(query):
        books[order_id][kind] = Tally(times, total)
    return books


def late_requests(ledger: Path) -> int:
    """Count the requests that came after their key was closed, and were refused."""
    with closing(sqlite3.connect(ledger)) as db:
        count: int = db.execute("select count(*) from refusal").fetchone()[0]
    return count


def _lost(expected: Mapping[str, Order], ended: Mapping[str, Ending], told: Told) -> Iterator[str]:
    for id in expected.keys() - ended.keys():
        yield f"order {id} {'was accepted and is lost' if id in told.accepted else 'was never accepted'}"
    for id in ended.keys() - expected.keys():
        yield f"order {id} exists, but nobody placed it"


def _order(order: Order, ending: Ending, book: Mapping[str, Tally]) -> Iterator[str]:
    match ending.status:
        case "COMPLETED":
            yield from _completed(order, book)
        case "COMPENSATED":
            yield from _compensated(order, book)
        case "PARKED" if ending.why:
            return
        case status:
            yield f"order {order.id} did not come to an end: it is {status}"


def _completed(order: Order, book: Mapping[str, Tally]) -> Iterator[str]:
    for kind in COMPLETED:
        if book[kind].times != 1:
            yield f"order {order.id} is completed, but its {kind} was done {book[kind].times} times"
    for kind in ("release", "refund"):
        if book[kind].times:
            yield f"order {order.id} is completed, but a {kind} was made"
    if book["charge"].times == 1 and book["charge"].total != order.total_pence:
        yield f"order {order.id} cost {order.total_pence} pence, but {book['charge'].total} were charged"


def _compensated(order: Order, book: Mapping[str, Tally]) -> Iterator[str]:
    for kind, undone in (("charge", "refund"), ("reserve", "release")):
        rest = book[kind].total + book[undone].total
        if rest:
            yield f"order {order.id} is compensated, but {rest} of its {kind} remain"
    for kind in ("ship", "confirm"):
        if book[kind].times:
            yield f"order {order.id} is compensated, but its {kind} was done"


def _broken_words(ended: Mapping[str, Ending], told: Told) -> Iterator[str]:
    for what, ids in (("cancel", told.cancelled), ("decline", told.declined)):
        for id in ids:
            if id in ended and ended[id].status == "COMPLETED":
                yield f"order {id} is completed, although its {what} was accepted"


def _stock(db: sqlite3.Connection) -> Iterator[str]:
    query = """
        select sku, delivered, on_hand, coalesce(sum(amount), 0)
        from stock left join entry using (sku) group by sku
    """
    for sku, delivered, on_hand, taken in db.execute(query):
        if delivered - taken != on_hand:
            yield f"{sku} holds {on_hand} items, but should hold {delivered - taken}"
