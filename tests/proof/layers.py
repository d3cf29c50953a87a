"""All layers of the proof: what each counts, how much of it a build tries, and what it needs of a machine."""

from __future__ import annotations

import math
import sys

from attrs import frozen

from . import full_disk, iolog


@frozen
class Kind:
    """One layer, as seen from outside."""

    promised: int  #: what a build tries, or it fails
    unit: str  #: the field of `Counts` in which that is counted
    margin: float = 0.0  #: how much more is planned, in parts of it: not everything that is planned comes
    simulated: bool = False  #: no file and no process is real: it runs anywhere

    def planned(self, share: float = 1.0) -> int:
        """How much is to be tried where a share of the promise is to be kept."""
        return max(math.ceil(share * self.promised * (1 + self.margin)), 1)


#: In the order in which they begin, two at a time: those that mostly wait beside those that only compute.
LAYERS = {
    "kills": Kind(700, "kills", 0.05),
    "exhaustive": Kind(50_000, "histories", simulated=True),
    "takeovers": Kind(100, "takeovers", 0.02),
    "swarm": Kind(300_000, "histories", simulated=True),
    "io_faults": Kind(2_000, "io_faults", 0.02),
    "power_loss": Kind(50_000, "images", 0.08),
    "hostile": Kind(20_000, "hostile_rows", 0.025),
    "machines": Kind(400, "examples", simulated=True),
    "full_disk": Kind(10, "io_faults"),
    "scenarios": Kind(4_000, "histories", simulated=True),
}


def why_not(layer: str) -> str | None:
    """Why a layer cannot run on this machine; `None` where it can."""
    if LAYERS[layer].simulated:
        return None
    if sys.platform != "linux":
        return "needs Linux"
    if not iolog.is_buildable():
        return "needs a C compiler with its headers (on Debian: apt-get install gcc libc6-dev)"
    if layer == "full_disk" and not full_disk.is_possible():
        return "needs the right to mount a small file system (root)"
    return None
