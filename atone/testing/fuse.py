"""Before which callback a simulated process dies."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field


class Killed(BaseException):
    """The simulated process was killed. Only the simulation sees it."""


@define(eq=False)
class Fuse:
    """Counts the callbacks of all lives of a simulated process, and says before which of them it dies."""

    count: int = 0
    moved: int = 0  #: callbacks in which the user's own code ran
    armed: bool = False  #: whether callbacks are counted
    burnt: bool = False  #: the process dies before its next callback
    at: tuple[int, ...] = ()  #: callbacks before which a process dies, in rising order
    look: Callable[[], object] | None = None  #: asked before each callback
    seen: list[object] = field(factory=list)  #: what it answered

    def step(self) -> None:
        """Another callback is about to run; raises `Killed` instead where the process dies here."""
        if self.armed:
            self.count += 1
            if self.look is not None:
                self.seen.append(self.look())
            if self.at and self.count >= self.at[0]:
                self.at = self.at[1:]
                self.burnt = True
        if self.burnt:
            raise Killed
