"""Processes are killed: at every operation, at any instant, in a crowd; or asked to leave, which must undo nothing.

Whoever comes next brings every order to its end. Among what is interrupted are the making of the file, its migration
and its sweeping.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from . import book, days, io_faults, lives, oracle, power_loss, shop
from .counts import Case, Counts
from .io_faults import Rehearsal
from .shop import Manner

WORKERS = 6
PER_CASE = 1.25

_LONGEST = 0.2  #: seconds that the workload takes when nobody interrupts it
_IN_A_ROW = 3  #: kills of one host, or of one file's processes, before they are let alone
_CLIENTS = 3
_COMPLETING = [Manner.PLAIN, Manner.LARGE, Manner.LOST, Manner.UNSENT, Manner.APPROVED]


def prepare(seed: int, _size: int, folder: Path) -> Case:
    """Be ready for all sorts of deaths, in turn."""
    rehearsal = Rehearsal.of(folder)
    points = [fault for fault in rehearsal.faults if fault.kills]
    order = random.Random(seed).sample(points, len(points))

    def case(index: int) -> Counts:
        chance = random.Random(f"{seed}/{index}")
        with lives.workplace() as place:
            match index % 10:
                case 0:
                    return crowd(place, chance)
                case 1 | 6:
                    return leave(place, chance)
                case 2 | 3 | 4:
                    return at_any_instant(place, chance)
                case which:  # the four that are left of each ten take one point after another, and leave none out
                    fault = order[(index // 10 * 4 + (5, 7, 8, 9).index(which)) % len(order)]
                    hit, wrong = io_faults.suffer(rehearsal, fault, place)
                    return Counts(kills=int(hit), violations=[f"{text} ({fault})" for text in wrong])

    return case


def at_any_instant(folder: Path, chance: random.Random) -> Counts:
    """Kill one life after another, then let one go on to the end."""
    kills = 0
    for _ in range(_IN_A_ROW):
        life = lives.begin(lambda: days.two_days(folder), folder)
        if not life.has_ended(chance.uniform(0, _LONGEST)):
            life.signal(signal.SIGKILL)
        kills += life.wait() == lives.KILLED
    return Counts(kills=kills, violations=power_loss.revive(folder))


def leave(folder: Path, chance: random.Random) -> Counts:
    """Ask a host to leave at any instant: it gives the lease back, and nothing is undone."""
    placed = shop.orders("only", _COMPLETING)
    path = folder / "db" / "orders.db"
    life = lives.begin(lambda: days.host(path, folder / "book", placed), folder)
    deadline = time.monotonic() + lives.PATIENCE
    while not book.read(folder / "book") and time.monotonic() < deadline:
        time.sleep(0.002)
    time.sleep(chance.uniform(0, _LONGEST))
    life.signal(signal.SIGTERM)
    code = life.wait()
    wrong = (
        []
        if code == lives.DONE
        else [f"{oracle.SHUTDOWN}: asked to leave, it ended with {code}: {lives.errors(folder)}"]
    )
    with closing(sqlite3.connect(path)) as db:
        if db.execute("select pid from lease").fetchone() != (None,):
            wrong.append(f"{oracle.SHUTDOWN}: it left and kept the lease")
    code = lives.begin(lambda: days.work(path, folder / "book", placed), folder).wait()
    lines = book.read(folder / "book")
    wrong += [
        f"{oracle.SHUTDOWN}: undone although nobody asked for it, {line}" for line in lines if line.startswith("undo")
    ]
    if code != lives.DONE:
        wrong.append(f"{oracle.EXIT}: the next life ended with {code}: {lives.errors(folder)}")
    return Counts(violations=wrong + oracle.ended_well(path, lines, [order.id for order in placed]))


def crowd(folder: Path, chance: random.Random) -> Counts:
    """Several processes use one new file at once; its host, or one of them, is killed again and again."""
    path, notes = folder / "db" / "orders.db", folder / "book"
    placed = [shop.orders(f"client{number}", list(Manner)) for number in range(_CLIENTS)]
    work = [lambda: days.host(path, notes, [])]
    work += [lambda mine=mine: days.work(path, notes, mine, host=False) for mine in placed]  # type: ignore[misc]
    crew = [lives.begin(one, folder) for one in work]
    kills = 0
    for _ in range(_IN_A_ROW):
        time.sleep(chance.uniform(0, _LONGEST))
        victim = chance.choice((0, 0, chance.randrange(len(crew))))
        if not crew[victim].has_ended():
            crew[victim].signal(signal.SIGKILL)
        kills += crew[victim].wait() == lives.KILLED
        crew[victim] = lives.begin(work[victim], folder)
    wrong: list[str] = []
    for number, life in enumerate(crew[1:], 1):
        if (code := life.wait()) == lives.REFUSED:  # the file was busy while it was opened
            code = lives.begin(work[number], folder).wait()
        if code != lives.DONE:
            wrong.append(f"{oracle.EXIT}: client {number} ended with {code}: {lives.errors(folder)}")
    crew[0].signal(signal.SIGTERM)
    if (code := crew[0].wait()) not in {lives.DONE, lives.REFUSED}:
        wrong.append(f"{oracle.EXIT}: the host ended with {code}: {lives.errors(folder)}")
    expected = [order.id for mine in placed for order in mine]
    return Counts(kills=kills, violations=wrong + oracle.ended_well(path, book.read(notes), expected))
