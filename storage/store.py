"""The store: versioned snapshots, inbox, history and timers of actors, one atomic commit per transition.

This file is the contract. `MemoryStore` and `SqliteStore` pass one and the same suite of tests.

*What one commit contains.* Everything that one `Write` names, or nothing of it: the snapshot with its
revision, the history entries, the consumed messages with their answers, the timer, the large parts.
Writes that wait at the same time share a transaction; one that cannot be done (a guard does not match,
a row is refused) never harms the others. Writes that wait at the same time are concurrent: they may be
carried out in any order.

*What it promises.* When `submit` calls back with a result, that result is on disk, and survives the loss of
power (`MemoryStore` promises it for the life of its `Disk`). A cancelled caller loses only its answer.

*What the answers mean.* A result such as `Stale` or `Fenced` is certain: nothing of that write was done.
A `StoreError` is *unknown*: the write may be on disk. Whoever gets one drops what it knows and reads again.

The store knows nothing of sagas. It is told the time and never asks for it. All times are UTC seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Generic, Protocol, TypeVar

from attrs import field

from .errors import StoreError
from .values import frozen, plain

R = TypeVar("R")


class Phase(IntEnum):
    """What the host has to do for an actor; the only part of its state that the store understands."""

    FINAL = 0  #: nothing, ever: the actor has ended
    IDLE = 1  #: nothing until a message comes or its timer is due
    ACTIVE = 2  #: work is under way, and must be taken up again after a crash


class Lane(IntEnum):
    """The lane of a message; the control lane overtakes the data lane."""

    CONTROL = 0
    DATA = 1


@frozen
class Definition:
    """What an actor was made from, so that a changed or missing definition is noticed."""

    kind: str
    version: int
    fingerprint: str


@plain
class Snapshot:
    """The state that one transition leaves behind."""

    status: str  #: a word for people and for listings
    phase: Phase
    body: bytes  #: the encoded state; only the actor can read it
    wake_at: float | None = None  #: when the actor wants to be woken
    deaths: int = 0  #: how often in a row the host's process died with this actor at work

    def stays(self, before: Snapshot) -> bool:
        """Whether all that a store looks actors up by is as it was."""
        return self.status == before.status and self.phase is before.phase and self.wake_at == before.wake_at


@plain
class Entry:
    """One line of an actor's history; its time is that of the write. It never holds a payload."""

    event: str
    source: str  #: the status before
    target: str  #: the status after
    step: str | None = None
    attempt: int | None = None
    error: str | None = None
    note: str | None = None  #: who and why, where a person asked
    begun: str | None = None  #: the attempts that may be sent once this is on disk


@plain
class Message:
    """A message that was accepted and not yet consumed."""

    seq: int  #: the order of acceptance, over all actors
    id: str
    lane: Lane
    kind: str
    body: bytes
    accepted_at: float


@frozen
class Record:
    """An actor as it stands on disk."""

    key: int  #: the order of arrival
    id: str
    definition: Definition
    revision: int  #: 0 for one that no host has begun
    epoch: int  #: of the owner that wrote this revision
    created_at: float
    updated_at: float
    snapshot: Snapshot
    quarantine: str | None  #: why the supervisor stopped it; `None` for an actor in good order
    input: bytes
    parts: Mapping[str, bytes] = field(factory=dict[str, bytes])  #: large values, kept beside the snapshot
    messages: tuple[Message, ...] = ()  #: unconsumed ones, control lane first, in order of acceptance
    damage: str | None = None  #: what is wrong with the stored bytes; `None` when every checksum is right


@frozen
class Tombstone:
    """What is left of an actor that was purged."""

    id: str
    definition: Definition
    status: str
    finished_at: float


@frozen
class HistoryRow:
    """A history entry with its place."""

    seq: int
    key: int
    revision: int
    at: float  #: UTC seconds
    entry: Entry


class Write(Generic[R]):
    """Something to be committed, and the type of its result."""

    #: whether it goes before ordinary writes when there is more than fits into one commit
    urgent: bool = False


# ── results: all of them certain ──────────────────────────────────────────────────────────────────


@plain
class Done:
    """The write is on disk."""


@plain
class Created:
    """The actor is on disk."""

    key: int


