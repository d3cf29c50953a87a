"""Where an order stands, and what follows from that alone.

Most orders go the same way, and those that fail mostly fail in the same words. The planner is pure, so what it decided
about a place and an event is true for every order that gets there: it is worked out once, and the next order only looks
it up. Only what has an order's own time in it, or waits for a person, is worked out each time.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field

from ..actors import Begin
from ..storage import Entry, Phase, plain
from .events import Command, Ended, Event, Refused, Returned
from .progress import UNTOUCHED, Progress, Slot, Status
from .saga import Saga
from .snapshot import pack
from .standing import phase, status, wake_at

#: What makes two events at one place the same, or two places of one saga.
Key = tuple[object, ...]

#: Shared places that are kept; a saga has a few for each step, more where several steps run at once, and others for
#: each text of an error.
LIMIT = 10_000


@define(eq=False, repr=False)
class Place:
    """A progress, and what follows from it."""

    progress: Progress
    status: Status
    phase: Phase
    wake_at: float | None
    packed: bytes  #: the snapshot, without results
    shared: bool  #: whether all orders that stand here share this object
    moves: dict[Key, Move] = field(factory=dict)  #: from here, if it is shared

    @classmethod
    def of(cls, saga: Saga[Any], progress: Progress, *, shared: bool = False) -> Place:
        """Work out what follows from a progress."""
        return cls(
            progress, status(saga, progress), phase(saga, progress), wake_at(saga, progress), pack(progress), shared
        )


@plain
class Move:
    """What was decided about an event at a place."""

    to: Place
    commands: tuple[Command, ...]
    history: tuple[Entry, ...]
    answers: tuple[tuple[int, str], ...]
    keeps: int | None  #: the slot whose result came with the event
    guarded: bool


@define(eq=False, repr=False)
class Places:
    """The places that orders share."""

    _shared: dict[Key, Place] = field(factory=dict)
    _starts: dict[int, Place] = field(factory=dict)  #: by the identity of the saga, which lives as long as this

    def start(self, saga: Saga[Any]) -> Place:
        """Where nothing has happened yet."""
        place = self._starts.get(id(saga))
        if place is None:
            place = self._starts[id(saga)] = self.find(saga, Progress([UNTOUCHED] * len(saga.slots)))
        return place

    def find(self, saga: Saga[Any], progress: Progress) -> Place:
        """The place of a progress, shared if it can be."""
        if not _is_common(progress):
            return Place.of(saga, progress)
        key = (
            saga.definition, progress.cursor, progress.begun, progress.parks, progress.deaths, progress.unpaid,
            progress.final, progress.reason, *map(_slot_key, progress.slots),
        )  # fmt: skip
        place = self._shared.get(key)
        if place is None:
            if len(self._shared) >= LIMIT:
                self._forget()
            place = self._shared[key] = Place.of(saga, progress, shared=True)
        return place

    def _forget(self) -> None:
        """Let go of all of them. Each knows the next: one that an order still stands at must not keep the rest."""
        for place in self._shared.values():
            place.shared = False
            place.moves.clear()
        self._shared.clear()
        self._starts.clear()


def recurring(event: Event) -> Key | None:
    """The key of an event that means the same for every order at one place; `None` for any other."""
    if type(event) is not Ended:
        return () if type(event) is Begin else None
    how = event.how
    if type(how) is Returned:
        return event.slot, event.work, event.number, how.result is None
    return (event.slot, event.work, event.number, how.failure) if type(how) is Refused else None


def _is_common(progress: Progress) -> bool:
    """Whether no time in it is an order's own, so that what the planner decides here depends on none."""
    if progress.deadline is not None or progress.held:
        return False
    return not any(slot.due is not None or slot.lingers is not None for slot in progress.slots)


def _slot_key(slot: Slot) -> Key | None:
    if slot is UNTOUCHED:
        return None
    return (
        slot.status, slot.doubt, slot.work, slot.running, slot.sent, slot.spent, slot.error, slot.undo_error, slot.kind,
    )  # fmt: skip
