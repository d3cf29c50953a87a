from __future__ import annotations

import pytest

from benchmarks import statistic


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1), (0.5, 2), (0.51, 3), (0.99, 4), (1.0, 4)])
def test_a_quantile_is_a_value_that_was_measured(share: float, expected: float) -> None:
    """It is the smallest one that this share does not exceed, in whatever order they came."""
    assert statistic.quantile([4, 1, 3, 2], share) == expected


def test_percentiles_are_in_milliseconds() -> None:
    """Seconds go in, and the names tell the figures of one case apart."""
    median, last = statistic.percentiles([0.001] * 98 + [0.5, 0.5], "cancel, ")
    assert (median.name, median.value, median.unit) == ("cancel, p50", 1.0, "ms")
    assert (last.name, last.value) == ("cancel, p99", 500.0)


@pytest.mark.parametrize(("unit", "expected"), [("orders/s", 0.5), ("ms", 2.0), ("MB", 2.0), ("x", None)])
def test_a_ratio_below_one_is_worse_whatever_the_unit(unit: str, expected: float | None) -> None:
    """Half the rate is half as good; half the time is twice as good; a share is neither."""
    assert statistic.ratio(50, 100, unit) == expected


def test_a_ratio_to_nothing_is_none() -> None:
    """A reference of zero says nothing."""
    assert statistic.ratio(50, 0, "orders/s") is None


def test_ratios_are_made_within_a_round() -> None:
    """A slow round is slow for both; the medians alone would say 10 / 100."""
    assert statistic.median_ratio([5, 10, 100], [10, 100, 200], "orders/s") == 0.5


def test_a_round_without_its_reference_is_left_out() -> None:
    """What one of the two lacks gives no ratio, and the rest counts."""
    assert statistic.median_ratio([5, None, 90], [10, 100], "orders/s") == 0.5
    assert statistic.median_ratio([5], [], "orders/s") is None


def test_the_median_is_of_what_was_measured() -> None:
    """A round that failed is no zero."""
    assert statistic.median([3, None, 1]) == 2
    assert statistic.median([None]) is None
