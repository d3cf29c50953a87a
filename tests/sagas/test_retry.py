import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atone import Retry

seconds = st.floats(0, 1e6)
policies = st.builds(
    Retry,
    attempts=st.integers(1, 100),
    first=seconds,
    factor=st.floats(1, 1e9),
    longest=seconds,
    jitter=st.floats(0, 1),
)


@given(policies, st.integers(0, 10_000), st.floats(0, 1, exclude_max=True))
def test_a_delay_stays_within_its_bounds(retry: Retry, tries: int, luck: float) -> None:
    """However often something was tried, the wait is at most `longest`, and the jitter only shortens it."""
    without_luck = retry.delay(tries, 0.0)

    assert 0 <= without_luck <= retry.longest
    assert without_luck * (1 - retry.jitter) <= retry.delay(tries, luck) <= without_luck


@given(policies, st.integers(1, 1000))
def test_delays_do_not_shrink(retry: Retry, tries: int) -> None:
    """The next wait is never shorter than the one before it."""
    assert retry.delay(tries, 0.0) <= retry.delay(tries + 1, 0.0)


def test_delays_double_up_to_the_longest() -> None:
    """The default: a tenth of a second, twice as long every time, at most a minute."""
    delays = [Retry().delay(tries, 0.0) for tries in (1, 2, 3, 10, 11, 12)]

    assert [0.1, 0.2, 0.4, 51.2, 60.0, 60.0] == pytest.approx(delays)


@pytest.mark.parametrize(
    "options",
    [
        {"attempts": 0},
        {"first": -1},
        {"factor": 0.5},
        {"factor": math.inf},
        {"longest": -1},
        {"jitter": 1.5},
        {"jitter": -0.1},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(options: dict[str, float]) -> None:
    """The error names the option."""
    [name] = options

    with pytest.raises(ValueError, match=name):
        Retry(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("attempts", [0, math.inf, 10**20, "3"])
def test_attempts_are_a_number_that_can_be_stored(attempts: Any) -> None:
    """They are counted in the snapshot: infinity would come back as nothing, and the order could not be read."""
    with pytest.raises((TypeError, ValueError)):
        Retry(attempts=attempts)


@pytest.mark.parametrize("name", ["first", "factor", "longest", "jitter"])
def test_seconds_and_shares_are_numbers_that_can_be_multiplied(name: str) -> None:
    """A `Decimal` of some configuration would be found only by the first order that has to try again."""
    with pytest.raises(TypeError, match=name):
        Retry(**{name: Decimal(1)})  # type: ignore[arg-type]


class Whole(int):
    """A whole number that must not be raised to a power."""

    def __pow__(self, *_: object) -> int:  # type: ignore[override]
        raise AssertionError


def test_the_power_of_a_whole_factor_is_no_whole_number() -> None:
    """After ever so many tries that would have a thousand million bits, and hold up all orders while it is made."""
    assert Retry(factor=Whole(2)).delay(3, 0.0) == pytest.approx(0.4)
