"""Decisions made twice: once as the engine makes them, and once more from what would be on disk."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import field, frozen

from ..actors import Decision, Moment
from ..sagas import Coordinator, Receive, StepStatus
from ..sagas.behaviour import OrderBehaviour, OrderState, values
from ..sagas.place import Place
from ..sagas.snapshot import decode
from .evidence import Evidence
from .journal import Differed, Journal

#: One of so many decisions is made twice; each costs as much as twenty others.
EVERY = 128


def differed(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Decisions that did not follow from the snapshot and the event alone."""
    yield from evidence.journal.of(Differed)


def doubt(coordinator: Coordinator, journal: Journal) -> None:
    """Have some of a coordinator's decisions made twice."""
    access = coordinator._access  # noqa: SLF001  # nobody else has to get there
    real = access.behaviour
    access.behaviour = Doubting(real.registry, real.codec, real.places, journal=journal)


@frozen
class Doubting(OrderBehaviour):
    """The behaviour of all orders, and somebody who does not believe that it has no memory of its own."""

    journal: Journal = field(kw_only=True, eq=False)

    def decide(self, state: OrderState, event: object, moment: Moment) -> Decision[OrderState]:
        """Decide, and now and then once more."""
        self.journal.decisions += 1
        if self.journal.decisions % EVERY or _may_ask(state):
            return OrderBehaviour.decide(self, state, event, moment)
        before = self.encode(state)
        decision = OrderBehaviour.decide(self, state, event, moment)
        said = self._said(decision)
        try:
            again = self._said(OrderBehaviour.decide(self, self._read(state, before.body), event, moment))
        except Exception as error:  # noqa: BLE001  # whatever it raises, it did not the first time
            again = repr(error)
        if again != said:
            name = type(event).__name__
            self.journal.events.append(Differed(state.id, f"{name}: decided {said}, and once more {again}"))
        elif self.encode(state) != before:
            self.journal.events.append(Differed(state.id, f"{type(event).__name__}: what was decided from has changed"))
        return decision

    def _read(self, state: OrderState, body: bytes) -> OrderState:
        """The state as the next process would read it."""
        parts = {str(place): one for place, one in enumerate(state.results) if one is not None}
        progress, results = decode(body, parts)
        given = values(self.codec, state.saga, progress, results)
        return OrderState(state.id, state.saga, state.input, Place.of(state.saga, progress), results, given)

    def _said(self, decision: Decision[OrderState]) -> Any:
        """All that a decision says."""
        return (
            self.encode(decision.state), decision.effects, decision.history, decision.answers, decision.parts,
            decision.guarded,
        )  # fmt: skip


def _may_ask(state: OrderState) -> bool:
    """Whether the user's own predicate may be asked, which is asked but once."""
    slots = state.progress.slots
    return any(
        isinstance(slot, Receive) and slot.when is not None and slots[place].status is StepStatus.PENDING
        for place, slot in enumerate(state.saga.slots)
    )
