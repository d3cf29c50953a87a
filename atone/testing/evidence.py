"""All that is known about orders: from disk, and in a simulation from participants and clients as well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from attrs import field, frozen

from ..sagas import Saga
from ..sagas.context import idempotency_key
from ..storage import HistoryRow, Lease, Record
from .journal import Journal
from .services import FakeService
from .trail import Trail


@frozen
class Violation:
    """A promise that was broken."""

    check: str  #: the name of the check
    sentence: str  #: what it demands
    order: str | None
    detail: str  #: what was found instead

    def __str__(self) -> str:
        where = f" (order {self.order})" if self.order is not None else ""
        return f"{self.check}: {self.sentence}\n    {self.detail}{where}"


@frozen
class Promise:
    """What a client was told."""

    what: str  #: start, send, cancel, or what an operator asks for
    order: str
    id: str
    answer: str
    kind: str = ""  #: the type of a message, where it is known
    asked: int = 0  #: how many events the journal had when the client asked
    told: int | None = None  #: the same of the answer; `None` where nobody has looked


@frozen
class Evidence:
    """All that is known: from disk, and in a simulation from the participants and the clients as well."""

    orders: Sequence[tuple[Record, Sequence[HistoryRow]]]
    sagas: Sequence[Saga[Any]] = ()
    services: Sequence[FakeService] = ()
    promises: Sequence[Promise] = ()
    found: Sequence[Violation] = ()  #: what was noticed while it happened
    lease: Lease | None = None
    exact: bool = False  #: whether the sagas are those that ran, to the last timeout and number of attempts
    journal: Journal = field(factory=Journal)  #: what was seen on the way; empty where nobody watched
    trails: dict[str, Trail] = field(init=False)
    _owners: dict[str, tuple[str, str, str]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        sagas = {one.definition: one for one in self.sagas}
        trails = {
            record.id: Trail(record, rows, sagas.get(record.definition), self.exact) for record, rows in self.orders
        }
        object.__setattr__(self, "trails", trails)
        known = [one for one in trails.values() if one.saga is not None]
        owners: dict[str, tuple[str, str, str]] = {}
        for one in known:
            owners.update(keys_of(cast("Saga[Any]", one.saga), one.record.id))
        object.__setattr__(self, "_owners", owners)

    def owner(self, key: str) -> tuple[str | None, str, str]:
        """The order, step and work that an idempotency key, or one made from it, belongs to."""
        if key in self._owners:
            return self._owners[key]
        return next((owner for known, owner in self._owners.items() if known in key), (None, "", ""))


def keys_of(saga: Saga[Any], order: str) -> Mapping[str, tuple[str, str, str]]:
    """Every idempotency key of an order, with the order, step and work that it belongs to."""
    return _keys(saga.name, order, tuple(slot.name for slot in saga.slots))


@lru_cache  # one history after another has the same orders
def _keys(saga: str, order: str, steps: tuple[str, ...]) -> Mapping[str, tuple[str, str, str]]:
    return {
        idempotency_key(saga, order, step, work): (order, step, work)
        for step in steps
        for work in ("action", "probe", "compensation")
    }
