"""A whole service in one box: its process, its disk, its participants, its time. The same seed, the same run."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Literal, NoReturn, TypeVar, cast

from cattrs import Converter

from ..actors import Limits
from ..sagas import CancelAnswer, OrderStatus, Outcome, Saga, SendAnswer, Status, Transition
from ..storage import (
    Phase,
    Record,
    make_converter,
)
from .evidence import Evidence, Promise, Violation
from .fuse import Fuse
from .goals import Calm, Elapsed
from .intents import Intents
from .observer import Observer, gather
from .oracle import STUCK, judge
from .processes import Processes
from .runtime import EPOCH
from .services import FakeService
from .store import FileMedium, Medium, MemoryMedium
from .story import SagaFailure, Story, tell
from .world import World

I = TypeVar("I")  # noqa: E741  # the input; one letter, as type variables are
T = TypeVar("T")
S = TypeVar("S", bound=FakeService)

#: Few wake-ups: other processes' commits have to be noticed before their clients give up, and no sooner.
LIMITS = Limits(poll=1.0, scan=1.0)
#: Made once: making one takes longer than most simulations.
CONVERTER = make_converter()


class Simulation:
    """Owns everything that a saga meets: seed, time, disk, participants, and the process with its crashes.

    `sagas` may be left out: `start` registers what it is given. `provide` are the services, as for a coordinator, as
    objects or as classes to be called. `store` is `"memory"` or `"sqlite"`: the latter runs the real store code on a
    real file. `crashes` are the numbers of callbacks before which the process dies.

    A process that died is started again by whatever needs it next; a call that its death cut off is repeated with
    the same id, as a client does.
    """

    def __init__(
        self,
        *sagas: Saga[Any],
        provide: Sequence[object] | Mapping[Any, object] = (),
        seed: int = 0,
        store: Literal["memory", "sqlite"] = "memory",
        crashes: Sequence[int] = (),
        limits: Limits = LIMITS,
        overlap_grace: float = 30.0,
        converter: Converter | None = None,
    ) -> None:
        self._converter = converter or CONVERTER
        self.world = World(seed, Fuse(at=tuple(sorted(crashes))))
        self.services: dict[Any, object] = {}
        self.sagas = list(sagas)
        self.medium: Medium = FileMedium() if store == "sqlite" else MemoryMedium()
        self._observer: Observer | None = None
        self._promises: list[Promise] = []
        self._intents = Intents(self._load)
        self.world.asked = self._intents.asked
        self._messages = 0
        self._processes = Processes(
            self.world, self.medium, self.sagas, self.services, self._intents, limits, overlap_grace,
            self._converter,
        )  # fmt: skip
        for type_, service in named(provide):
            self._add(type_, service)

    # ── what a client does ──

    async def start(self, saga: Saga[I], input: I, *, id: str = "1") -> str:
        """Start an order; returns its id."""
        if not any(one is saga for one in self.sagas):
            self._register(saga)
        self._intents.expect(saga, id)
        self.world.fuse.armed = True
        self.world.tell("client", f"start {id}")
        self._processes.ask(lambda coordinator: coordinator.start(saga, input, id=id))
        self._promise("start", id)
        return id

    async def send(self, order: str, message: object, *, id: str | None = None) -> SendAnswer:
        """Send a message to an order."""
        self._messages += 1
        message_id = id if id is not None else f"message-{self._messages}"
        self.world.tell("client", f"send {type(message).__name__} to {order}")
        answer = self._processes.ask(lambda coordinator: coordinator.order(order).send(message, id=message_id))
        self._promise("send", order, message_id, str(answer))
        return answer

    async def cancel(
        self, order: str, reason: str = "cancelled by the test", *, by: str = "test", id: str | None = None
    ) -> CancelAnswer:
        """Ask that an order be undone."""
        self._messages += 1
        message_id = id if id is not None else f"cancel-{self._messages}"
        self.world.tell("client", f"cancel {order}")
        answer = self._processes.ask(lambda coordinator: coordinator.order(order).cancel(reason, by=by, id=message_id))
        self._promise("cancel", order, message_id, str(answer))
        return answer

    # ── time ──

    async def settle(self) -> None:
        """Let time pass until every order has ended, is parked, or waits for somebody without a timer.

        Raises `SagaFailure` where an order at work makes no progress for an hour of virtual time.
        """
        self._processes.run(Calm(self.world, self.observer, self._fail_stuck))

    async def advance(self, seconds: float) -> None:
        """Let a time pass. What has long to wait is not waited for: days cost no more than seconds."""
        end = self.world.time + EPOCH + seconds
        self._processes.run(Elapsed(self.world, self.observer, self._fail_stuck, end=end))

    def jump(self, seconds: float) -> None:
        """Set the wall clock of the machine forward, or back; no time passes."""
        self.world.clock.jump(seconds)
        self.world.tell("process", f"the clock jumps by {seconds:+g} s")

    # ── life and death ──

    def crash(self) -> None:
        """Kill the process, here and now."""
        self._processes.die("killed")

    def crash_at(self, point: str) -> None:
        """Kill the process when it next reaches a named point, such as `"charge:after_effect"`.

        `crash_points()` lists the names. `"charge:after_effect#2"` is the second time it gets there.
        """
        self.world.armed.add(point)

    def crash_in(self, callbacks: int) -> None:
        """Kill the process before so many callbacks more, in whatever it does then: 1 is before the next one."""
        fuse = self.world.fuse
        fuse.at = tuple(sorted([*fuse.at, fuse.count + callbacks]))

    def crash_points(self) -> list[str]:
        """The named points that were reached so far."""
        return [name for name, _ in self.world.points]

    async def restart(self) -> None:
        """End the process in good order, and start it again."""
        self._processes.restart()

    async def stand_by(self) -> None:
        """Start a second process on the same disk. It waits until the first is gone, or stands still for too long."""
        self._processes.stand_by()

    async def stall(self, seconds: float) -> None:
        """Let the process that hosts the orders stand still, as a stopped or an overloaded one does, and time pass.

        Ten seconds without a sign of life, and one that stands by takes the orders over; the first finds itself
        fenced when it goes on.
        """
        self._processes.stall(seconds)

    # ── the disk ──

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

    @property
    def seed(self) -> int:
        """What everything is drawn from that is left to chance."""
        return self.world.seed

    def reseed(self, seed: int) -> None:
        """Draw from another seed, in processes that start from now on, and in the world around them."""
        self.world.reseed(seed)

    @property
    def steps(self) -> int:
        """How many callbacks have run since the first order was started."""
        return self.world.fuse.count

    @property
    def lives(self) -> int:
        """How many processes there were."""
        return self._processes.lives

    def stop_faults(self) -> None:
        """What could go on for ever stops: a full disk, and fates that are drawn. What was planned still happens."""
        if self.world.trouble.full:
            self.free_disk()
        for service in self.services.values():
            if isinstance(service, FakeService):
                service.outcomes = None

    # ── what is to be seen ──

    def __getitem__(self, type_: type[S]) -> S:
        """The service that was provided for a type."""
        service = self.services[type_]
        assert isinstance(service, type_)
        return service

    def status(self, order: str) -> Status:
        """The status of an order, as it is on disk."""
        return self.inspect(order).status

    def inspect(self, order: str) -> OrderStatus:
        """An order, as it is on disk."""
        return self.observer().ask(lambda coordinator: coordinator.order(order).status())

    def outcome(self, order: str) -> Outcome:
        """How an order ended; raises `TimeoutError` for one that has not."""
        return self.observer().ask(lambda coordinator: coordinator.order(order).outcome(timeout=0.001))

    def history(self, order: str) -> list[Transition]:
        """What happened to an order."""
        return self.observer().ask(lambda coordinator: gather(coordinator.order(order).history()))

    def effects(self, order: str) -> set[str]:
        """The actions of fake services whose effects stand for an order."""
        evidence = self.evidence()
        return {
            action
            for service in evidence.services
            for (action, key), count in service.ledger.standing.items()
            if count > 0 and evidence.owner(key)[0] == order
        }

    def violations(self) -> list[Violation]:
        """Every promise that was broken."""
        return judge(self.evidence())

    def check(self) -> None:
        """Raise `SagaFailure`, with the story, where a promise was broken."""
        found = self.violations()
        if found:
            raise SagaFailure(self.story(found), found)

    def story(self, violations: Sequence[Violation] = ()) -> Story:
        """What happened, side by side in virtual time."""
        histories = {record.id: rows for record, rows in self.evidence().orders}
        return tell(self.world.moments, histories, violations, EPOCH)

    def evidence(self) -> Evidence:
        """Everything that a judgement may rest on."""
        observer = self.observer()
        services = dict.fromkeys(one for one in self.services.values() if isinstance(one, FakeService))
        found = [*self._intents.found, *self._processes.problems()]
        lease = observer.read(observer.store.lease())
        return Evidence(observer.records(), self.sagas, list(services), self._promises, found, lease)

    def ends(self) -> list[str]:
        """How all orders stand."""
        return [record.snapshot.status for record, _ in self.observer().records()]

    def watch(self) -> None:
        """Note before each callback what a crash there would leave behind."""
        self.world.fuse.look = lambda: self.version

    @property
    def version(self) -> tuple[int, ...]:
        """Changes whenever a crash would leave something else behind, and whenever the user's own code has run."""
        world = self.world
        return (self.medium.content(), world.version, world.fuse.moved, len(world.wire), len(self._promises))

    def close(self) -> None:
        """Let go of everything."""
        self._processes.die("")
        if self._observer is not None:
            self._observer.close()
        self.medium.close()

    # ── inside ──

    def _add(self, type_: Any, service: object) -> None:
        made = service() if isinstance(service, type) else service
        if isinstance(made, FakeService):
            made.world = self.world
        self.services[type_] = made

    def provide(self, service: object, *, as_type: Any = None) -> None:
        """Provide one more service, before the first order."""
        self._add(as_type or (service if isinstance(service, type) else type(service)), service)

    def _register(self, saga: Saga[Any]) -> None:
        self.sagas.append(saga)
        if self._observer is not None:
            self._observer.close()
            self._observer = None
        if self._processes.running:
            self._processes.restart()

    def _load(self, key: int) -> Record:
        """An order by its key."""
        observer = self.observer()
        (record,) = observer.read(observer.store.load([key]))
        return record

    def _fail_stuck(self) -> NoReturn:
        """Raise `SagaFailure`: an order makes no progress any more."""
        stuck = [record for record, _ in self.observer().records() if record.snapshot.phase is not Phase.FINAL]
        found = [
            Violation(STUCK.name, STUCK.sentence, record.id, f"{record.snapshot.status} for an hour of virtual time")
            for record in stuck
        ]
        found += self._processes.problems()
        raise SagaFailure(self.story(found), found)

    def _promise(self, what: str, order: str, id: str = "", answer: str = "") -> None:
        self._promises.append(Promise(what, order, id, answer))
        self.world.tell("client", f"{what} {order}: {answer}" if answer else f"{what} {order}: answered")

    def observer(self) -> Observer:
        """Who looks at the disk."""
        if self._observer is None:
            self._observer = Observer(self.medium, self.sagas, self._converter)
        return self._observer


def named(provide: Sequence[object] | Mapping[Any, object]) -> list[tuple[Any, object]]:
    """Services with the type that they are provided for."""
    if isinstance(provide, Mapping):
        return list(provide.items())
    return [(one if isinstance(one, type) else type(one), one) for one in provide]


def drive(work: Awaitable[T]) -> T:
    """Run a coroutine that waits for nothing but its simulation, which never really waits."""
    steps = work.__await__()
    try:
        next(steps)
    except StopIteration as stop:
        return cast("T", stop.value)
    msg = "a crash test waited for something outside its simulation: await only methods of `sim` in it"
    raise RuntimeError(msg)
