"""Several processes in one simulated machine: each may die, or be stopped and go on, at any callback.

A callback belongs to the process in whose context it was made. So one event loop holds them all, with one time, and a
process dies by having none of its callbacks run any more; what is outside, the participants and the wire, goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from functools import partial
from random import Random
from typing import Any, TypeVar

from attrs import define, field

from atone import Coordinator
from atone.testing.loop import SimLoop
from atone.testing.tasks import SimTask, bury
from atone.testing.world import Packet, World

T = TypeVar("T")


class Died(Exception):
    """The process that was asked has died."""


@define(eq=False)
class Process:
    """One process, as the machine sees it. It is the gate of its store as well."""

    number: int
    loop: SharedLoop
    host: bool = True  #: whether it hosts, or would; another one only asks
    left: int = -1  #: callbacks that it has still to live; without end where negative
    dies_at: int = 0  #: the commit at which it dies; 0 for none
    tells: bool = False  #: whether that commit is on disk by then
    dead: bool = False
    stopped: bool = False
    coordinator: Coordinator = field(init=False)
    context: Context = field(init=False)
    leftovers: list[Callable[[], object]] = field(factory=list)  #: what the operating system does when it is dead
    held: list[asyncio.Handle] = field(factory=list)  #: callbacks that wait for it to go on
    _calls: dict[asyncio.Future[Any], None] = field(factory=dict)
    _commits: int = 0

    def __attrs_post_init__(self) -> None:
        self.context = copy_context()
        self.context.run(PROCESS.set, self)

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the process do something, for somebody outside; raises `Died`."""
        if self.dead:  # since it was chosen
            work.close()
            raise Died
        answer: asyncio.Future[T] = self.loop.create_future()
        task = self.loop.create_task(work, context=self.context.copy())
        task.add_done_callback(partial(_pass_on, answer), context=self.loop.outside)
        self._calls[answer] = None
        try:
            return await answer
        finally:
            self._calls.pop(answer, None)

    def go_on(self) -> None:
        """End its stop."""
        self.stopped = False
        self.loop.ready(self.held)
        self.held = []

    def die(self) -> None:
        """Be gone: nothing of it runs any more, nobody learns why."""
        self.dead = True
        bury(self.loop, self, self.context.copy())
        self.held = []  # now: a task that nothing but its callback holds would be gone before it is buried
        for let_go in self.leftovers:
            let_go()
        for answer in list(self._calls):
            if not answer.done():
                answer.set_exception(Died())
        self.loop.world.buried(self)

    # ── the gate of its store ──

    def alive(self) -> bool:
        """Whether it lives."""
        return not self.dead and self.left != 0

    def committing(self) -> int:
        """A commit is handed over to the disk; its number."""
        self._commits += 1
        if self._commits == self.dies_at and not self.tells:
            self._burn()
        return self._commits

    def failing(self, _number: int) -> tuple[None, bool]:
        """Its disk fails by itself; see `disks.py`."""
        return None, True

    def refusal(self) -> None:
        """As above."""

    def committed(self, number: int) -> bool:
        """A commit was carried out; whether the process lives to hear of it."""
        if not self.alive():
            return False
        if number == self.dies_at:
            self._burn()
        return self.alive()

    def _burn(self) -> None:
        self.left = 0
        self.loop.call_soon(self.die, context=self.loop.outside.copy())


#: Whose callbacks run; `None` outside of all processes.
PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)


def _pass_on(answer: asyncio.Future[Any], task: asyncio.Task[Any]) -> None:
    if answer.done():  # whoever asked has gone away
        _ = task.cancelled() or task.exception()
    elif task.cancelled():
        answer.set_exception(Died())
    elif (error := task.exception()) is not None:
        answer.set_exception(error)
    else:
        answer.set_result(task.result())


class SharedFuture(asyncio.Future[Any]):
    """Knows whose it is, as tasks do."""

    owner: Process | None


class SharedLoop(SimLoop):
    """The event loop of all processes and of what is outside."""

    world: Waters

    def __init__(self, chance: Random) -> None:
        super().__init__(chance)
        self.outside = copy_context()
        self._remember = self.get_exception_handler()
        self.set_exception_handler(self._of_the_living)
        self.steps = 0

    def create_task(  # type: ignore[override]  # as that of any simulated loop
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> SimTask:
        """Make a task of the process in whose context it is made."""
        task = super().create_task(coro, name=name, context=context)
        process: Process | None = PROCESS.get() if context is None else context.get(PROCESS)
        task.owner = process
        return task

    def create_future(self) -> asyncio.Future[Any]:
        """Make a future of the process in whose context it is made."""
        future = SharedFuture(loop=self)
        future.owner = PROCESS.get()
        return future

    def _of_the_living(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Nobody sees to what a dead process has left: who would have done so did not live to do it."""
        owner: object = getattr(context.get("task") or context.get("future"), "owner", None)
        if self._remember is not None and not (isinstance(owner, Process) and not owner.alive()):
            self._remember(loop, context)

    def ready(self, handles: list[asyncio.Handle]) -> None:
        """Let callbacks run that were held back."""
        self._ready.extend(handles)

    def _may_run(self, handle: Any) -> bool:
        """Whether a callback whose turn has come runs: nothing does of a process that is dead or stopped."""
        self.steps += 1
        process: Process | None = handle._context.get(PROCESS)
        if process is None:
            return True
        if process.dead:
            return False
        if process.stopped or process.left == 0:
            process.held.append(handle)
            return False
        process.left -= 1
        if process.left == 0:
            process.die()
        return process.left != 0


class Waters(World):
    """What is around the processes: their requests go on when they are dead. Keeps no story."""

    deaths = 0

    @property
    def elapsed(self) -> float:
        """Seconds since the simulation began: what threads do takes none, and still comes one after the other."""
        assert isinstance(self.loop, SharedLoop)
        return self.loop.now + self.loop.steps * 1e-9

    def tell(self, lane: str, text: str) -> None:
        """Nobody reads it."""

    def passed(self, name: str) -> bool:
        """Processes die by number here, not by name."""
        return True

    async def alive(self) -> None:
        """No callback of a dead process ever runs here."""

    def send(self, seconds: float, arrive: Callable[[], object], *, late: bool = False) -> Packet:
        """Put a request on the wire; late ones are less late than a person would think."""
        assert self.loop is not None
        process = PROCESS.get()
        life = process.number if process is not None else 0
        packet = Packet(self.loop.now + (seconds / 4 if late else seconds), arrive, life, late)
        self.wire.append(packet)
        self._expect(packet)
        return packet

    def _expect(self, packet: Packet) -> None:
        loop = self.loop
        assert isinstance(loop, SharedLoop)
        loop.call_at(max(packet.due, loop.now), self._deliver, packet, context=loop.outside.copy())

    def buried(self, process: Process) -> None:
        """Of the requests of a dead process some are lost, and some arrive much later."""
        assert self.loop is not None
        self.deaths += 1
        for packet in [one for one in self.wire if one.life == process.number and not one.late]:
            self.wire.remove(packet)
            if self.chance.random() < 0.5:
                self.send(self.chance.random() * 40, packet.arrive, late=True)
