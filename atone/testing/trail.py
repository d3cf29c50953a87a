"""The history of one order, taken apart: what was allowed to be sent, what came of it, and what people said."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from attrs import define, field, frozen

from ..sagas import Receive, Saga, Status, Step, Zone
from ..storage import HistoryRow, Record


@frozen
class Intent:
    """An attempt that history says may be sent."""

    seq: int
    revision: int
    step: str
    work: str  #: action, probe or compensation
    number: int

    def __str__(self) -> str:
        return f"{self.step}/{self.work}/{self.number}"


@define(eq=False)
class Trail:
    """The history of one order, taken apart."""

    record: Record
    rows: Sequence[HistoryRow]
    saga: Saga[Any] | None  #: `None` where it was not given
    exact: bool = False  #: whether the saga is the one that ran, with each of its settings
    _slots: dict[str, int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._slots = {slot.name: i for i, slot in enumerate(self.saga.slots)} if self.saga is not None else {}

    @cached_property
    def intents(self) -> list[Intent]:
        """Every attempt that was allowed to be sent, in order."""
        found: list[Intent] = []
        for row in self.rows:
            for token in (row.entry.begun or "").split():
                step, work, number = token.split("/")
                found.append(Intent(row.seq, row.revision, step, work, int(number)))
        return found

    @cached_property
    def _begun(self) -> dict[int, list[Intent]]:
        lines: dict[int, list[Intent]] = {}
        for intent in self.intents:
            lines.setdefault(intent.seq, []).append(intent)
        return lines

    def begun(self, row: HistoryRow) -> Sequence[Intent]:
        """The attempts that a line announces."""
        return self._begun.get(row.seq, ()) if row.entry.begun else ()

    @cached_property
    def status(self) -> str:
        """The status on disk."""
        return self.record.snapshot.status

    @property
    def final(self) -> bool:
        """Whether the order has ended."""
        return Status(self.status).final

    @property
    def names(self) -> list[str]:
        """The steps that history mentions, in order of their first intent."""
        return list(dict.fromkeys(intent.step for intent in self.intents))

    def events(self, *names: str, step: str | None = None, after: int = -1) -> list[HistoryRow]:
        """History rows of some events."""
        return [
            row
            for row in self.rows
            if row.entry.event in names and row.seq > after and (step is None or row.entry.step == step)
        ]

    def sent(self, step: str, work: str) -> list[Intent]:
        """The intents of one kind of work of a step."""
        return [one for one in self.intents if one.step == step and one.work == work]

    def zone(self, step: str) -> Zone | None:
        """Which way a step recovers; `None` without the saga."""
        return self.saga.zone(self._slots[step]) if self.saga is not None and step in self._slots else None

    def place(self, step: str) -> int | None:
        """The place of a step in its saga."""
        return self._slots.get(step)

    def owed(self, step: str) -> bool:
        """Whether an effect of this step would have to be undone."""
        if self.saga is None or self.zone(step) is not Zone.COMPENSATABLE:
            return False
        slot = self.saga.slots[self._slots[step]]
        return isinstance(slot, Step) and not slot.read_only

    @property
    def pivot(self) -> str | None:
        """The name of the point of no return."""
        return self.saga.slots[self.saga.pivot].name if self.saga is not None and self.saga.pivot is not None else None

    def accepted(self, verb: str) -> list[HistoryRow]:
        """A person's requests that were accepted."""
        return [row for row in self.events(verb) if self.agreed(row)]

    def agreed(self, row: HistoryRow) -> bool:
        """Whether a line that tells of a person's request says that it was accepted."""
        return (row.entry.note or "").startswith("ACCEPTED")

    def declined(self, row: HistoryRow) -> bool:
        """Whether a line tells of a message that turns the order back."""
        place = self.place(row.entry.step or "") if row.entry.event == "RECEIVED" else None
        slot = self.saga.slots[place] if self.saga is not None and place is not None else None
        return isinstance(slot, Receive) and row.entry.note in slot.declines

    def resolved(self, step: str, after: int) -> bool:
        """Whether a person answered for this step after a moment."""
        for verb in ("RESOLVE", "SKIP"):
            for row in self.accepted(verb):
                parks = [one for one in self.events("PARKED") if one.seq < row.seq]
                if row.seq > after and parks and parks[-1].entry.step == step:
                    return True
        return False

    def succeeded(self, step: str) -> bool:
        """Whether the action of a step is known to have had its effect."""
        return bool(self.events("RETURNED", "PROBE_HAPPENED", step=step)) or self.resolved(step, -1)

    def cleared(self, step: str) -> bool:
        """Whether it is proven that no attempt of the action had an effect."""
        sent = self.sent(step, "action")
        if self.events("PROBE_NEVER_WILL_HAPPEN", step=step, after=sent[-1].seq):
            return True
        refused = {row.entry.attempt for row in self.events("REFUSED", step=step)}
        return {one.number for one in sent} <= refused
