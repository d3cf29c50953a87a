"""What many measurements come to: plain functions of numbers."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from math import ceil

from .figure import Figure, better_high

#: Units of figures that are ratios themselves.
SHARES = {"x", "%"}


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def percentiles(seconds: Sequence[float], prefix: str = "") -> list[Figure]:
    """The median and the 99th percentile of waiting times, in milliseconds; none where nobody waited."""
    if not seconds:
        return []
    return [Figure(f"{prefix}p{share}", quantile(seconds, share / 100) * 1000, "ms") for share in (50, 99)]


def ratio(value: float, reference: float, unit: str) -> float | None:
    """How near a figure comes to its reference: 1 is as good, 0.5 half as good, whichever way is better.

    A share is neither good nor bad, and has no ratio.
    """
    if unit in SHARES:
        return None
    over, under = (value, reference) if better_high(unit) else (reference, value)
    return over / under if under else None


def median_ratio(values: Sequence[float | None], references: Sequence[float | None], unit: str) -> float | None:
    """The median of the ratios within each round; what one round lacks is left out."""
    pairs = zip(values, references, strict=False)
    ratios = [ratio(one, other, unit) for one, other in pairs if one is not None and other is not None]
    known = [one for one in ratios if one is not None]
    return statistics.median(known) if known else None


def median(values: Sequence[float | None]) -> float | None:
    """The median of those that were measured."""
    known = [one for one in values if one is not None]
    return statistics.median(known) if known else None
