"""A whole service in one box: its process, its disk, its participants, its time. The same seed, the same run."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, Self, TypeVar, cast

from ..sagas import CancelAnswer, Saga, SendAnswer
from .agenda import Entry, Happening
from .goals import Calm, Elapsed
from .outcomes import Fate
from .runtime import EPOCH
from .story import SagaFailure
from .witness import Witness

I = TypeVar("I")  # noqa: E741  # the input; one letter, as type variables are
T = TypeVar("T")

_POINT = re.compile(r"commit [1-9]\d*:(before|after)|(?P<call>\w+):(before|after)_effect(#[1-9]\d*)?")


class Simulation(Witness):
    """Owns everything that a saga meets: seed, time, disk, participants, and the process with its crashes.

    `sagas` may be left out: `start` registers what it is given. `provide` are the services, as for a coordinator, as
    objects or as classes to be called. `store` is `"memory"` or `"sqlite"`: the latter runs the real store code on a
    real file. `crashes` are the numbers of callbacks before which the process dies; `converter` is as for a
    coordinator.

    A process that died is started again by whatever needs it next; a call that its death cut off is repeated with
    the same id, as a client does.
    """

    # ── what a client does ──

    async def start(self, saga: Saga[I], input: I, *, id: str | None = None) -> str:
        """Start an order; returns its id: `"1"`, `"2"` and so on, where none is given.

        The same `id` again is the same order, as it is for a coordinator.
        """
        if not any(one is saga for one in self.sagas):
            self._register(*self.sagas, saga)
        if id is None:
            id = next(name for name in map(str, count(1)) if name not in self._answered)
        while (entry := self._agenda.due(self._wall)) is not None:
            await self._come_to(entry)
        self._journal.expected.add(id)
        self.world.fuse.armed = True
        self.world.tell("client", f"start {id}")
        self._ask("start", id, "", lambda coordinator: coordinator.start(saga, input, id=id))
        self._promise("start", id)
        self._answered.add(id)
        return id

    async def send(self, order: str, message: object, *, id: str | None = None) -> SendAnswer:
        """Send a message to an order."""
        self._messages += 1
        message_id = id if id is not None else f"message-{self._messages}"
        self.world.tell("client", f"send {type(message).__name__} to {order}")
        answer = self._ask(
            "send", order, message_id, lambda coordinator: coordinator.order(order).send(message, id=message_id)
        )
        self._promise("send", order, message_id, str(answer), type(message).__name__)
        return answer

    async def cancel(
        self, order: str, reason: str = "cancelled by the test", *, by: str = "test", id: str | None = None
    ) -> CancelAnswer:
        """Ask that an order be undone."""
        self._messages += 1
        message_id = id if id is not None else f"cancel-{self._messages}"
        self.world.tell("client", f"cancel {order}")
        answer = self._ask(
            "cancel",
            order,
            message_id,
            lambda coordinator: coordinator.order(order).cancel(reason, by=by, id=message_id),
        )
        self._promise("cancel", order, message_id, str(answer))
        return answer

    # ── time ──

    async def settle(self) -> None:
        """Let time pass until every order has ended, is parked, or waits for somebody without a timer.

        All that was planned happens on the way. Raises `SagaFailure` where an order at work makes no progress for an
        hour of virtual time, and the longest timeout of a step.
        """
        while (entry := self._agenda.due()) is not None:
            await self._come_to(entry)
        self._processes.run(Calm(self.world, self.observer, self._fail_stuck, self._patience))

    async def advance(self, seconds: float) -> None:
        """Let a time pass. What has long to wait is not waited for: days cost no more than seconds."""
        end = Entry(self._wall + seconds)
        self._agenda.add(end)
        while (entry := self._agenda.due()) is not end and entry is not None:
            await self._come_to(entry)
        await self._come_to(end)

    def jump(self, seconds: float) -> None:
        """Set the wall clock of the machine forward, or back; no time passes."""
        self.world.clock.jump(seconds)
        self._agenda.shift(seconds)
        self.world.tell("process", f"the clock jumps by {seconds:+g} s")

    def plan(self, *happenings: Happening) -> None:
        """Let these happen at their times, as time passes: faults and messages, as strategies draw them.

        Those without a time of their own happen when the next order is started, or time passes.
        """
        for one in happenings:
            self._agenda.add(Entry(self._wall + one.at, one))

    @property
    def _wall(self) -> float:
        return self.world.time + EPOCH

    async def _come_to(self, entry: Entry) -> None:
        """Let time pass until something is due, and let it happen."""
        if entry.due > self._wall or entry.happening is None:
            goal = Elapsed(self.world, self.observer, self._fail_stuck, self._patience, end=entry.due)
            self._processes.run(goal)
        if entry.happening is not None:
            await entry.happening.happen(self)

    # ── life and death ──

    def crash(self) -> None:
        """Kill the process, here and now."""
        self._processes.die("killed")

    def crash_at(self, point: str) -> None:
        """Kill the process when it next reaches a named point, such as `"charge:after_effect"`.

        `crash_points()` lists the names. `"charge:after_effect#2"` is the second time it gets there. A test that ends
        before any process got there fails; `plan(Death(...))` is for deaths that may come or not.
        """
        self.may_crash_at(point)
        self._expected.death(point)

    def may_crash_at(self, point: str) -> None:
        """Kill the process at a named point, if it comes to it."""
        known = _POINT.fullmatch(point)
        calls = [name for fake in self.fakes for name in fake.calls()]
        if known is None or known["call"] not in {None, *calls}:
            points = [f"{name}:before_effect" for name in calls[:1]] + ["commit 3:after"]
            raise ValueError(f"no process comes to {point!r}: points are named like {', '.join(map(repr, points))}")
        self.world.armed.add(point)

    def crash_in(self, callbacks: int) -> None:
        """Kill the process before so many callbacks more, in whatever it does then: 1 is before the next one.

        A test that ends before that fails; `plan(Death(...))` is for deaths that may come or not.
        """
        self._expected.callback(self.may_crash_in(callbacks))

    def may_crash_in(self, callbacks: int) -> int:
        """Kill the process before so many callbacks more, if it comes to them; the number of the last one."""
        fuse = self.world.fuse
        fuse.at = tuple(sorted([*fuse.at, fuse.count + callbacks]))
        return fuse.count + callbacks

    def crash_points(self) -> list[str]:
        """The named points that were reached so far."""
        return [name for name, _ in self.world.points]

    async def restart(self) -> None:
        """End the process in good order, and start it again."""
        self._processes.restart()

    async def deploy(self, *sagas: Saga[Any]) -> None:
        """Replace the program: the process ends in good order, and the next one knows these sagas, and no others.

        An order stays with its definition; without it, it is PARKED until one is deployed that has it. A version with
        equal steps takes the place of the one before.
        """
        self.world.tell("process", f"a deploy: {', '.join(f'{one.name} {one.version}' for one in sagas)}")
        self._register(*sagas)

    async def stand_by(self) -> None:
        """Start a second process on the same disk. It waits until the first is gone, or stands still for too long."""
        self._processes.stand_by()

    async def stall(self, seconds: float) -> None:
        """Let the process that hosts the orders stand still, as a stopped or an overloaded one does, and time pass.

        Ten seconds without a sign of life, and one that stands by takes the orders over; the first finds itself
        fenced when it goes on.
        """
        self._processes.stall(seconds)

    # ── participants and the disk ──

    def misbehave(self, call: str, *fates: str) -> None:
        """Plan the fates of the next calls, if any, of an action, or an undo, of whichever service has it."""
        asked = [fake for fake in self.fakes if call in fake.calls()]
        if not asked:
            there_are = ", ".join(name for fake in self.fakes for name in fake.calls())
            raise LookupError(f"no service has a call {call!r}; there are: {there_are or 'none'}")
        self._expected.may_happen(call)
        for fake in asked:
            fake.plans.setdefault(call, []).extend(map(Fate, fates))

    def fail_commits(self, number: int = 1, *, applied: bool | None = None) -> None:
        """Let the next commits fail with `DiskFailed`. Whether they are on disk all the same is `applied`, or drawn."""
        world = self.world
        drawn = [world.chance.random() < 0.5 if applied is None else applied for _ in range(number)]  # noqa: PLR2004
        world.trouble.failing += drawn

    def fill_disk(self) -> None:
        """Let every write fail with `DiskFull` from now on, until `free_disk`."""
        self.world.trouble.full = True
        self.world.tell("process", "the disk is full")

    def free_disk(self) -> None:
        """Make room on the disk again."""
        self.world.trouble.full = False
        self.world.tell("process", "the disk has room")

    def stop_faults(self) -> None:
        """What could go on for ever stops: a full disk, and fates that are drawn. What was planned still happens."""
        if self.world.trouble.full:
            self.free_disk()
        for fake in self.fakes:
            fake.outcomes = None

    # ── a whole history ──

    def play(self, scenario: Callable[[Self], Awaitable[None]], *, again: str = "") -> None:
        """Run a function that awaits only methods of this simulation, and check what came of it.

        Raises `SagaFailure`, with the story and the command that does it `again`, where a promise was broken or an
        assertion failed; any other error has the story as a note. That of many histories this is one is said by
        `again`: not all of them come to what the function asks for.
        """
        __tracebackhide__ = True
        self._expected.certain = self._expected.certain and not again
        try:
            drive(scenario(self))
            self.check()
            self.demand()
        except SagaFailure as failure:
            raise SagaFailure(failure.story.again_by(again), failure.violations) from None
        except AssertionError as error:
            raise SagaFailure(self.story().again_by(again), (), error=error) from error
        except (Exception, SystemExit) as error:
            error.add_note(f"\n{self.story().again_by(again)}")
            raise


def drive(work: Awaitable[T]) -> T:
    """Run a coroutine that waits for nothing but its simulation, which never really waits."""
    __tracebackhide__ = True
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        return cast("T", stop.value)
    msg = "a crash test waited for something outside its simulation: await only methods of `sim` in it"
    raise RuntimeError(msg)
