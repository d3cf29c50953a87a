"""The wheel: never early, a slot late at most, and cheap to call off."""

import random

import pytest

from atone.actors import Timers
from atone.actors.timers import SLOT
from tests.manual_runtime import Clock, ManualRuntime

pytestmark = pytest.mark.anyio


async def test_timers_fire_in_time() -> None:
    """Whatever their number and order: never early, and up to a slot late."""
    clock, chance = Clock(), random.Random(7)
    timers, fired = Timers(ManualRuntime(clock)), []
    for _ in range(500):
        delay = chance.choice([0.0, SLOT, chance.random(), chance.random() * 30, -1.0])
        due = clock.monotonic + max(delay, 0)
        timers.after(delay, lambda due=due: fired.append((due, clock.monotonic)))  # type: ignore[misc]
        await clock.advance(chance.choice([0.0, 0.0, 0.013]))
    await clock.advance(40)
    assert len(fired) == 500
    assert all(-1e-6 <= at - due <= SLOT + 1e-6 for due, at in fired)


async def test_a_cancelled_timer_does_not_fire() -> None:
    """Not even when one that fires at the same time calls it off; and a second cancel does nothing."""
    clock = Clock()
    timers, fired = Timers(ManualRuntime(clock)), []
    second = None

    def first() -> None:
        fired.append("first")
        assert second is not None
        timers.cancel(second)

    timers.after(1, first)
    second = timers.after(1, lambda: fired.append("second"))
    third = timers.after(1, lambda: fired.append("third"))
    timers.cancel(third)
    timers.cancel(third)
    await clock.advance(2)
    assert fired == ["first"]


async def test_a_sooner_timer_is_not_held_up_by_a_later_one() -> None:
    """Nor does a timer set while others fire get lost."""
    clock = Clock()
    timers, fired = Timers(ManualRuntime(clock)), []
    timers.after(100, lambda: fired.append("late"))
    timers.after(1, lambda: timers.after(1, lambda: fired.append("nested")))
    await clock.advance(3)
    assert fired == ["nested"]
    await clock.advance(100)
    assert fired == ["nested", "late"]


async def test_timers_of_one_slot_share_one_real_timer() -> None:
    """Ten thousand timeouts of the same length cost the event loop one."""
    clock = Clock()
    timers = Timers(ManualRuntime(clock))
    for _ in range(10_000):
        timers.after(5, lambda: None)
    assert len(clock._alarms) == 1


async def test_a_timer_that_raises_takes_no_other_with_it() -> None:
    """Neither those of its slot nor those of later ones that are due at the same moment."""
    clock = Clock()
    timers, fired = Timers(ManualRuntime(clock)), []

    def boom() -> None:
        raise LookupError("boom")

    timers.after(1.0, boom)
    timers.after(1.0, lambda: fired.append("beside"))
    timers.after(1.5, lambda: fired.append("behind"))
    timers.after(50, lambda: fired.append("later"))
    with pytest.raises(LookupError, match="boom"):
        await clock.advance(2)
    await clock.advance(60)
    assert fired == ["beside", "behind", "later"]
    assert not timers.slots