@frozen
class Exists:
    """There is an actor of that id already."""

    record: Record


@frozen
class Purged:
    """There was an actor of that id; it ended and was purged."""

    tombstone: Tombstone


@plain
class Accepted:
    """The message is on disk."""

    key: int
    seq: int


@frozen
class Duplicate:
    """A message with that id in that lane was accepted before."""

    key: int
    seq: int
    answer: str | None  #: what it was answered; `None` while it waits for its decision


@frozen
class Finished:
    """The actor has ended (or was purged), and accepts nothing more."""


@frozen
class NotFound:
    """No actor of that id was ever created here."""


@frozen
class Full:
    """The actor has as many unconsumed messages in that lane as the limit allows."""

    limit: int


@frozen
class Unexpected:
    """The actor's definition never takes such a message."""


@frozen
class Stale:
    """The revision on disk is not the one expected: somebody else moved the actor on."""


@frozen
class Fenced:
    """The epoch of the lease is not the writer's: another process owns the store now."""


@frozen
class Unseen:
    """There are unconsumed messages that the actor has not seen."""


# ── writes ────────────────────────────────────────────────────────────────────────────────────────


@plain
class Create(Write["Created | Exists | Purged | Fenced"]):
    """Create an actor. Any process may create one at revision 0; only the owner (`epoch` given) at 1."""

    id: str
    definition: Definition
    input: bytes
    at: float
    snapshot: Snapshot
    history: tuple[Entry, ...]
    revision: int = 0
    epoch: int | None = None
    parts: tuple[tuple[str, bytes], ...] = ()


@plain
class Advance(Write["Done | Stale | Fenced | Unseen"]):
    """Move an actor from `revision - 1` to `revision`. Clears its quarantine."""

    key: int
    revision: int
    epoch: int
    at: float
    snapshot: Snapshot
    history: tuple[Entry, ...]
    consumed: tuple[tuple[int, str], ...] = ()  #: the sequence number of each message, and its answer
    parts: tuple[tuple[str, bytes], ...] = ()
    waiting: int | None = None  #: with a number: commit only if so many messages are left unconsumed, and no more
    urgent: bool = False
    in_place: bool = False  #: the snapshot `stays`, as far as the actor knows: then it is quicker to write


@plain
class Accept(Write["Accepted | Duplicate | Finished | NotFound | Full | Unexpected"]):
    """Put a message into an actor's inbox; any process may."""

    actor: str
    id: str
    lane: Lane
    kind: str
    body: bytes
    at: float
    limit: int  #: of unconsumed messages in this lane
    unexpected_by: tuple[Definition, ...] = ()  #: what actors are made from that never take such a message

    @property
    def urgent(self) -> bool:  # type: ignore[override]  # a property where the base has a constant
        """A control message goes before ordinary writes."""
        return self.lane is Lane.CONTROL


@frozen
class Quarantine(Write["Done | Stale | Fenced"]):
    """Stop an actor with a reason, and leave the bytes of its state untouched.

    It becomes idle without a timer, under `status`, at `revision`; a message still reaches it.
    """

    key: int
    revision: int
    epoch: int
    at: float
    status: str
    reason: str
    entry: Entry


@frozen
class Renew(Write["Done | Fenced"]):
    """The owner's heartbeat."""

    epoch: int
    at: float
    urgent: bool = True


@frozen
class Purge(Write[int]):
    """Replace up to `limit` actors that ended before `before` by tombstones; the result counts them."""

    before: float
    limit: int


# ── the lease ─────────────────────────────────────────────────────────────────────────────────────


@frozen
class Holder:
    """A process, named so that another can tell whether it still lives."""

    instance: str  #: unique for each coordinator
    machine: str
    boot: str
    namespace: str  #: of process ids; two containers on one machine have two
    pid: int
    started: str  #: when the process started; a pid alone is used again

    def __str__(self) -> str:
        return f"process {self.pid} on {self.machine}"


@frozen
class Lease:
    """Who owns the store. The epoch rises with every new owner and never falls."""

    epoch: int
    holder: Holder | None  #: `None` when it was released or never taken
    beat_at: float
    died: int | None = None  #: the epoch before, when its owner did not release it


