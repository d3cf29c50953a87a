"""A whole service in one box: its process, its disk, its participants, its time. The same seed, the same run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from random import Random
from typing import Any, Literal, NoReturn, TypeVar

from attrs import define, field
from cattrs import Converter

from ..actors import Limits
from ..sagas import CancelAnswer, Coordinator, OrderStatus, Outcome, Saga, SendAnswer, Status, Transition
from ..storage import (
    Advance,
    Count,
    Create,
    Created,
    Definition,
    Done,
    HistoryRow,
    Holder,
    Phase,
    Query,
    Record,
    Store,
    Write,
    make_converter,
)
from .audit import pages
from .loop import Fuse, Killed, SimLoop
from .oracle import SENT_EARLY, STUCK, UNCAUGHT, Evidence, Promise, Violation, judge, keys_of
from .runtime import EPOCH, Clock, SimRuntime
from .services import FakeService
from .store import FileMedium, GatedStore, Medium, MemoryMedium
from .story import SagaFailure, Story, tell
from .world import World

I = TypeVar("I")  # noqa: E741  # the input; one letter, as type variables are
T = TypeVar("T")
S = TypeVar("S", bound=FakeService)

#: Few wake-ups: there is one process, so nobody else's commits have to be noticed soon.
LIMITS = Limits(poll=5.0, scan=2.0)
#: Virtual seconds without a change after which an order that is at work counts as stuck.
STUCK_AFTER = 3600.0
#: Virtual seconds in which nothing happens before a simulation believes that nothing will.
CALM = 4.5
#: A timer further away than this, in seconds, is not waited for: the wall clock is set forward.
FAR = 8.0
#: Made once: making one takes longer than most simulations.
CONVERTER = make_converter()


@define(eq=False)
class Life:
    """One simulated process: a coordinator on a loop of its own."""

    number: int
    world: World
    loop: SimLoop
    coordinator: Coordinator = field(init=False)

    def alive(self) -> bool:
        """Whether the process lives."""
        return self.world.life == self.number and not self.loop.fuse.burnt


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
        self.seed = seed
        self._converter = converter or CONVERTER
        self.world = World(seed, Fuse(at=tuple(sorted(crashes))))
        self.services: dict[Any, object] = {}
        self.sagas = list(sagas)
        self.medium: Medium = FileMedium() if store == "sqlite" else MemoryMedium()
        self._limits, self._overlap_grace = limits, overlap_grace
        self._life: Life | None = None
        self._lives = 0
        self._observer: _Observer | None = None
        self._promises: list[Promise] = []
        self._intents: set[tuple[str, str, str]] = set()
        self._keys: dict[str, tuple[str, str, str]] = {}
        self.world.asked = self._asked
        self._ids: dict[int, str] = {}
        self._found: list[Violation] = []
        self._messages = 0
        for type_, service in named(provide):
            self._add(type_, service)

    # ── what a client does ──

    async def start(self, saga: Saga[I], input: I, *, id: str = "1") -> str:
        """Start an order; returns its id."""
        if not any(one is saga for one in self.sagas):
            await self._register(saga)
        self._keys.update(keys_of(saga, id))
        self.world.fuse.armed = True
        self.world.tell("client", f"start {id}")
        await self._ask(lambda life: life.coordinator.start(saga, input, id=id))
        self._promise("start", id)
        return id

    async def send(self, order: str, message: object, *, id: str | None = None) -> SendAnswer:
        """Send a message to an order."""
        self._messages += 1
        message_id = id if id is not None else f"message-{self._messages}"
        self.world.tell("client", f"send {type(message).__name__} to {order}")
        answer = await self._ask(lambda life: life.coordinator.order(order).send(message, id=message_id))
        self._promise("send", order, message_id, str(answer))
        return answer

    async def cancel(
        self, order: str, reason: str = "cancelled by the test", *, by: str = "test", id: str | None = None
    ) -> CancelAnswer:
        """Ask that an order be undone."""
        self._messages += 1
        message_id = id if id is not None else f"cancel-{self._messages}"
        self.world.tell("client", f"cancel {order}")
        answer = await self._ask(lambda life: life.coordinator.order(order).cancel(reason, by=by, id=message_id))
        self._promise("cancel", order, message_id, str(answer))
        return answer

    # ── time ──

    async def settle(self) -> None:
        """Let time pass until every order has ended, is parked, or waits for somebody without a timer.

        Raises `SagaFailure` where an order at work makes no progress for an hour of virtual time.
        """
        self._run(_Calm(self))

    async def advance(self, seconds: float) -> None:
        """Let a time pass. What has long to wait is not waited for: days cost no more than seconds."""
        self._run(_Elapsed(self, end=self.world.time + EPOCH + seconds))

    def jump(self, seconds: float) -> None:
        """Set the wall clock of the machine forward, or back; no time passes."""
        self.world.clock.jump(seconds)
        self.world.tell("process", f"the clock jumps by {seconds:+g} s")

    # ── life and death ──

    def crash(self) -> None:
        """Kill the process, here and now."""
        self._die("killed")

    def crash_at(self, point: str) -> None:
        """Kill the process when it next reaches a named point, such as `"charge:after_effect"`.

        `crash_points()` lists the names. `"charge:after_effect#2"` is the second time it gets there.
        """
        self.world.armed.add(point)

    def crash_points(self) -> list[str]:
        """The named points that were reached so far."""
        return [name for name, _ in self.world.points]

    async def restart(self) -> None:
        """End the process in good order, and start it again."""
        life = self._life
        if life is not None:
            try:
                life.loop.call(life.coordinator.__aexit__(None, None, None))
            except Killed:
                self._die("killed")
            else:
                self._die("left in good order")
        self._alive()

    @property
    def steps(self) -> int:
        """How many callbacks have run since the first order was started."""
        return self.world.fuse.count

    @property
    def lives(self) -> int:
        """How many processes there were."""
        return self._lives

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
        return self.observer().ask(lambda coordinator: _gather(coordinator.order(order).history()))

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
        found = [*self._found, *([] if self._life is None else _problems(self._life.loop))]
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
        self._die("")
        if self._observer is not None:
            self._observer.close()
        self.medium.close()

    # ── what its parts tell it ──

    def note(self, write: Write[Any], result: object) -> None:
        """Remember which attempts may be sent, now that their intent is on disk."""
        if isinstance(write, Create) and isinstance(result, Created):
            self._ids[result.key] = write.id
            id = write.id
        elif isinstance(write, Advance) and isinstance(result, Done):
            id = self._id(write.key)
        else:
            return
        for entry in write.history:
            for token in (entry.begun or "").split():
                step, work, _ = token.split("/")
                self._intents.add((id, step, work))

    def _asked(self, service: str, call: str, key: str) -> None:
        """A request leaves: the intent of its attempt must be on disk."""
        order, step, work = self._keys.get(key, ("", "", ""))
        works = {work} if work != "action" else {"action", "probe", "compensation"}  # undoing goes by the action's key
        if order and not any((order, step, one) in self._intents for one in works):
            detail = f"{service}.{call} of step {step} was called, and no intent of it is on disk"
            self._found.append(Violation(SENT_EARLY.name, SENT_EARLY.sentence, order, detail))

    def _id(self, key: int) -> str:
        """The id of an order whose creation may have been answered to nobody."""
        if key not in self._ids:
            observer = self.observer()
            (record,) = observer.read(observer.store.load([key]))
            self._ids[key] = record.id
        return self._ids[key]

    def knows(self, definition: Definition) -> bool:
        """Whether the saga of a definition is registered."""
        return any(Definition(one.name, one.version, one.fingerprint) == definition for one in self.sagas)

    def fail_stuck(self) -> NoReturn:
        """Raise `SagaFailure`: an order makes no progress any more."""
        stuck = [record for record, _ in self.observer().records() if record.snapshot.phase is not Phase.FINAL]
        found = [
            Violation(STUCK.name, STUCK.sentence, record.id, f"{record.snapshot.status} for an hour of virtual time")
            for record in stuck
        ]
        found += [] if self._life is None else _problems(self._life.loop)
        raise SagaFailure(self.story(found), found)

    # ── inside ──

    def _add(self, type_: Any, service: object) -> None:
        made = service() if isinstance(service, type) else service
        if isinstance(made, FakeService):
            made.world = self.world
        self.services[type_] = made

    def provide(self, service: object, *, as_type: Any = None) -> None:
        """Provide one more service, before the first order."""
        self._add(as_type or (service if isinstance(service, type) else type(service)), service)

    async def _register(self, saga: Saga[Any]) -> None:
        self.sagas.append(saga)
        if self._observer is not None:
            self._observer.close()
            self._observer = None
        if self._life is not None:
            await self.restart()

    def _alive(self) -> Life:
        """The process that lives, started where there is none."""
        while self._life is None:
            self._boot()
        return self._life

    def _boot(self) -> None:
        world = self.world
        self._lives += 1
        number = self._lives
        world.fuse.burnt = False
        chance = Random(f"{self.seed} life {number}")  # noqa: S311  # a simulation must be reproducible
        loop = SimLoop(chance, world.now, world.fuse)
        life = Life(number, world, loop)
        loop.owner = life
        world.begin(number, loop)
        world.tell("process", "starts" if number == 1 else f"starts again (life {number})")
        store: Any = GatedStore(self.medium.store(), _Gate(self, life))
        self._life = life
        try:
            life.coordinator = Coordinator(
                store,
                sagas=self.sagas,
                provide=self.services,
                runtime=SimRuntime(loop, world.clock, chance, f"life-{number}"),
                limits=self._limits,
                overlap_grace=self._overlap_grace,
                converter=self._converter,
                is_gone=self._is_gone,
            )
            loop.call(life.coordinator.__aenter__())
        except Killed:
            self._die("killed")
        except BaseException:
            self._die("failed")
            raise

    def _is_gone(self, holder: Holder) -> bool:
        return holder.instance.rpartition("-")[0] != f"life-{self.world.life}"

    def _die(self, how: str) -> None:
        life, self._life = self._life, None
        if life is None:
            return
        world = self.world
        world.fuse.burnt = False
        if how:
            world.tell("process", f"✖ {how}" + (f" before callback {self.steps}" if how == "killed" else ""))
        self._found += _problems(life.loop)
        world.end()
        life.loop.abandon()

    async def _ask(self, call: Callable[[Life], Coroutine[Any, Any, T]]) -> T:
        """Make a call, again and again with the same id where the process dies in it."""
        while True:
            life = self._alive()
            try:
                return life.loop.call(call(life))
            except Killed:
                self._die("killed")

    def _run(self, goal: _Goal) -> None:
        while not goal.reached:
            life = self._alive()
            goal.begin(life)
            life.loop.idle = goal.look
            try:
                life.loop.run(lambda: False)
            except Killed:
                self._die("killed")
            finally:
                life.loop.idle = lambda: False

    def _promise(self, what: str, order: str, id: str = "", answer: str = "") -> None:
        self._promises.append(Promise(what, order, id, answer))
        self.world.tell("client", f"{what} {order}: {answer}" if answer else f"{what} {order}: answered")

    def observer(self) -> _Observer:
        """Who looks at the disk."""
        if self._observer is None:
            self._observer = _Observer(self.medium, self.sagas, self._converter)
        return self._observer


def _problems(loop: SimLoop) -> list[Violation]:
    """What went wrong in a process without anybody catching it."""
    return [Violation(UNCAUGHT.name, UNCAUGHT.sentence, None, problem) for problem in loop.problems]


@define(eq=False)
class _Gate:
    """What a store is told about its process."""

    sim: Simulation
    life: Life

    def alive(self) -> bool:
        return self.life.alive()

    def committing(self) -> int:
        world = self.life.world
        world.commits += 1
        world.passed(f"commit {world.commits}:before")
        return world.commits

    def committed(self, number: int, write: Write[Any], result: object) -> bool:
        if not self.life.alive():
            return False
        self.sim.note(write, result)
        return self.life.world.passed(f"commit {number}:after")


@define(eq=False)
class _Observer:
    """Looks at the disk as another process does that never hosts, in a loop whose time is nobody's."""

    medium: Medium
    sagas: Sequence[Saga[Any]]
    converter: Converter
    store: Store = field(init=False)
    _loop: SimLoop | None = None
    _coordinator: Coordinator | None = None

    def __attrs_post_init__(self) -> None:
        self.store = self.medium.store()
        self.medium.call(self.store.open())

    def read(self, work: Coroutine[Any, Any, T]) -> T:
        """Ask the store itself."""
        return self.medium.call(work)

    def ask(self, question: Callable[[Coordinator], Coroutine[Any, Any, T]]) -> T:
        """Ask a coordinator, as a client does."""
        if self._coordinator is None or self._loop is None:
            chance = Random("observer")  # noqa: S311  # a simulation must be reproducible
            self._loop = SimLoop(chance)
            self._coordinator = Coordinator(
                self.medium.store(), sagas=self.sagas, host=False, converter=self.converter,
                runtime=SimRuntime(self._loop, Clock(), chance, "observer"),
            )  # fmt: skip
            self._loop.call(self._coordinator.__aenter__())
        return self._loop.call(question(self._coordinator))

    def records(self) -> list[tuple[Record, list[HistoryRow]]]:
        """Every order."""
        return self.read(_all(self.store))

    def close(self) -> None:
        """Look no more."""
        if self._loop is not None:
            self._loop.abandon()


