"""Which attempts may be sent: those whose intent is on disk, and no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field

from ..sagas import Saga
from ..storage import Advance, Create, Created, Done, Record, Write
from .evidence import Violation, keys_of
from .oracle import SENT_EARLY


@define(eq=False)
class Intents:
    """Watches commits on one side and requests on the other."""

    load: Callable[[int], Record]  #: reads an order by its key
    found: list[Violation] = field(factory=list)
    _intents: set[tuple[str, str, str]] = field(factory=set)
    _keys: dict[str, tuple[str, str, str]] = field(factory=dict)
    _ids: dict[int, str] = field(factory=dict)

    def expect(self, saga: Saga[Any], order: str) -> None:
        """Requests of an order may be seen from now on."""
        self._keys.update(keys_of(saga, order))

    def committed(self, write: Write[Any], result: object) -> None:
        """A write was carried out: the attempts that it names may be sent."""
        if isinstance(write, Create) and isinstance(result, Created):
            self._ids[result.key] = id = write.id
        elif isinstance(write, Advance) and isinstance(result, Done):
            id = self._id(write.key)
        else:
            return
        for entry in write.history:
            for token in (entry.begun or "").split():
                step, work, _ = token.split("/")
                self._intents.add((id, step, work))

    def asked(self, service: str, call: str, key: str) -> None:
        """A request leaves: the intent of its attempt must be on disk."""
        order, step, work = self._keys.get(key, ("", "", ""))
        works = {work} if work != "action" else {"action", "probe", "compensation"}  # undoing goes by the action's key
        if order and not any((order, step, one) in self._intents for one in works):
            detail = f"{service}.{call} of step {step} was called, and no intent of it is on disk"
            self.found.append(Violation(SENT_EARLY.name, SENT_EARLY.sentence, order, detail))

    def _id(self, key: int) -> str:
        """The id of an order whose creation may have been answered to nobody."""
        if key not in self._ids:
            self._ids[key] = self.load(key).id
        return self._ids[key]
