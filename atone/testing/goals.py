"""Until when a simulation runs, and how it gets through long waits in no time."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from ..storage import Count, Phase
from .observer import Observer
from .world import World

#: Virtual seconds without a change after which an order that is at work counts as stuck.
STUCK_AFTER = 3600.0
#: Virtual seconds in which nothing happens before a simulation believes that nothing will.
CALM = 9.0
#: A timer further away than this, in seconds, is not waited for: the wall clock is set forward.
FAR = 8.0


@define(eq=False)
class Goal:
    """Until when a simulation runs. It is looked at whenever nothing can happen without time passing."""

    world: World
    observer: Callable[[], Observer]
    stuck: Callable[[], None]  #: raises
    reached: bool = False
    _changed: float = 0.0  #: when history last grew
    _seen: tuple[int, int] = (-1, -1)
    _counts: list[Count] = field(factory=list)
    _wake: float | None = None

    def begin(self) -> None:
        """Another process is to get there."""
        self._changed = self._now

    def look(self) -> bool:
        """Whether the loop is to stop."""
        raise NotImplementedError

    def _refresh(self) -> None:
        """Read how the orders stand, where anything was committed since the last look."""
        observer = self.observer()
        version = observer.medium.content()
        if version == self._seen[0]:
            return
        last = observer.read(observer.store.last_seq())
        if last != self._seen[1]:
            self._changed = self._now
            self._counts = observer.live()
        self._wake = observer.read(observer.store.next_wake())
        self._seen = (version, last)

    @property
    def _now(self) -> float:
        assert self.world.loop is not None
        return self.world.loop.now

    @property
    def _wall(self) -> float:
        return self.world.clock.offset + self._now

    @property
    def _at_work(self) -> bool:
        return any(one.phase is Phase.ACTIVE for one in self._counts)

    @property
    def _calm(self) -> bool:
        """Whether no order is at work, for long enough to believe it."""
        return self._now - self._changed >= CALM and not self._at_work

    def _skip_to(self, wall: float) -> None:
        """Set the wall clock forward to shortly before a moment that is far away, as if the machine had slept."""
        if wall - self._wall > FAR:
            self.world.clock.jump(wall - self._wall - 1.0)
            self._changed = self._now

    def _complain_if_stuck(self) -> None:
        if self._now - self._changed > STUCK_AFTER:
            self.stuck()


class Calm(Goal):
    """Until nothing is left that time alone would bring about."""

    def look(self) -> bool:
        """Whether the loop is to stop."""
        self._refresh()
        world = self.world
        if not self._counts or (self._calm and self._wake is None):
            if world.wire:
                world.hurry()
            else:
                self.reached = True
        elif self._calm and not world.wire and self._wake is not None:
            self._skip_to(self._wake)
        self._complain_if_stuck()
        return self.reached


@define(eq=False)
class Elapsed(Goal):
    """Until a time has passed."""

    end: float = 0.0  #: by the wall clock

    def look(self) -> bool:
        """Whether the loop is to stop."""
        self._refresh()
        if self._calm and not self.world.wire:
            self._skip_to(min(self._wake or self.end, self.end))
        loop = self.world.loop
        assert loop is not None
        left = self.end - self._wall
        if left <= loop.pause:
            loop.now += max(left, 0.0)
            self.reached = True
        return self.reached