@define(eq=False)
class _Goal:
    """Until when a simulation runs. It is looked at whenever nothing can happen without time passing."""

    sim: Simulation
    reached: bool = False
    _life: Life | None = None
    _changed: float = 0.0  #: when history last grew
    _seen: tuple[int, int] = (-1, -1)
    _counts: list[Count] = field(factory=list)
    _wake: float | None = None

    def begin(self, life: Life) -> None:
        """Another process is to get there."""
        self._life = life
        self._changed = life.loop.now

    def look(self) -> bool:
        """Whether the loop is to stop."""
        raise NotImplementedError

    def _refresh(self) -> None:
        """Read how the orders stand, where anything was committed since the last look."""
        version = self.sim.medium.content()
        if version == self._seen[0]:
            return
        observer = self.sim.observer()
        last = observer.read(observer.store.last_seq())
        if last != self._seen[1]:
            self._changed = self._now
            counts = observer.read(observer.store.count(Query()))
            self._counts = [one for one in counts if one.phase is not Phase.FINAL and self.sim.knows(one.definition)]
        self._wake = observer.read(observer.store.next_wake())
        self._seen = (version, last)

    @property
    def _now(self) -> float:
        assert self._life is not None
        return self._life.loop.now

    @property
    def _wall(self) -> float:
        return self.sim.world.clock.offset + self._now

    @property
    def _at_work(self) -> bool:
        return any(one.phase is Phase.ACTIVE for one in self._counts)

    @property
    def _calm(self) -> bool:
        """Whether nothing goes on, for long enough to believe it."""
        return not self._at_work and not self.sim.world.wire and self._now - self._changed >= CALM

    def _skip_to(self, wall: float) -> None:
        """Set the wall clock forward to shortly before a moment that is far away, as if the machine had slept."""
        if wall - self._wall > FAR:
            self.sim.world.clock.jump(wall - self._wall - 1.0)
            self._changed = self._now

    def _complain_if_stuck(self) -> None:
        if self._now - self._changed > STUCK_AFTER:
            self.sim.fail_stuck()


