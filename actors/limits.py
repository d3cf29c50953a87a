"""How much a supervisor takes on at a time."""

from __future__ import annotations

from attrs import field

from ..storage import frozen
from .restarts import Intensity


@frozen(kw_only=True)
class Limits:
    """Counts, and seconds where it says so."""

    window: int = 10_000  #: actors in memory before new ones wait on disk for their turn
    reserve: int = 1_000  #: actors beyond the window that a message or timer calls; as many again for requests
    recovering: int = 8_000  #: actors in memory before recovery slows down, so that new ones find room
    page: int = 256  #: actors read at a time
    frail_deaths: int = 3  #: from so many deaths of the process on, an actor is recovered last, and alone
    linger: float = 5.0  #: seconds: an actor that wakes sooner stays in memory
    scan: float = 1.0  #: seconds between two scans
    poll: float = 0.02  #: seconds between two looks for commits of other processes
    intensity: Intensity = field(factory=Intensity)
