"""Answers that are to be given: which writes came to something, and to what."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Any

from .writes import Write

#: What a write ended with, whatever its type; `Writer.submit` is where the types are still known.
Result = Any
Item = tuple[Write[Any], Callable[[Any], None]]


class _Line:
    """Writes, and the result of each. Paired in tuples beforehand they would only keep the garbage collector busy."""

    def __init__(self) -> None:
        self.items: deque[Item] = deque()
        self.results: deque[Result] = deque()


class Answers:
    """A line of urgent ones, which go first, and one of the others.

    Each write is let go of as it is answered: what its actor does next takes its place in memory, and the garbage
    collector sees no growth. Kept until all are answered, they cost a tenth of all time.
    """

    def __init__(self) -> None:
        self._urgent, self._ordinary = _Line(), _Line()

    def add(self, batch: deque[Item], results: Sequence[Result], urgent: int) -> None:
        """Put a batch in line, the first `urgent` of which go before all others."""
        for line, first, end in ((self._urgent, 0, urgent), (self._ordinary, urgent, None)):
            line.items += islice(batch, first, end)
            line.results += results[first:end]
        batch.clear()

    def add_foremost(self, items: Iterable[Item], result: Result) -> None:
        """Let these go before everything that is in line, whatever their haste."""
        for item in reversed(list(items)):
            self._urgent.items.appendleft(item)
            self._urgent.results.appendleft(result)

    def give(self, most: int) -> None:
        """Call back for so many writes, if there are."""
        for line in (self._urgent, self._ordinary):
            number = min(most, len(line.items))
            most -= number
            for _ in range(number):
                _call(line.items.popleft()[1], line.results.popleft())

    def give_up(self, result: Result) -> None:
        """Call back for all that is in line, with something else than what they came to."""
        for line in (self._urgent, self._ordinary):
            line.results = deque([result] * len(line.items))
        self.give(len(self))

    def __len__(self) -> int:
        return len(self._urgent.items) + len(self._ordinary.items)


def _call(done: Callable[[Any], None], result: Result) -> None:
    """A callback that raises is its owner's trouble, and must not keep the next from its answer."""
    try:
        done(result)
    except Exception as error:  # noqa: BLE001
        context = {"message": "the callback of a write raised", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
