"""The participants' own book: what truly happened outside, whatever the coordinator believes.

One SQLite file serves all participants, apart from the coordinator's. It keeps the two promises that turn
"at least once" into exactly once:

- a repeat under a known key gets the first answer, and changes nothing;
- an undoing closes its action's key for ever (a tombstone), so that a charge which arrives after its
  refund is refused.

`synchronous=NORMAL` suffices here, and spares a flush of the disk per commit: a killed process leaves what
it committed with the operating system, and only a loss of power could take that away.
"""

from __future__ import annotations

import sqlite3
from enum import StrEnum
from pathlib import Path

from attrs import frozen

SCHEMA = """
create table if not exists entry (
    seq integer primary key,
    key text not null unique,
    kind text not null,
    order_id text not null,
    amount integer not null,  -- items or pence; what undoes has the opposite sign
    sku text
);
create table if not exists tombstone (key text primary key) without rowid;
create table if not exists refusal (seq integer primary key, key text not null);
create table if not exists stock (
    sku text primary key,
    delivered integer not null,
    on_hand integer not null check (on_hand >= 0)
);
"""


class Kind(StrEnum):
    """What a participant can do."""

    RESERVE = "reserve"
    RELEASE = "release"
    CHARGE = "charge"
    REFUND = "refund"
    SHIP = "ship"
    CONFIRM = "confirm"


class Refused(Exception):
    """The participant says no, and did nothing."""


@frozen
class Entry:
    """One effect, done once."""

    seq: int
    key: str
    kind: Kind
    order_id: str
    amount: int
    sku: str | None

    @property
    def reference(self) -> str:
        """What the participant answers, also to every repeat."""
        return f"{self.kind}-{self.seq}"


@frozen
class Known:
    """All that the book knows of a key."""

    entry: Entry | None
    closed: bool  #: nothing more can happen under this key


class Ledger:
    """The open book. Its methods belong inside a transaction, which is the clerk's business."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.db.execute("pragma journal_mode = wal")
        self.db.execute("pragma synchronous = normal")
        self.db.executescript(SCHEMA)

    def deliver(self, sku: str, quantity: int) -> None:
        """Fill a shelf, the first time it is heard of."""
        self.db.execute("insert or ignore into stock values (?, ?, ?)", (sku, quantity, quantity))

    def enter(self, key: str, kind: Kind, order_id: str, amount: int, sku: str | None = None) -> Entry:
        """Do something, once; with `sku`, take that many items from the shelf (or put them back).

        Raises:
            Refused: the key is closed, or the shelf has too few items.
        """
        known = self.find(key)
        if known.closed:
            self.db.execute("insert into refusal (key) values (?)", (key,))
            raise Refused(f"the {kind} of order {order_id} comes too late: its key is closed")
        if known.entry is not None:
            return known.entry
        if sku is not None:
            self._take(sku, amount)
        seq = self.db.execute(
            "insert into entry (key, kind, order_id, amount, sku) values (?, ?, ?, ?, ?)",
            (key, kind, order_id, amount, sku),
        ).lastrowid
        assert seq is not None  # an insert that did not raise has a row
        return Entry(seq, key, kind, order_id, amount, sku)

    def undo(self, key: str, action_key: str, kind: Kind, order_id: str) -> Entry:
        """Take back what was done under `action_key`, if anything was, and close that key for ever."""
        action = self.find(action_key).entry
        self.close(action_key)
        if action is None:
            return self.enter(key, kind, order_id, 0)
        return self.enter(key, kind, order_id, -action.amount, action.sku)

    def close(self, key: str) -> None:
        """Refuse all that arrives under this key from now on."""
        self.db.execute("insert or ignore into tombstone values (?)", (key,))

    def find(self, key: str) -> Known:
        """Say what is known of a key."""
        closed = self.db.execute("select 1 from tombstone where key = ?", (key,)).fetchone() is not None
        row = self.db.execute("select seq, kind, order_id, amount, sku from entry where key = ?", (key,)).fetchone()
        if row is None:
            return Known(None, closed)
        seq, kind, order_id, amount, sku = row
        return Known(Entry(seq, key, Kind(kind), order_id, amount, sku), closed)

    def _take(self, sku: str, quantity: int) -> None:
        taken = self.db.execute(
            "update stock set on_hand = on_hand - :quantity where sku = :sku and on_hand >= :quantity",
            {"quantity": quantity, "sku": sku},
        )
        if taken.rowcount == 0:
            raise Refused(f"{sku} has fewer than {quantity} items left")
