"""Until when a simulation runs, and how it gets through long waits in no time."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from ..storage import Count, Phase
from .observer import Observer
from .world import World

#: Virtual seconds in which nothing happens before a simulation believes that nothing will.
CALM = 9.0
#: A timer further away than this, in seconds, is not waited for: the wall clock is set forward.
FAR = 8.0


@define(eq=False)
class Goal:
    """Until when a simulation runs. It is looked at whenever nothing can happen without time passing."""

    world: World
    reached: bool = field(default=False, init=False)

    def begin(self) -> None:
        """Another process is to get there."""

    def look(self) -> bool:
        """Whether the loop is to stop."""
        raise NotImplementedError

    @property
    def _now(self) -> float:
        assert self.world.loop is not None
        return self.world.loop.now

    def _reach(self, left: float) -> None:
        """Reach it where so many seconds are all that is left, and nothing happens in them."""
        loop = self.world.loop
        assert loop is not None
        if left <= loop.pause:
            loop.now += max(left, 0.0)
            self.reached = True


@define(eq=False)
class Stalled(Goal):
    """Until a time has really passed: nothing is skipped."""

    end: float  #: virtual seconds

    def look(self) -> bool:
        """Whether the loop is to stop."""
        self._reach(self.end - self._now)
        return self.reached


@define(eq=False)
class Quiet(Goal):
    """What knows how the orders stand, and skips the time in which they only wait."""

    observer: Callable[[], Observer]
    stuck: Callable[[], None]  #: raises
    patience: float  #: virtual seconds without a change after which an order that is at work counts as stuck
    _changed: float = field(default=0.0, init=False)  #: when history last grew
    _seen: tuple[int, int] = field(default=(-1, -1), init=False)
    _counts: list[Count] = field(factory=list, init=False)
    _wake: float | None = field(default=None, init=False)

    def begin(self) -> None:
        """Another process is to get there."""
        self._changed = self._now

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


@define(eq=False)
class Calm(Quiet):
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
        if self._now - self._changed > self.patience:
            self.stuck()
        return self.reached


@define(eq=False)
class Elapsed(Quiet):
    """Until a time has passed by the wall clock."""

    end: float  #: by the wall clock

    def look(self) -> bool:
        """Whether the loop is to stop."""
        self._refresh()
        if self._calm and not self.world.wire:
            self._skip_to(min(self._wake or self.end, self.end))
        self._reach(self.end - self._wall)
        return self.reached
