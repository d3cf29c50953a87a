"""What a person sees while the proof runs: a line now and then, and every violation at once."""

from __future__ import annotations

import time

from attrs import define, field

from .counts import Counts
from .layers import LAYERS

_EVERY = 5.0  #: seconds between two lines


@define
class Screen:
    """Tells of one run of one layer."""

    wanted: int | None = None  #: how many it is to be; `None` where only time ends it
    _began: float = field(factory=time.monotonic)
    _printed: float = field(factory=time.monotonic)
    _told: int = 0

    def report(self, layer: str, counts: Counts) -> None:
        """Tell what is new, if it is time."""
        for violation in counts.violations[self._told :]:
            print(f"✖ {layer}: {violation}", flush=True)
        self._told = len(counts.violations)
        if time.monotonic() - self._printed >= _EVERY:
            self._printed = time.monotonic()
            print(f"  {self.line(layer, counts)}", flush=True)

    def end(self, layer: str, counts: Counts) -> None:
        """Tell how it ended."""
        self.report(layer, counts)
        print(f"{'✖' if counts.violations else '✔'} {self.line(layer, counts)}", flush=True)

    def line(self, layer: str, counts: Counts) -> str:
        """How far it has come."""
        unit, seconds = LAYERS[layer].unit, self.seconds
        done = getattr(counts, unit)
        much = f"{done:,}" if self.wanted is None or done >= self.wanted else f"{done:,} of {self.wanted:,}"
        rate = f"{done / max(seconds, 0.1):,.1f}/s"
        return f"{layer:<11} {much} {unit.replace('_', ' ')}, {rate}, {seconds:.0f} s, {_violations(counts)}"

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self._began


def _violations(counts: Counts) -> str:
    number = len(counts.violations)
    return "1 violation" if number == 1 else f"{number} violations"
