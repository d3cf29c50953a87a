"""One life of the simulated machine, from the start of its process to its death."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar

from attrs import define, field

from ..sagas import Coordinator
from ..storage import StoreUnavailable
from .journal import Journal
from .loop import PROCESS, SimLoop
from .world import World

T = TypeVar("T")


async def leave(coordinator: Coordinator, journal: Journal, process: str) -> None:
    """Ask a process to leave in good order."""
    journal.left(process)
    await coordinator.__aexit__(None, None, None)


@define(eq=False)
class Process:
    """A coordinator, and the mark that its callbacks carry."""

    number: int
    coordinator: Coordinator
    name: str  #: in the journal
    context: Context = field(factory=Context)

    def __attrs_post_init__(self) -> None:
        self.context.run(PROCESS.set, self.number)


@define(eq=False)
class Life:
    """A machine on a loop of its own, with one process or two. All of them die at once.

    It is the gate of their stores as well: no dead process writes anything.
    """

    number: int
    world: World
    loop: SimLoop
    processes: list[Process] = field(factory=list)

    @property
    def host(self) -> Process:
        """The process that hosts the orders, or the first where none does."""
        return next((one for one in self.processes if one.coordinator.hosting), self.processes[0])

    def enter(self, process: Process) -> None:
        """Start a process. Raises `Killed`, or what its start raises."""
        self.loop.call(process.coordinator.__aenter__(), process.context.copy())
        self.processes.append(process)

    def leave(self, journal: Journal) -> None:
        """End all processes in good order, those that stand by first. Raises `Killed`."""
        for one in sorted(self.processes, key=lambda one: one.coordinator.hosting):
            self.loop.call(leave(one.coordinator, journal, one.name), one.context.copy())

    def ask(self, call: Callable[[Coordinator], Coroutine[Any, Any, T]]) -> T:
        """Make a client's call, at any process. Raises `Killed`."""
        several = len(self.processes) > 1
        process = self.world.chance.choice(self.processes) if several else self.processes[0]
        return self.loop.call(call(process.coordinator), process.context.copy())

    def alive(self) -> bool:
        """Whether the machine lives."""
        return self.world.life == self.number and not self.loop.fuse.burnt

    def committing(self) -> int:
        """A commit is handed over to the disk; its number."""
        self.world.commits += 1
        self.world.passed(f"commit {self.world.commits}:before")
        return self.world.commits

    def failing(self, number: int) -> tuple[StoreUnavailable | None, bool]:
        """What a commit is answered instead of its result, and whether it is on disk."""
        error, on_disk = self.world.trouble.next_commit()
        if error is not None:
            self.world.tell("process", f"commit {number} fails, and is {'' if on_disk else 'not '}on disk")
        return error, on_disk

    def refusal(self) -> StoreUnavailable | None:
        """What any other write is answered instead of its result."""
        return self.world.trouble.refusal()

    def committed(self, number: int) -> bool:
        """A commit was carried out; whether the process lives to hear of it."""
        return self.alive() and self.world.passed(f"commit {number}:after")
