"""The owner is stopped, another process takes over, and the old owner comes back: fenced, and nothing is lost.

Triggers in the file notice any transition that is written under an epoch which is not the current one, and any owner
that was replaced before it was silent for as long as owners may be: ten seconds for users; here it is shortened, in
the children alone.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from unittest.mock import patch

from atone.actors import Ownership
from atone.sagas import engine
from atone.storage import connection
from atone.storage.migration import MIGRATIONS

from . import book, days, lives, oracle, shop
from .counts import Case, Counts
from .lives import Life
from .shop import Manner, Order

WORKERS = 8  # they wait for the lease to run out
PER_CASE = 1

_TTL = 0.5  #: seconds
_BLINK = 0.01  #: seconds by which wall clock and monotonic clock may differ
_LONGEST = 0.08  #: seconds that the orders of one process take
_TRIES = 5
_BLOCKED = 4.0  #: seconds: an owner that was stopped inside a transaction keeps everybody out of the file

_WATCH = """
create table stale (id text, revision integer, epoch integer);
create trigger stale_owner after update of revision on actors when new.epoch is not (select epoch from lease)
begin insert into stale values (new.id, new.revision, new.epoch); end;
create table claimed (epoch integer, silent real);
create trigger claim after update of epoch on lease when old.instance is not null
begin insert into claimed values (new.epoch, new.beat_at - old.beat_at); end;
create trigger skipped after update of revision on actors when new.revision <> old.revision + 1
begin insert into stale values (new.id, new.revision, new.epoch); end;
"""


def prepare(seed: int, _size: int, _folder: Path) -> Case:
    """Nothing to be done beforehand."""

    def case(index: int) -> Counts:
        chance = random.Random(f"{seed}/{index}")
        counts = Counts()
        for _ in range(_TRIES):  # where the owner was stopped inside a transaction, nobody could take over
            with lives.workplace() as folder:
                counts += takeover(folder, chance)
            if counts.takeovers or counts.violations:
                break
        return counts

    return case


def takeover(folder: Path, chance: random.Random) -> Counts:
    """Stop the first host, let a second take over, let the first come back, and see all orders end."""
    path = folder / "db" / "orders.db"
    with closing(connection.writing(str(path), MIGRATIONS)) as db:
        db.executescript(_WATCH)
    mine, yours = (shop.orders(name, list(Manner)) for name in ("first", "second"))
    first = _begin(folder, mine)
    _until(lambda: bool(book.read(folder / "book")))
    time.sleep(chance.uniform(0, _LONGEST))
    first.signal(signal.SIGSTOP)
    second = _begin(folder, yours)
    taken = _until(lambda: _epoch(path) > 1, _BLOCKED)
    if taken and chance.random() < 0.5:
        _until(lambda: _all_ended(folder, yours), _BLOCKED)
    elif taken:
        time.sleep(chance.uniform(0, _LONGEST))
    first.signal(signal.SIGCONT)
    wrong = (
        []
        if _until(lambda: _all_ended(folder, mine))
        else [f"{oracle.END}: the orders of the first process did not end"]
    )
    if second.has_ended():  # it could not open a file that a stopped process had locked
        wrong += [] if second.wait() == lives.REFUSED else [f"{oracle.EXIT}: the second ended, {lives.errors(folder)}"]
        second = _begin(folder, yours)
    wrong += (
        []
        if _until(lambda: _all_ended(folder, yours))
        else [f"{oracle.END}: the orders of the second process did not end"]
    )
    for name, life in (("first", first), ("second", second)):
        life.signal(signal.SIGTERM)
        if (code := life.wait()) != lives.DONE:
            wrong.append(f"{oracle.EXIT}: the {name} ended with {code}: {lives.errors(folder)}")
    wrong += oracle.ended_well(path, book.read(folder / "book"), [order.id for order in mine + yours])
    with closing(sqlite3.connect(path)) as db:
        wrong += [f"{oracle.WRITER}: moved on by a stale owner, {row}" for row in db.execute("select * from stale")]
        early = db.execute("select epoch, silent from claimed where silent < ?", (_TTL - _BLINK,))
        wrong += [f"{oracle.WRITER}: epoch {epoch} began after a silence of {silent:.3f} s" for epoch, silent in early]
    return Counts(takeovers=int(taken), violations=wrong)


def _begin(folder: Path, placed: list[Order]) -> Life:
    def work() -> None:
        with patch.object(engine, "Ownership", partial(Ownership, ttl=_TTL)):
            days.host(folder / "db" / "orders.db", folder / "book", placed)

    return lives.begin(work, folder)


def _epoch(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("select epoch from lease").fetchone()[0])


def _all_ended(folder: Path, placed: list[Order]) -> bool:
    ended = {line.split(" ")[1] for line in book.read(folder / "book") if line.startswith("ended")}
    return all(order.id in ended for order in placed)


def _until(holds: Callable[[], bool], seconds: float = lives.PATIENCE) -> bool:
    """Wait until something holds; whether it came to that in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
