"""The wheel costs what waits in it, and nothing for what was called off."""

import pytest

from atone.actors import Timers
from tests.manual_runtime import Clock, ManualRuntime

pytestmark = pytest.mark.anyio


async def test_waits_called_off_leave_nothing_behind() -> None:
    """Orders that wait a day and were passivated must not cost memory until tomorrow."""
    timers = Timers(ManualRuntime(Clock()))
    for number in range(2_000):
        timers.cancel(timers.after(86_400 + number, lambda: None))

    assert not timers.slots
    assert len(timers._order) <= 65


async def test_there_is_one_real_timer() -> None:
    """Each nearer one replaces it, and what it was armed for still fires."""
    clock, fired = Clock(), list[int]()
    timers = Timers(ManualRuntime(clock))
    for number in range(50, 0, -1):
        timers.after(number, lambda number=number: fired.append(number))  # type: ignore[misc]

    assert len([alarm for _, _, alarm in clock._alarms if alarm.function is not None]) == 1

    await clock.advance(100)

    assert fired == list(range(1, 51))
