"""Taking the lease and giving it back, as writes like any other."""

from __future__ import annotations

import sqlite3

from .records import Holder, Lease
from .statements import STATEMENTS
from .values import frozen
from .writes import Done, Write


@frozen
class Claim(Write["Lease | None"]):
    """Take the lease over if its epoch and its last beat are still those that are `expected`."""

    holder: Holder
    expected: Lease
    at: float
    urgent: bool = True


@frozen
class Release(Write[Done]):
    """Give the lease back if its epoch is still `epoch`."""

    epoch: int
    at: float
    urgent: bool = True


_Row = tuple[int, str | None, str, str, str, int, str, float, int | None]


def _lease(row: _Row) -> Lease:
    epoch, instance, machine, boot, namespace, pid, started, beat_at, died = row
    holder = None if instance is None else Holder(instance, machine, boot, namespace, pid, started)
    return Lease(epoch, holder, beat_at, died)


def read_lease(connection: sqlite3.Connection) -> Lease:
    """Who owns the store."""
    return _lease(connection.execute(STATEMENTS["lease"]).fetchone())


def claim(connection: sqlite3.Connection, wanted: Claim) -> Lease | None:
    """Take the lease over; `None` where somebody was faster."""
    holder = wanted.holder
    parameters = {
        "instance": holder.instance,
        "machine": holder.machine,
        "boot": holder.boot,
        "namespace": holder.namespace,
        "pid": holder.pid,
        "started": holder.started,
        "expected": wanted.expected.epoch,
        "beat_at": wanted.expected.beat_at,
        "at": wanted.at,
    }
    row = connection.execute(STATEMENTS["claim"], parameters).fetchone()
    return None if row is None else _lease(row)


def release(connection: sqlite3.Connection, wanted: Release) -> Done:
    """Give the lease back; does nothing where the epoch is not the current one."""
    connection.execute(STATEMENTS["release"], {"epoch": wanted.epoch, "at": wanted.at})
    return Done()
