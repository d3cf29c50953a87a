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
    """What the wheel calls once. Whatever needs one for each of thousands may be one, and no object more."""

    slot: int = field(default=0, init=False)  #: of the wheel; means nothing once it has fired

    def fire(self) -> None:
        """The time has come."""
        raise NotImplementedError


@define(eq=False, repr=False)
class _Call(Timer):
    _function: Callable[[], object]

    def fire(self) -> None:
        self._function()


@define(eq=False, repr=False)
class Timers:
    """The wheel. Timers fire in the event loop, never early, and up to a slot late."""

    _runtime: Runtime
    slots: dict[int, dict[Timer, None]] = field(factory=dict)  #: those of each slot, in order
    _order: list[int] = field(factory=list)  #: a heap; may name slots that are empty by now
    _armed: int | None = None
    _alarm: Cancellable | None = None  #: the one real timer

    def after(self, seconds: float, function: Callable[[], object]) -> Timer:
        """Call `function` once, `seconds` from now."""
        timer = _Call(function)
        self.start(timer, seconds)
        return timer

    def start(self, timer: Timer, seconds: float) -> None:
        """Let a timer fire once, `seconds` from now."""
        number = math.ceil((self._runtime.monotonic() + max(seconds, 0.0)) / SLOT)
        slot = self.slots.get(number)
        if slot is None:
            slot = self.slots[number] = {}
            heapq.heappush(self._order, number)
            if self._armed is None or number < self._armed:
                self._arm(number)
        timer.slot = number
        slot[timer] = None

    def cancel(self, timer: Timer) -> None:
        """Call it off, and let go of it; does nothing once it has fired."""
        slot = self.slots.get(timer.slot)
        if slot is None or timer not in slot:
            return
        del slot[timer]
        if not slot:  # waits that are called off long before their time cost nothing
            del self.slots[timer.slot]
            self._tidy()

    def _tidy(self) -> None:
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
        begun: list[int] = []
        try:
            while self._order and self._order[0] <= current:
                begun.append(number := heapq.heappop(self._order))
                slot = self.slots.get(number, {})
                for timer in list(slot):
                    if timer in slot:  # one that fired before it may have called this one off
                        del slot[timer]
                        timer.fire()
        finally:
            for number in begun:
                if self.slots.get(number):  # what came meanwhile, or stands behind one that raised, is next
                    heapq.heappush(self._order, number)
                else:
                    self.slots.pop(number, None)