class _Calm(_Goal):
    """Until nothing is left that time alone would bring about."""

    def look(self) -> bool:
        self._refresh()
        ended = not self._counts and not self.sim.world.wire
        if ended or (self._calm and self._wake is None):
            self.reached = True
        elif self._calm and self._wake is not None:
            self._skip_to(self._wake)
        self._complain_if_stuck()
        return self.reached


@define(eq=False)
class _Elapsed(_Goal):
    """Until a time has passed."""

    end: float = 0.0  #: by the wall clock

    def look(self) -> bool:
        self._refresh()
        if self._calm:
            self._skip_to(min(self._wake or self.end, self.end))
        assert self._life is not None
        left, pause = self.end - self._wall, self._life.loop.pause
        if left <= pause:
            self._life.loop.now += max(left, 0.0)
            self.reached = True
        return self.reached


async def _all(store: Store) -> list[tuple[Record, list[HistoryRow]]]:
    return [order async for page in pages(store) for order in page]


async def _gather(items: AsyncIterator[T]) -> list[T]:
    return [item async for item in items]


def named(provide: Sequence[object] | Mapping[Any, object]) -> list[tuple[Any, object]]:
    """Services with the type that they are provided for."""
    if isinstance(provide, Mapping):
        return list(provide.items())
    return [(one if isinstance(one, type) else type(one), one) for one in provide]
