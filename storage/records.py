"""What lies on disk: actors, their messages and their history, who owns the store, and what may be asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from attrs import field

from .values import frozen, plain


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
