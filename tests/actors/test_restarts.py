"""How often an actor may crash."""

from atone.actors import Intensity, Restarts


def test_more_than_the_intensity_within_the_period_is_too_much() -> None:
    """Exactly as many are borne, with a growing pause."""
    restarts = Restarts(Intensity(intensity=3, period=10, first=0.1, longest=0.3))
    assert [restarts.pause(1, now, 0.0) for now in (0, 1, 2)] == [0.1, 0.2, 0.3]
    assert restarts.pause(1, 3, 0.0) is None


def test_crashes_long_ago_do_not_count() -> None:
    """The period slides."""
    restarts = Restarts(Intensity(intensity=2, period=10, first=0.1))
    for now in range(0, 100, 6):
        assert restarts.pause(1, now, 0.0) is not None


def test_one_actor_does_not_use_up_the_intensity_of_another() -> None:
    """One for one."""
    restarts = Restarts(Intensity(intensity=1))
    assert all(restarts.pause(key, 0, 0.0) is not None for key in range(100))


def test_luck_shortens_the_pause_by_up_to_a_half() -> None:
    """So that actors which crashed together do not come back together."""
    restarts = Restarts(Intensity(first=1.0))
    assert restarts.pause(1, 0, 0.0) == 1.0
    assert restarts.pause(2, 0, 0.5) == 0.75


def test_many_crashes_over_a_long_time_are_forgotten() -> None:
    """Memory is bounded by what crashes now; a pause never overflows."""
    restarts = Restarts(Intensity(intensity=5000, period=10_000))
    assert all(restarts.pause(1, 0, 0.0) is not None for _ in range(5000))
    restarts.forget(20_000)
    assert restarts._crashes == {}
