"""One coarse timer wheel for everything: timeouts, backoffs, waits.

`asyncio` keeps a heap of timers, and each one that is cancelled stays in it for a while: with two timers a step
that costs more than the steps. Here a timer is an entry in a dictionary, and one real timer serves each slot
of 20 ms.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

from attrs import define, field

from .runtime import Runtime

#: Seconds: how late a timer may fire.
SLOT = 0.02


@define(eq=False)
class Timer:
    """An arranged call; `cancel` calls it off."""

    _slot: dict[Timer, Callable[[], object]]

    def cancel(self) -> None:
        """Call it off, and let go of its function; does nothing once it has fired."""
        self._slot.pop(self, None)


@define(eq=False)
class Timers:
    """The wheel. Timers fire in the event loop, never early, and up to a slot late."""

    _runtime: Runtime
    _slots: dict[int, dict[Timer, Callable[[], object]]] = field(factory=dict)
    _order: list[int] = field(factory=list)
    _armed: int | None = None

    def after(self, seconds: float, function: Callable[[], object]) -> Timer:
        """Call `function` once, `seconds` from now."""
        number = math.ceil((self._runtime.monotonic() + max(seconds, 0.0)) / SLOT)
        slot = self._slots.get(number)
        if slot is None:
            slot = self._slots[number] = {}
            heapq.heappush(self._order, number)
            if self._armed is None or number < self._armed:
                self._arm(number)
        timer = Timer(slot)
        slot[timer] = function
        return timer

    def _arm(self, number: int) -> None:
        self._armed = number
        self._runtime.call_later(max(number * SLOT - self._runtime.monotonic(), 0.0), self._fire)

    def _fire(self) -> None:
        """Fire what is due; an outdated real timer finds nothing to do, and costs nothing more."""
        current = self._runtime.monotonic() / SLOT + 1e-6
        while self._order and self._order[0] <= current:
            slot = self._slots.pop(heapq.heappop(self._order))
            for timer in list(slot):
                function = slot.pop(timer, None)  # one that fired before it may have called this one off
                if function is not None:
                    function()
        self._armed = None
        if self._order:
            self._arm(self._order[0])
