"""A disk that is really full: a small file system in memory. Only root may mount one; for others there is nothing here.

The host must say so with a typed error, begin no step, and go on by itself when there is room again; or it is killed
meanwhile, and the next one must refuse to open politely, or wait, until there is room.
"""

from __future__ import annotations

import asyncio
import errno
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from atone import Coordinator, StoreError, StoreUnavailable

from . import book, days, lives, oracle, shop
from .book import Book
from .counts import Case, Counts
from .customers import Customer
from .shop import Manner, proof_saga

WORKERS = 2
PER_CASE = 1

_SIZE = 4 * 1024 * 1024
_SETTLED = 0.3  #: seconds in which nothing may happen outside while the disk is full
_MANY = 2000  #: starts, of which one must meet the end of the disk


def is_possible() -> bool:
    """Whether this process may mount a file system."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    with lives.workplace() as folder:
        try:
            with _small_disk(folder):
                return True
        except subprocess.CalledProcessError:
            return False


def prepare(seed: int, _size: int, _folder: Path) -> Case:
    """See whether it is possible here."""
    possible = is_possible()

    def case(index: int) -> Counts:
        if not possible:
            return Counts()
        with lives.workplace() as folder, _small_disk(folder):
            wrong = fill_and_free(folder, random.Random(f"{seed}/{index}"), killed=index % 2 == 1)
            return Counts(io_faults=1, violations=wrong)

    return case


@contextmanager
def _small_disk(folder: Path) -> Generator[None]:
    place = str(folder / "db")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", place], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def fill_and_free(folder: Path, chance: random.Random, *, killed: bool) -> list[str]:
    """Fill the disk under a host at work, and free it, for the same host or for the next."""
    path, ballast = folder / "db" / "orders.db", folder / "db" / "ballast"
    early, late = (shop.orders(name, list(Manner)) for name in ("early", "late"))
    room = chance.randrange(0, 65536)

    def work() -> None:
        notes = Book(folder / "book")
        asyncio.run(_through_the_flood(path, ballast, notes, early, late, room))

    life = lives.begin(work, folder)
    wrong: list[str] = []
    if _wait_for(folder, "full"):
        time.sleep(0.1)  # attempts whose intent was on disk may begin and end
        before = len(book.read(folder / "book"))
        time.sleep(_SETTLED)
        acts = [line for line in book.read(folder / "book")[before:] if line.startswith(("do", "undo", "started"))]
        wrong += [f"{oracle.SICK}: on a full disk, {line}" for line in acts]
        if killed:
            life.signal(signal.SIGKILL)
            life.wait()
            life = lives.begin(lambda: days.work(path, folder / "book", late), folder)
            life.has_ended(_SETTLED)
        ballast.unlink()
    code = life.wait()
    if code != lives.DONE and not (killed and code == lives.REFUSED):
        wrong.append(f"{oracle.EXIT}: it ended with {code}: {lives.errors(folder)}")
    end = lives.begin(lambda: days.work(path, folder / "book", early + late), folder).wait()
    if end != lives.DONE:
        wrong.append(f"{oracle.EXIT}: with room again, it ended with {end}: {lives.errors(folder)}")
    lines = book.read(folder / "book")
    return wrong + oracle.ended_well(path, lines, [order.id for order in early + late])


async def _through_the_flood(
    path: Path, ballast: Path, notes: Book, early: list[shop.Order], late: list[shop.Order], room: int
) -> None:
    async with days.coordinator(path, notes) as opened:
        customers = [Customer(coordinator=opened, book=notes, order=order) for order in early]
        async with asyncio.TaskGroup() as tasks:
            serving = [tasks.create_task(customer.serve()) for customer in customers]
            await asyncio.sleep(0.02)
            _fill(ballast, room)
            error = await _first_refusal(opened, notes)
            if not isinstance(error, StoreUnavailable):
                raise TypeError(f"a full disk was reported as {error!r}")
            notes.write("full", type(error).__name__)
            while ballast.exists():  # meanwhile others look whether anything happens
                await asyncio.sleep(0.01)
            await asyncio.wait(serving)
            for order in late:
                tasks.create_task(Customer(coordinator=opened, book=notes, order=order).serve())


async def _first_refusal(opened: Coordinator, notes: Book) -> StoreError | None:
    """Start orders until one meets the end of the disk."""
    for number in range(_MANY):
        id = f"plain-flood-{number}"
        notes.write("asked", id)
        try:
            await opened.start(proof_saga, shop.Order(id, Manner.PLAIN, "x" * 2000), id=id)
        except StoreError as error:
            return error
        notes.write("started", id)
    return None


def _fill(ballast: Path, room: int) -> None:
    """Leave only so many bytes on the disk."""
    with ballast.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                break
        file.truncate(max(file.tell() - room, 0))


def _wait_for(folder: Path, word: str) -> bool:
    deadline = time.monotonic() + lives.PATIENCE
    while time.monotonic() < deadline:
        if any(line.startswith(word) for line in book.read(folder / "book")):
            return True
        time.sleep(0.01)
    return False
