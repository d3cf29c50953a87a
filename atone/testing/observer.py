"""Looking at the disk from outside, as a process does that never hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from random import Random
from typing import Any, TypeVar

from attrs import define, field
from cattrs import Converter

from ..sagas import Coordinator, Saga
from ..storage import Count, Definition, HistoryRow, Phase, Query, Record, Store
from .audit import pages
from .loop import SimLoop
from .runtime import Clock, SimRuntime
from .store import Medium

T = TypeVar("T")


@define(eq=False)
class Observer:
    """Looks at the disk as another process does that never hosts, in a loop whose time is nobody's."""

    medium: Medium
    sagas: Sequence[Saga[Any]]
    converter: Converter
    store: Store = field(init=False)
    _known: set[Definition] = field(init=False)
    _loop: SimLoop | None = None
    _coordinator: Coordinator | None = None

    def __attrs_post_init__(self) -> None:
        self._known = {one.definition for one in self.sagas}
        self.store = self.medium.store()
        self.medium.call(self.store.open())

    def read(self, work: Coroutine[Any, Any, T]) -> T:
        """Ask the store itself."""
        return self.medium.call(work)

    def ask(self, question: Callable[[Coordinator], Coroutine[Any, Any, T]]) -> T:
        """Ask a coordinator, as a client does."""
        if self._coordinator is None or self._loop is None:
            chance = Random("observer")  # noqa: S311  # a simulation must be reproducible
            self._loop = SimLoop(chance)
            self._coordinator = Coordinator(
                self.medium.store(), sagas=self.sagas, host=False, converter=self.converter,
                runtime=SimRuntime(self._loop, Clock(), chance, "observer"),
            )  # fmt: skip
            self._loop.call(self._coordinator.__aenter__())
        return self._loop.call(question(self._coordinator))

    def live(self) -> list[Count]:
        """How many orders have not ended, of the sagas that are known."""
        counts = self.read(self.store.count(Query()))
        return [one for one in counts if one.phase is not Phase.FINAL and one.definition in self._known]

    def records(self) -> list[tuple[Record, list[HistoryRow]]]:
        """Every order."""
        return self.read(_all(self.store))

    def close(self) -> None:
        """Look no more."""
        if self._loop is not None:
            self._loop.abandon()


async def _all(store: Store) -> list[tuple[Record, list[HistoryRow]]]:
    return [order async for page in pages(store) for order in page]


async def gather(items: AsyncIterator[T]) -> list[T]:
    """What comes, in a list."""
    return [item async for item in items]
