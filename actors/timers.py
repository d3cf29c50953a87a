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

from .runtime import Cancellable, Runtime

#: Seconds: how late a timer may fire.
SLOT = 0.02


@define(eq=False, repr=False)
class Timer:
    """An arranged call; `cancel` calls it off."""

    _wheel: Timers
    _number: int

    def cancel(self) -> None:
        """Call it off, and let go of its function; does nothing once it has fired."""
        slots = self._wheel.slots
        slot = slots.get(self._number)
        if slot is None or slot.pop(self, None) is None or slot:
            return
        del slots[self._number]  # so that waits which are called off long before their time cost nothing
        self._wheel.tidy()


@define(eq=False, repr=False)
class Timers:
    """The wheel. Timers fire in the event loop, never early, and up to a slot late."""

    _runtime: Runtime
    slots: dict[int, dict[Timer, Callable[[], object]]] = field(factory=dict)
    _order: list[int] = field(factory=list)  #: a heap; may name slots that are empty by now
    _armed: int | None = None
    _alarm: Cancellable | None = None  #: the one real timer

    def after(self, seconds: float, function: Callable[[], object]) -> Timer:
        """Call `function` once, `seconds` from now."""
        number = math.ceil((self._runtime.monotonic() + max(seconds, 0.0)) / SLOT)
        slot = self.slots.get(number)
        if slot is None:
            slot = self.slots[number] = {}
            heapq.heappush(self._order, number)
            if self._armed is None or number < self._armed:
                self._arm(number)
        timer = Timer(self, number)
        slot[timer] = function
        return timer

    def tidy(self) -> None:
        """Forget the numbers of slots that are gone, once they are the most."""
        if len(self._order) > 2 * len(self.slots) + 64:
            self._order = sorted(self.slots)

    def _arm(self, number: int) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._armed = number
        self._alarm = self._runtime.call_later(max(number * SLOT - self._runtime.monotonic(), 0.0), self._fire)

    def _fire(self) -> None:
        self._armed = self._alarm = None
        try:
            self._fire_due()
        finally:  # one that raises must not stop the wheel
            if self._order and (self._armed is None or self._order[0] < self._armed):
                self._arm(self._order[0])

    def _fire_due(self) -> None:
        current = self._runtime.monotonic() / SLOT + 1e-6
        due: list[int] = []
        while self._order and self._order[0] <= current:
            due.append(heapq.heappop(self._order))
        for number in due:
            slot = self.slots.get(number, {})
            for timer in list(slot):
                function = slot.pop(timer, None)  # one that fired before it may have called this one off
                if function is not None:
                    function()
            if slot:
                heapq.heappush(self._order, number)  # what was added meanwhile has its turn next time
            elif self.slots.get(number) is slot:
                del self.slots[number]