# ── queries ───────────────────────────────────────────────────────────────────────────────────────


@frozen
class Query:
    """Which actors to list or count; every part that is `None` matches all."""

    status: tuple[str, ...] | None = None
    kind: str | None = None
    created_before: float | None = None
    after_key: int = 0


@frozen
class Count:
    """How many actors share a status and a definition."""

    definition: Definition
    status: str
    phase: Phase
    number: int


class Store(Protocol):
    """The contract of every store; see the head of this file for what a commit promises."""

    async def open(self) -> None:
        """Open or create the store, and bring its schema up to date. Raises a `StoreError`."""
        ...

    async def close(self) -> None:
        """Finish what was submitted, then close. Closing twice does nothing."""
        ...

    def submit(self, write: Write[R], done: Callable[[R | StoreError], None]) -> None:
        """Queue a write and return at once; `done` is called in the event loop, once, in every case."""
        ...

    def hurry(self, write: Write[Any]) -> None:
        """Let a write that was submitted go before ordinary ones, if it still waits."""
        ...

    async def write(self, write: Write[R]) -> R:
        """Commit a write and return its result; raises the `StoreError` where the outcome is unknown.

        It goes on when the caller is cancelled.
        """
        ...

    async def recover(self) -> None:
        """After a `StoreError`: throw the connections away, open them again, and prove that a write works."""
        ...

    # the lease

    async def lease(self) -> Lease:
        """Read who owns the store."""
        ...

    async def claim(self, holder: Holder, *, expected: Lease, at: float) -> Lease | None:
        """Take the lease over if it is still as `expected`; `None` where somebody was faster, or its owner has beaten.

        What led to the claim may be no longer true when it comes to the disk: it may have waited for long.
        """
        ...

    async def release(self, epoch: int, at: float) -> None:
        """Give the lease back; does nothing where the epoch is not the current one."""
        ...

    # what the owner asks

    async def foreign(self) -> bool:
        """Whether another process has committed since this was last asked."""
        ...

    async def load(self, keys: Sequence[int]) -> list[Record]:
        """Read actors whole, with inputs, parts and unconsumed messages. Missing keys are left out."""
        ...

    async def messages(self, key: int) -> tuple[Message, ...]:
        """The unconsumed messages of an actor, control lane first, in order of acceptance."""
        ...

    async def active(self, *, after: int, limit: int, frail: bool, deaths: int) -> list[int]:
        """Keys of active actors above `after`, in order; `frail` ones have at least `deaths` deaths."""
        ...

    async def unbegun(self, after: int, limit: int) -> list[int]:
        """Keys of actors at revision 0 above `after`, oldest first."""
        ...

    async def due(self, now: float, limit: int) -> list[int]:
        """Keys of idle actors whose timer is due, the longest overdue first."""
        ...

    async def next_wake(self) -> float | None:
        """The earliest timer of any idle actor."""
        ...

    async def unread(self, lane: Lane, after: int, limit: int) -> list[tuple[int, int]]:
        """Sequence number and actor's key of unconsumed messages in a lane above `after`, in order."""
        ...

    # what anybody asks

    async def find(self, id: str) -> Record | Tombstone | None:
        """An actor by its id, with input and parts but without messages; or its tombstone."""
        ...

    async def answer(self, seq: int) -> str | None:
        """What a message was answered; `None` while it waits (or when it is gone)."""
        ...

    async def history(self, key: int, *, after: int, limit: int) -> list[HistoryRow]:
        """History of an actor above revision `after`, in order, never splitting a revision."""
        ...

    async def tail(self, after: int, limit: int) -> list[tuple[int, str]]:
        """Sequence number and actor id of history above `after`: what has changed, for watchers."""
        ...

    async def last_seq(self) -> int:
        """The sequence number of the newest history row; 0 when there is none."""
        ...

    async def count(self, query: Query) -> list[Count]:
        """How many actors match, by status and definition."""
        ...

    async def live(self, limit: int) -> Sequence[Count]:
        """How many live actors there are, by status and definition, each counted up to `limit`.

        However many actors there are, it costs no more.
        """
        ...

    async def list(self, query: Query, limit: int) -> list[Record]:
        """Actors in order of arrival, with input and parts but without messages."""
        ...
