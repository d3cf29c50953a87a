"""All layers of the proof: what each counts, how much of it a build tries, and what it needs of a machine."""

from __future__ import annotations

import sys

from attrs import frozen

from . import full_disk, iolog


@frozen
class Kind:
    """One layer, as seen from outside."""

    size: int  #: what a build tries
    unit: str  #: the field of `Counts` in which the size is counted
    simulated: bool = False  #: no file and no process is real: it runs anywhere


#: In the order in which they begin, two at a time: those that mostly wait beside those that only compute.
LAYERS = {
    "kills": Kind(700, "kills"),
    "exhaustive": Kind(50_000, "histories", simulated=True),
    "takeovers": Kind(100, "takeovers"),
    "swarm": Kind(300_000, "histories", simulated=True),
    "io_faults": Kind(2_000, "io_faults"),
    "power_loss": Kind(51_000, "images"),
    "hostile": Kind(20_000, "hostile_rows"),
    "machines": Kind(1_000, "examples", simulated=True),
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
