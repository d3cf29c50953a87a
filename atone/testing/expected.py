"""What a test has announced. Where that never comes, the test shows nothing, and would pass all the same."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from attrs import define, field

from .services import FakeService
from .world import World


@define(eq=False)
class Expected:
    """The deaths and fates that a test is about, as far as it has named them itself: what is drawn may not come."""

    world: World
    certain: bool = True  #: whether this is the one history of its test: of many, some go another way
    _points: dict[str, None] = field(factory=dict[str, None])  #: in the order in which they were named
    _callbacks: list[int] = field(factory=list[int])  #: before which a process is to die
    _drawn: set[str] = field(factory=set)  #: calls whose fates may be left over

    def death(self, point: str) -> None:
        """A process is to die at a named point."""
        if not _is_drawn():
            self._points[point] = None

    def callback(self, number: int) -> None:
        """A process is to die before a callback."""
        if not _is_drawn():
            self._callbacks.append(number)

    def may_happen(self, *calls: str) -> None:
        """Calls that may never be made."""
        self._drawn.update(calls)

    def missing(self, services: Iterable[FakeService]) -> str | None:
        """What has not come, and what to do about it."""
        if not self.certain or _is_drawn():
            return None
        for point in self._points:
            if point in self.world.armed:
                return (
                    f"no process came to {point!r} after the test had asked for a death there, so that it shows "
                    f"nothing: name a point of `sim.crash_points()`, or `sim.plan(Death({point!r}))` if it may not come"
                )
        fuse = self.world.fuse
        for number in self._callbacks:
            if number in fuse.at:
                return (
                    f"the process came to {fuse.count} callbacks, and was to die before number {number}: so the test "
                    "shows nothing; let it die earlier, or by `sim.plan(Death(...))` if it may not come to that"
                )
        for service in services:
            asked = {name for name, _ in service.ledger.sent}
            for call, fates in service.plans.items():
                if fates and call not in asked | self._drawn:
                    planned = ", ".join(repr(fate.value) for fate in fates)
                    return (
                        f"nobody called {service.name}.{call}, for which the test had planned {planned}, so that it "
                        f"shows nothing: see to it that it is called, or leave the plan out"
                    )
        return None


def _is_drawn() -> bool:
    """Whether Hypothesis draws what happens. Where nobody has imported it, it draws nothing, and need not be there."""
    hypothesis = sys.modules.get("hypothesis")
    return hypothesis is not None and bool(hypothesis.currently_in_test_context())
