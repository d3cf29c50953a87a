"""Every operation on a file fails in every way, or the process dies at it; then all goes on, and ends well.

One fault a life: the workload runs in a fresh process, and one operation of one kind meets its fate. The process must
heal by itself, or refuse to open with a typed error; whatever it promised is in the file; and a fresh process brings
every order to its end. Where a sync failed, power is lost as well: the pages that were on their way then never arrive.
"""

from __future__ import annotations

import errno
import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import cast

from attrs import frozen

from . import book, days, iolog, lives, oracle, power_loss
from .counts import Case, Counts
from .disk import Disk, Files
from .iolog import CUT_SHORT, KILL_AFTER, KILL_BEFORE, KILL_MIDDLE
from .power_loss import Look

WORKERS = 4
PER_CASE = 0.93  # some operations do not come again, since threads do not take turns twice alike

FATES = {
    "w": (errno.EIO, errno.ENOSPC, CUT_SHORT, KILL_BEFORE, KILL_MIDDLE, KILL_AFTER),
    "s": (errno.EIO, KILL_BEFORE, KILL_AFTER),
    "t": (errno.EIO, errno.ENOSPC, KILL_BEFORE, KILL_AFTER),
    "u": (errno.EIO, KILL_BEFORE, KILL_AFTER),
    "o": (errno.EIO, errno.EMFILE, KILL_BEFORE, KILL_AFTER),
    "r": (errno.EIO,),
}
_NAMES = {CUT_SHORT: "cut short", KILL_BEFORE: "kill before", KILL_MIDDLE: "kill within", KILL_AFTER: "kill after"}
_KILLS = {KILL_BEFORE, KILL_MIDDLE, KILL_AFTER}
_EVERY_LIFE = 4  #: so many cases are opened again also where all had ended
_GATES = 4  #: images behind each sync that failed

Day = Callable[[Path], None]


@frozen
class Fault:
    """What becomes of one operation of one day of the workload."""

    day: Day
    kind: str
    number: int
    fate: int

    def __str__(self) -> str:
        return f"{self.day.__name__}, {self.kind} {self.number}: {_NAMES.get(self.fate) or errno.errorcode[self.fate]}"

    @property
    def kills(self) -> bool:
        """Whether the process dies of it."""
        return self.fate in _KILLS


@frozen
class Rehearsal:
    """The workload, cut between its days: a fault on the second need not wait until the first has passed."""

    morning: Path  #: of the second day: the file and the book as the first left them
    faults: list[Fault]  #: every fate of every operation

    @classmethod
    def of(cls, folder: Path) -> Rehearsal:
        """Live both days once, in a folder that is kept."""
        morning = folder / "morning"
        (morning / "db").mkdir(parents=True)
        first = _operations(days.monday, morning)
        evening = folder / "evening"
        shutil.copytree(morning, evening)
        counts = ((days.monday, first), (days.two_days, _operations(days.two_days, evening)))
        faults = [
            Fault(day, kind, number, fate)
            for day, operations in counts
            for kind, count in operations.items()
            for number in range(1, count + 1)
            for fate in FATES[kind]
        ]
        return cls(morning, faults)

    def set_up(self, day: Day, folder: Path) -> None:
        """Put into a folder what is there when a day begins."""
        if day is days.two_days:
            shutil.copytree(self.morning, folder, dirs_exist_ok=True)


def _operations(day: Day, folder: Path) -> dict[str, int]:
    def counted() -> None:
        iolog.watch(folder / "db")
        day(folder)
        (folder / "counts").write_text(json.dumps({kind: iolog.count(kind) for kind in FATES}))

    code = lives.begin(counted, folder).wait()
    assert code == lives.DONE, lives.errors(folder)
    return cast("dict[str, int]", json.loads((folder / "counts").read_text()))


def prepare(seed: int, _size: int, folder: Path) -> Case:
    """See what operations there are; each fault comes once before any comes twice, and first all syncs that fail."""
    rehearsal = Rehearsal.of(folder)
    order = random.Random(seed).sample(rehearsal.faults, len(rehearsal.faults))
    order.sort(key=lambda fault: (fault.kind, fault.fate) != ("s", errno.EIO))

    def case(index: int) -> Counts:
        fault = order[index % len(order)]
        with lives.workplace() as place:
            hit, wrong = suffer(rehearsal, fault, place, again=index % _EVERY_LIFE == 0)
            return Counts(io_faults=int(hit), missed=int(not hit), violations=[f"{text} ({fault})" for text in wrong])

    return case


def suffer(rehearsal: Rehearsal, fault: Fault, folder: Path, *, again: bool = False) -> tuple[bool, list[str]]:
    """Live with one fault, then without: whether it came, and which promises did not hold.

    Where it did not come, since threads take turns differently each time, all must be well anyhow. A life that came to
    its end in spite of the fault needs no second one, unless it is to be lived `again`.
    """
    rehearsal.set_up(fault.day, folder)
    log = folder / "operations" if fault.kind == "s" and not fault.kills else None
    before = {file.name: bytearray(file.read_bytes()) for file in (folder / "db").iterdir()} if log else {}
    earlier = book.read(folder / "book")

    def work() -> None:
        iolog.watch(folder / "db", log)
        iolog.fail(fault.kind, fault.number, fault.fate)
        try:
            fault.day(folder)
        finally:
            if not iolog.fired():
                (folder / "missed").touch()

    code = lives.begin(work, folder).wait()
    if (folder / "missed").exists():
        return False, _judge(folder, code, {lives.DONE}) + power_loss.revive(folder, fault.day)
    wrong = _judge(folder, code, {lives.KILLED} if fault.kills else {lives.DONE, lives.REFUSED})
    if log is not None:
        wrong += behind_failed_sync(log, before, earlier)
    if code == lives.DONE and not again:
        return True, wrong + power_loss.ended(folder, fault.day)
    return True, wrong + power_loss.revive(folder, fault.day)


def _judge(folder: Path, code: int, wanted: set[int]) -> list[str]:
    """How the process that was to meet the fault ended, and what it left behind."""
    wrong = [] if code in wanted else [f"{oracle.EXIT}: it ended with {code}: {lives.errors(folder)}"]
    lines = book.read(folder / "book")
    if not any(line.startswith(("started", "do")) for line in lines):
        return wrong  # nothing was promised yet
    with closing(sqlite3.connect(folder / "db" / "orders.db")) as db:
        return wrong + oracle.kept(db, lines)


def behind_failed_sync(log: Path, before: Files, earlier: list[str]) -> list[str]:
    """Images of a system that forgets, when a sync fails, the pages which it could not write."""
    wrong: list[str] = []
    for number in range(_GATES):
        chance = random.Random(number)
        disk = Disk({name: bytearray(content) for name, content in before.items()})
        lines = list(earlier)
        for operation in iolog.read(log):
            if operation.kind == "n":
                lines.append(operation.data.decode())
            elif operation.kind == "S":
                disk.drop(operation.file, chance)
            else:
                disk.follow(operation)
        with lives.workplace() as folder:
            power_loss.lay_out(disk.image(next(disk.outages(chance))), folder)
            wrong += power_loss.examine(folder, lines, Look.FILE)
    return [f"{text}, power lost behind the sync that failed" for text in wrong]
