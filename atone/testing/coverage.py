"""How much of a scenario was tried."""

from __future__ import annotations

from collections import Counter

from attrs import define, field


@define
class Coverage:
    """How much was tried. All of it held, or `SagaFailure` would have been raised."""

    points: int = 0  #: crash points of the undisturbed run
    kills: int = 0  #: histories with one crash, in disturbed runs as well
    pairs: int = 0  #: histories with a second crash, in the recovery
    disturbances: int = 0  #: runs without a crash in which participants disturbed, each in another way
    histories: int = 0
    seconds: float = 0.0
    complete: bool = True  #: whether it came to the end within its budget
    ends: Counter[str] = field(factory=Counter[str])  #: how orders stood in the end

    def __str__(self) -> str:
        parts = [f"{self.points} crash points", f"{self.kills} kills"]
        parts += [f"{self.pairs} pairs"] if self.pairs else []
        parts += [f"{self.disturbances} disturbances", f"{self.histories} histories", f"{self.seconds:.1f} s"]
        ends = ", ".join(f"{number} {status}" for status, number in self.ends.most_common())
        return f"{', '.join(parts)}; orders: {ends or 'none'}" + ("" if self.complete else " (out of budget)")
