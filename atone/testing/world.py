"""What outlives a process: time, requests on the wire, and the memory of everything that happened."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextvars import Context
from random import Random
from typing import Any, NamedTuple

from attrs import define, field

from .fuse import Fuse
from .loop import SimLoop
from .runtime import EPOCH, Clock
from .trouble import Trouble


class Moment(NamedTuple):
    """One thing that happened, for the story. There are many, of which nearly all are never told."""

    at: float  #: seconds since the simulation began, by the wall clock
    lane: str
    text: str


@define(eq=False)
class Packet:
    """A request on its way. It arrives whether or not its sender still lives."""

    due: float  #: virtual seconds
    arrive: Callable[[], object]
    life: int
    late: bool = False  #: given up by its sender


async def never() -> None:
    """An answer that does not come. Its loop remembers who waits: nobody else holds a task that nobody awaits."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SimLoop)
    answer: asyncio.Future[None] = loop.create_future()
    loop.unanswered[id(answer)] = answer
    try:
        await answer
    finally:
        del loop.unanswered[id(answer)]


class Void:
    """What a dead process awaits. Needs no event loop."""

    def __await__(self) -> Any:
        while True:
            yield


@define(eq=False)
class World:
    """The world around the simulated processes of one simulation."""

    seed: int = 0
    fuse: Fuse = field(factory=Fuse)
    clock: Clock = field(factory=Clock)
    now: float = 0.0  #: virtual seconds, while no process lives
    moments: list[Moment] = field(factory=list)
    points: list[tuple[str, int]] = field(factory=list)  #: named crash points, with the callback they came after
    armed: set[str] = field(factory=set)  #: crash points at which the process is to die
    commits: int = 0  #: handed over to the disk so far, by all processes
    version: int = 0  #: rises with everything that participants do
    life: int = 0  #: the number of the process that lives; 0 for none
    loop: SimLoop | None = None  #: of that process
    chance: Random = field(init=False)
    wire: list[Packet] = field(factory=list)
    trouble: Trouble = field(factory=Trouble)
    asked: Callable[[str, str, str], object] = lambda _service, _call, _key: None  #: told of each request that leaves
    answered: Callable[[Any], object] = lambda _request: None  #: told what `asked` made of a request that succeeded
    _seen: Counter[str] = field(factory=Counter[str])

    def __attrs_post_init__(self) -> None:
        self.reseed(self.seed)

    def reseed(self, seed: int) -> None:
        """Draw from another seed from now on."""
        self.seed = seed
        self.chance = Random(f"world {seed}")  # noqa: S311  # a simulation must be reproducible

    @property
    def elapsed(self) -> float:
        """Seconds since the simulation began, whatever the wall clock says."""
        return self.loop.now if self.loop is not None else self.now

    @property
    def time(self) -> float:
        """The same by the wall clock."""
        return self.elapsed + self.clock.offset - EPOCH

    def tell(self, lane: str, text: str) -> None:
        """Remember that something happened."""
        self.moments.append(Moment(self.time, lane, text))

    def passed(self, name: str) -> bool:
        """A named crash point is reached; whether the process goes on."""
        self._seen[name] += 1
        number = self._seen[name]
        self.points.append((name if number == 1 else f"{name}#{number}", self.fuse.count))
        for wanted in {name, f"{name}#{number}"} & self.armed if self.armed else ():
            self.armed.discard(wanted)
            self.fuse.burnt = True
        return not self.fuse.burnt

    async def alive(self) -> None:
        """Return only in a process that lives."""
        if self.loop is None or asyncio._get_running_loop() is not self.loop:  # noqa: SLF001
            await Void()

    def send(self, seconds: float, arrive: Callable[[], object], *, late: bool = False) -> Packet:
        """Put a request on the wire."""
        assert self.loop is not None
        packet = Packet(self.loop.now + seconds, arrive, self.life, late)
        self.wire.append(packet)
        self._expect(packet)
        return packet

    def hurry(self) -> None:
        """Nothing else is going to happen any more: what is late arrives now rather than in a minute."""
        assert self.loop is not None
        for packet in self.wire:
            if packet.late and packet.due > self.loop.now:
                packet.due = self.loop.now
                self._expect(packet)

    def begin(self, life: int, loop: SimLoop) -> None:
        """A process begins; what is on the wire will arrive in its time."""
        self.life, self.loop = life, loop
        for packet in self.wire:
            self._expect(packet)

    def end(self) -> None:
        """The process is dead. Of its requests on the wire some are lost, and some arrive much later."""
        if self.loop is None:
            return
        self.now, self.loop = self.loop.now, None
        for packet in list(self.wire):
            if packet.life != self.life or packet.late:
                continue
            packet.late = True
            if self.chance.random() < 0.5:  # noqa: PLR2004  # an even chance
                self.wire.remove(packet)
            else:
                packet.due = self.now + self.chance.random() * 20
        self.life = 0

    def _expect(self, packet: Packet) -> None:
        assert self.loop is not None
        self.loop.call_at(max(packet.due, self.loop.now), self._deliver, packet, context=Context())  # no process's own

    def _deliver(self, packet: Packet) -> None:
        if packet in self.wire:
            self.wire.remove(packet)
            packet.arrive()
