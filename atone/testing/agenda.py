"""What is planned for a simulation, in the order in which it will come."""

from __future__ import annotations

from collections.abc import Coroutine
from math import inf
from typing import Any, Protocol

from attrs import define, field


class Happening(Protocol):
    """Something that befalls a simulation, so many seconds after it was planned."""

    @property
    def at(self) -> float:
        """Seconds."""
        ...

    def happen(self, sim: Any) -> Coroutine[Any, Any, object]:
        """Let it happen."""
        ...


@define(eq=False)
class Entry:
    """Something planned; or, with nothing to happen, the end of a time that is waited for."""

    due: float  #: by the wall clock
    happening: Happening | None = None


@define(eq=False)
class Agenda:
    """Entries by the time at which they are due; of those due at once, the first that was planned."""

    _entries: list[Entry] = field(factory=list)

    def add(self, entry: Entry) -> None:
        """Plan it."""
        self._entries.append(entry)
        self._entries.sort(key=lambda one: one.due)  # stable

    def due(self, now: float = inf) -> Entry | None:
        """Take what comes first, if it is due by then."""
        return self._entries.pop(0) if self._entries and self._entries[0].due <= now else None

    def shift(self, seconds: float) -> None:
        """The wall clock was set: what is planned comes neither earlier nor later for it."""
        for entry in self._entries:
            entry.due += seconds
