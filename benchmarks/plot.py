"""Bars as SVG: logarithmic, since systems differ by orders of magnitude."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from math import ceil, floor, log10

from attrs import frozen

WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 760, 170, 90, 22, 8, 46
OURS, REFERENCE, OTHER = "#2b6cb0", "#a0aec0", "#c05621"


@frozen
class Bar:
    """One system."""

    name: str
    value: float
    label: str


def colour(system: str) -> str:
    """Ours, the references, and the others."""
    return OURS if system == "atone" else REFERENCE if system in {"bare", "sqlite"} else OTHER


def svg(title: str, bars: Sequence[Bar]) -> str:
    """A chart of one figure; it needs nothing but a browser."""
    height = TOP + len(bars) * (BAR + GAP) + GAP
    scale = _scale([bar.value for bar in bars])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="12" y="26" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for place, bar in enumerate(bars):
        top, wide = TOP + place * (BAR + GAP), scale(bar.value)
        middle = top + BAR * 0.7
        parts += [
            f'<text x="{LEFT - 8}" y="{middle:.0f}" font-size="13" text-anchor="end">{escape(bar.name)}</text>',
            f'<rect x="{LEFT}" y="{top}" width="{wide:.0f}" height="{BAR}" fill="{colour(bar.name)}"/>',
            f'<text x="{LEFT + wide + 6:.0f}" y="{middle:.0f}" font-size="13">{escape(bar.label)}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _scale(values: Sequence[float]) -> Callable[[float], float]:
    """Values to pixels; the axis begins at the power of ten below the least."""
    logs = [log10(value) for value in values if value > 0] or [0.0]
    low = floor(min(logs) - 0.3)
    high = max(ceil(max(logs)), low + 1)

    def pixels(value: float) -> float:
        share = (log10(value) - low) / (high - low) if value > 0 else 0.0
        return max(1.0, share * (WIDTH - LEFT - RIGHT))

    return pixels
