"""What can be committed, and what comes of it."""

from __future__ import annotations

from typing import Generic, TypeVar

from .records import Definition, Entry, Lane, Record, Snapshot, Tombstone
from .values import frozen, plain

R = TypeVar("R")


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
