"""What an actor is: pure functions from a state and an event to the next state.

The shell in `actor` does the rest: it receives, asks the behaviour to decide, commits, and only then acts. A
behaviour touches no clock, no disk and no network; time and luck come in as a `Moment`.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from ..storage import Entry, Message, Record, Snapshot, frozen, plain

S = TypeVar("S")


@plain
class Moment:
    """The time and the luck of an event."""

    now: float  #: UTC seconds
    luck: float = 0.0  #: from 0 up to 1; draws jitter
    draining: bool = False  #: the host is leaving: record what happened, and begin nothing


@frozen
class Begin:
    """The actor was created and never begun."""


@frozen
class Due:
    """A timer of the actor may have come due."""


@frozen
class Resumed:
    """A host took the actor up from its snapshot while work was under way.

    Work that is not in `alive` was cut off, unless a report of it is among those `kept` for the actor, which follow
    this event. Of work that lives on although it was reported, `alive` has the report, which may have been lost. `died`
    tells that the process which did the work died.
    """

    died: bool = False
    alive: frozenset[Hashable] = frozenset()
    kept: tuple[object, ...] = ()


@plain
class Decision(Generic[S]):
    """What a behaviour decided about one event. Nothing of it counts until it is on disk."""

    state: S
    effects: tuple[object, ...] = ()  #: what is to be done once it is on disk
    history: tuple[Entry, ...] = ()
    answers: tuple[tuple[int, str], ...] = ()  #: consumed messages, by sequence number
    parts: tuple[tuple[str, bytes], ...] = ()  #: large values to be kept beside the snapshot
    guarded: bool = False  #: commit only if no message waits that the actor has not seen

    def then(self, more: Decision[S]) -> Decision[S]:
        """Both decisions as one."""
        return Decision(
            more.state,
            self.effects + more.effects,
            self.history + more.history,
            self.answers + more.answers,
            self.parts + more.parts,
            self.guarded or more.guarded,
        )


class Behaviour(Protocol[S]):
    """A kind of actor. Events are `Begin`, `Due`, `Resumed`, messages, and whatever its own effects report."""

    def decode(self, record: Record) -> S:
        """The state of an actor on disk; raises `Undecodable`, and then the actor is quarantined."""
        ...

    def encode(self, state: S) -> Snapshot:
        """The snapshot of a state."""
        ...

    def accepts(self, state: S, message: Message) -> bool:
        """Whether a message of the data lane would be consumed now; others stay in the mailbox."""
        ...

    def decide(self, state: S, event: object, moment: Moment) -> Decision[S]:
        """Decide. What it raises on a message sets that message aside; on another event it restarts the actor."""
        ...

    def handles(self, record: Record) -> bool:
        """Whether this process has what the actor was made from; if not, it stays on disk, and keeps accepting."""
        ...


class Stage(Protocol):
    """Where effects are performed. Reports come back through the supervisor's `post`."""

    def perform(self, key: int, state: object, effects: tuple[object, ...]) -> None:
        """Begin to perform effects of an actor; returns at once."""
        ...

    def alive(self, key: int) -> frozenset[Hashable]:
        """What is still being performed for an actor: each effect, or what was reported of it before its end."""
        ...

    def stop(self, key: int) -> None:
        """Cut off what is being performed for an actor; nothing is reported."""
        ...

    def stop_all(self) -> None:
        """The same for every actor."""
        ...
