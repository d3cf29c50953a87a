"""The processes of a simulated service: they start, stall, leave and die, and somebody starts them again."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from random import Random
from typing import Any, TypeVar

from attrs import define, field
from cattrs import Converter

from ..actors import Limits
from ..sagas import Coordinator, Saga
from ..storage import Holder
from .evidence import Violation
from .fuse import Killed
from .gate import GatedStore
from .goals import Goal, Stalled
from .journal import Journal
from .life import Life, Process
from .loop import SimLoop
from .oracle import UNCAUGHT
from .purity import doubt
from .runtime import SimRuntime
from .store import Medium
from .world import World

T = TypeVar("T")


@define(eq=False)
class Processes:
    """One machine with one process, or with a second one beside it. When it dies, whatever needs it starts it again."""

    world: World
    medium: Medium
    sagas: Sequence[Saga[Any]]
    services: Mapping[Any, object]
    journal: Journal
    limits: Limits
    overlap_grace: float
    converter: Converter
    lives: int = 0  #: how often the machine was started
    found: list[Violation] = field(factory=list)  #: in lives that have ended
    _life: Life | None = None

    @property
    def running(self) -> bool:
        """Whether the machine lives."""
        return self._life is not None

    def problems(self) -> list[Violation]:
        """What went wrong in any life without anybody catching it, each said once: a step is tried many times."""
        return list(dict.fromkeys(self.found + ([] if self._life is None else _problems(self._life.loop))))

    def ask(self, call: Callable[[Coordinator], Coroutine[Any, Any, T]]) -> T:
        """Make a call, again and again where the process dies in it."""
        while True:
            life = self.alive()
            try:
                return life.ask(call)
            except Killed:
                self.die("killed")

    def run(self, goal: Goal) -> None:
        """Let time pass until a goal is reached, in as many lives as it takes."""
        while not goal.reached:
            life = self.alive()
            goal.begin()
            life.loop.idle = goal.look
            try:
                life.loop.run()
            except Killed:
                self.die("killed")
            finally:
                life.loop.idle = lambda: False

    def restart(self) -> None:
        """End the process in good order, and start it again."""
        if self._life is not None:
            try:
                self._life.leave(self.journal)
            except Killed:
                self.die("killed")
            else:
                self.die("left in good order")
        self.alive()

    def stand_by(self) -> None:
        """Start a second process on the same disk, where there is none."""
        life = self.alive()
        if len(life.processes) > 1:
            return
        self.world.tell("process", "a second one starts, and stands by")
        try:
            life.enter(self._process(life, 2))
        except Killed:
            self.die("killed")

    def stall(self, seconds: float) -> None:
        """Let the process that hosts stand still while time passes."""
        life = self.alive()
        host = life.host
        which = "" if len(life.processes) == 1 else f" {host.number}"
        self.world.tell("process", f"{which} stands still for {seconds:g} s".strip())
        life.loop.stall(host.number)
        self.run(Stalled(self.world, end=life.loop.now + seconds))
        if self._life is life:
            life.loop.stall(0)
            self.world.tell("process", f"{which} goes on".strip())

    def alive(self) -> Life:
        """The machine, started where it is dead."""
        while self._life is None:
            self._boot()
        return self._life

    def die(self, how: str) -> None:
        """Let go of the machine as it is."""
        life, self._life = self._life, None
        if life is None:
            return
        world = self.world
        world.fuse.burnt = False
        if how:
            world.tell("process", f"✖ killed before callback {world.fuse.count}" if how == "killed" else how)
        self.found += _problems(life.loop)
        world.end()
        life.loop.abandon()

    def _boot(self) -> None:
        world = self.world
        self.lives += 1
        number = self.lives
        world.fuse.burnt = False
        loop = SimLoop(self._chance("schedule", number), world.now, world.fuse)
        loop.log = lambda text: world.tell("process", text)
        self._life = life = Life(number, world, loop)
        world.begin(number, loop)
        world.tell("process", "starts" if number == 1 else f"starts again (life {number})")
        try:
            life.enter(self._process(life, 1))
        except Killed:
            self.die("killed")
        except BaseException:
            self.die("✖ failed")
            raise

    def _process(self, life: Life, number: int) -> Process:
        name = f"{life.number}.{number}"
        journal, process = self.journal, f"life-{name}"
        store: Any = GatedStore(self.medium.store(), life, journal, process)
        coordinator = Coordinator(
            store,
            sagas=self.sagas,
            provide=self.services,
            runtime=SimRuntime(life.loop, self.world.clock, self._chance("luck", name), process, journal),
            limits=self.limits,
            overlap_grace=self.overlap_grace,
            converter=self.converter,
            is_gone=self._is_gone,
        )
        doubt(coordinator, journal)
        return Process(number, coordinator, process)

    def _is_gone(self, holder: Holder) -> bool:
        return not holder.instance.startswith(f"life-{self.world.life}.")

    def _chance(self, what: str, whose: object) -> Random:
        return Random(f"{self.world.seed} {what} {whose}")  # noqa: S311  # a simulation must be reproducible


def _problems(loop: SimLoop) -> list[Violation]:
    return [Violation(UNCAUGHT.name, UNCAUGHT.sentence, None, problem) for problem in loop.problems]
