"""How often an actor may crash: OTP's `intensity` within `period`, with a growing pause between restarts.

Source of the idea and of the words: Erlang/OTP, `supervisor`.
"""

from __future__ import annotations

from collections import deque

from attrs import define, field

from ..storage import frozen

#: A pause doubles so often that the power must not overflow a float.
_EXPONENT_LIMIT = 64


@frozen(kw_only=True)
class Intensity:
    """More than `intensity` crashes within `period` seconds, and the actor is stopped."""

    intensity: int = 5
    period: float = 30.0
    first: float = 0.1  #: seconds before the first restart
    longest: float = 5.0


@define
class Restarts:
    """The recent crashes of each actor that had any."""

    limit: Intensity
    _crashes: dict[int, deque[float]] = field(factory=dict)

    def pause(self, key: int, now: float, luck: float) -> float | None:
        """Record a crash; seconds to wait before the restart, or `None` when there were too many."""
        crashes = self._crashes.setdefault(key, deque())
        crashes.append(now)
        while crashes[0] < now - self.limit.period:
            crashes.popleft()
        if len(crashes) > self.limit.intensity:
            del self._crashes[key]
            return None
        pause = self.limit.first * 2.0 ** min(len(crashes) - 1, _EXPONENT_LIMIT)
        return min(pause, self.limit.longest) * (1 - luck / 2)

    def forget(self, now: float) -> None:
        """Drop the actors whose crashes are all long ago, so that memory is bounded by what crashes now."""
        old = [key for key, crashes in self._crashes.items() if crashes[-1] < now - self.limit.period]
        for key in old:
            del self._crashes[key]
