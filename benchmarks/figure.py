"""One measured number. Peers measure in environments of their own, so this needs nothing but the standard library."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """A number with its unit; `name` tells the figures of one case apart."""

    name: str
    value: float
    unit: str

    def as_dict(self) -> dict[str, Any]:
        """As it is passed from one process to another."""
        return asdict(self)


def better_high(unit: str) -> bool:
    """Whether more is better: so it is with rates, and with nothing else that is measured here."""
    return unit.endswith("/s")
