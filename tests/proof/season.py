"""One simulation: some weather, a machine with processes, participants, customers and operators, and many orders."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from random import Random
from typing import Any, Literal, TypeVar
from zlib import crc32

from attrs import define, evolve, field

from atone import Coordinator, CoordinatorClosed, OrderError, Saga, StoreError
from atone.actors import Limits
from atone.storage import Holder, Phase, Query, Record
from atone.testing.evidence import Evidence, Promise, Violation
from atone.testing.gate import GatedStore
from atone.testing.journal import Journal
from atone.testing.life import leave
from atone.testing.observer import Observer
from atone.testing.oracle import STUCK, UNCAUGHT, judge
from atone.testing.purity import doubt
from atone.testing.runtime import SimRuntime
from atone.testing.site import CONVERTER
from atone.testing.store import FileMedium, MemoryMedium

from .disks import Faults, TroubledFile, TroubledMemory
from .processes import Died, Process, SharedLoop, Waters
from .programs import Draw, Program
from .tickets import Confusion, Forgetful, Keeper
from .weather import Weather

T = TypeVar("T")

_LIMITS = Limits(poll=1.0, scan=1.0, linger=2.0, window=1000)
#: A window that orders must wait for, and pages that are read one after the other.
_NARROW = evolve(_LIMITS, window=6, reserve=2, recovering=4, page=4)
_GRACE = 2.0  #: seconds of overlap and of shutdown
_PATIENCE = 600.0  #: virtual seconds in which all must settle when nothing is wrong any more


class Punctual(SimRuntime):
    """Its housekeeping is in time, as it must be where another process waits for its silence."""

    async def sleep(self, seconds: float) -> None:
        """Let just so much virtual time pass."""
        await asyncio.sleep(seconds)


@define(eq=False)
class Season:
    """Everything that a simulation consists of."""

    seed: str
    orders: int
    kind: Literal["memory", "sqlite"] = "memory"
    chance: Random = field(init=False)
    weather: Weather = field(init=False)
    happened: Counter[str] = field(factory=Counter[str])  #: what must sometimes happen, and how often it did
    promises: list[Promise] = field(factory=list)
    found: list[Violation] = field(factory=list)
    confusion: Confusion = field(factory=Confusion)
    programs: list[Program] = field(init=False)
    processes: list[Process] = field(factory=list)
    calm: bool = False  #: whether the faults have stopped
    loop: SharedLoop = field(init=False)
    world: Waters = field(init=False)
    faults: Faults = field(init=False)
    observer: Observer = field(init=False)
    journal: Journal = field(init=False)
    services: list[Keeper | Forgetful] = field(factory=lambda: [Keeper(), Forgetful()])

    def __attrs_post_init__(self) -> None:
        chance = self.chance = Random(self.seed)
        weather = self.weather = Weather.draw(chance)
        self.programs = [Draw(chance, self.confusion).program(version) for version in (1, 2)[: 1 + weather.deploys]]
        self.loop = SharedLoop(Random(f"{self.seed} schedule"))
        self.world = self.loop.world = Waters(0)
        self.world.chance = Random(f"{self.seed} world")
        self.world.life, self.world.loop = 1, self.loop
        self.faults = Faults(
            Random(f"{self.seed} disk"), self.happened, weather.commit_faults, weather.read_faults
        )  # fmt: skip
        self.journal = Journal(self.loop.time, _GRACE, decisions=crc32(self.seed.encode()))
        self.medium = (MemoryMedium if self.kind == "memory" else FileMedium)(self.journal.committed)
        self.observer = Observer(self.medium, self.sagas, CONVERTER)
        self.world.asked = self.journal.asked
        for service in self.services:
            service.world, service.outcomes, service.peers = self.world, weather.outcomes, list(self.services)

    medium: MemoryMedium | FileMedium = field(init=False)

    @property
    def sagas(self) -> list[Saga[Any]]:
        """Every version."""
        return [program.saga for program in self.programs]

    def close(self) -> None:
        """Let go of everything."""
        for process in self.processes:
            if not process.dead:
                process.die()
        self.observer.close()
        self.loop.abandon()
        self.medium.close()

    # ── processes ──

    async def boot(self, sagas: list[Saga[Any]] | None = None, *, host: bool = True) -> None:
        """Start one more process."""
        number = len(self.processes) + 1
        process = Process(number, self.loop, host)
        self.processes.append(process)
        if not self.calm:
            self._doom(process)
        inner: Any
        if isinstance(self.medium, MemoryMedium):
            inner = TroubledMemory(self.medium.disk, self.faults)
        else:
            inner = TroubledFile(str(self.medium.path), self.faults)
            inner.watch = self.journal.committed
        coordinator = process.context.run(
            Coordinator,
            GatedStore(inner, process, self.journal, f"life-{number}"),
            sagas=sagas or self.sagas,
            provide=self.services,
            host=host,
            overlap_grace=_GRACE,
            shutdown_grace=_GRACE,
            converter=CONVERTER,
            runtime=(SimRuntime if self.weather.processes == 1 else Punctual)(
                self.loop, self.world.clock, Random(f"{self.seed} luck {number}"), f"life-{number}", self.journal
            ),
            limits=_NARROW if self.weather.narrow else _LIMITS,
            is_gone=self._is_gone,
        )
        doubt(coordinator, self.journal)
        try:
            await process.call(coordinator.__aenter__())
        except (Died, StoreError):
            self.happened["process: died in its start"] += 1
        else:
            process.coordinator = coordinator
        finally:
            if not hasattr(process, "coordinator") and not process.dead:
                process.die()

    def _doom(self, process: Process) -> None:
        """Say when it dies."""
        weather, chance = self.weather, self.chance
        if weather.life:
            process.left = int(chance.expovariate(1 / weather.life)) + 2
        if chance.random() < weather.burial and process.number > 1 and weather.life:
            process.left = chance.randint(2, 120)
            self.happened["process: doomed in its recovery"] += 1
        if chance.random() < weather.commits:
            process.dies_at, process.tells = chance.randint(1, 60), chance.random() < 0.5
            self.happened["process: doomed at a commit"] += 1

    def _is_gone(self, holder: Holder) -> bool | None:
        number = int(holder.instance.split("-")[1])
        return True if self.processes[number - 1].dead and self.weather.provable else None

    def open(self) -> list[Process]:
        """The processes that can be asked."""
        return [one for one in self.living() if hasattr(one, "coordinator")]

    def hosts(self) -> list[Process]:
        """Those of them that host, or would."""
        return [one for one in self.open() if one.host]

    def living(self) -> list[Process]:
        """The processes that are not dead, whether or not they have started yet."""
        return [one for one in self.processes if not one.dead]

    async def leave(self, process: Process) -> None:
        """End a process in good order."""
        try:
            await process.call(leave(process.coordinator, self.journal, f"life-{process.number}"))
            self.happened["process: left"] += 1
        except (Died, StoreError):
            return
        finally:
            if not process.dead:
                process.die()

    async def ask(self, question: Callable[[Coordinator], Coroutine[Any, Any, T]]) -> T:
        """Have any process do something; a client repeats what was cut off, or met trouble, with the same ids."""
        while True:
            processes = self.open()
            if processes:
                process = self.chance.choice(processes)
                try:
                    return await self._patiently(process.call(question(process.coordinator)))
                except OrderError as error:
                    if type(error) is not OrderError:  # only of a process that lacks the saga: another one knows it
                        raise
                    self.happened["client: no such saga here"] += 1
                except (Died, StoreError, CoordinatorClosed, TimeoutError) as error:
                    self.happened[f"client: {type(error).__name__}"] += 1
            await asyncio.sleep(self.chance.uniform(0.05, 0.5))

    async def _patiently(self, call: Coroutine[Any, Any, T]) -> T:
        if self.weather.stops or self.weather.full:
            return await asyncio.wait_for(call, 8)
        return await call

    # ── what is on disk ──

    def listed(self, *status: str) -> list[Record]:
        """Orders of some statuses."""
        return self.observer.read(self.observer.store.list(Query(status=status), self.orders))

    def program(self, record: Record) -> Program:
        """The program of an order."""
        return self.programs[record.definition.version - 1]

    def expect(self, id: str) -> None:
        """An order is about to be started."""
        self.journal.expected.add(id)

    # ── the end ──

    async def settle(self) -> None:
        """With no fault any more: let time pass until no order is at work, no timer runs, no request is under way."""
        end = self.loop.now + _PATIENCE
        while self.loop.now < end:
            await asyncio.sleep(1.0)
            working = any(one.phase is Phase.ACTIVE for one in self.observer.live())
            wake = self.observer.read(self.observer.store.next_wake())
            if not working and wake is None and not self.world.wire:
                return
            if not working and wake is not None and wake - self._wall > 5:
                self.world.clock.jump(wake - self._wall - 1)
        for record in self.listed("RUNNING", "COMPENSATING", "WAITING"):
            if record.snapshot.phase is Phase.ACTIVE or record.snapshot.wake_at is not None:
                self.violate(STUCK.name, STUCK.sentence, record.id, f"it is {record.snapshot.status}")

    @property
    def _wall(self) -> float:
        return self.world.clock.offset + self.loop.now

    def violate(self, name: str, sentence: str, order: str | None, detail: str) -> None:
        """A promise was broken."""
        self.found.append(Violation(name, sentence, order, detail))

    def judge(self) -> list[Violation]:
        """Every promise that was broken."""
        return judge(self.evidence())

    def evidence(self) -> Evidence:
        """All that is known."""
        observer = self.observer
        lease = observer.read(observer.store.lease())
        found = [*self.found, *self._uncaught(), *self._wrong()]
        return Evidence(
            observer.records(), self.sagas, self.services, self.promises, found, lease, exact=True, journal=self.journal
        )

    def _uncaught(self) -> Iterator[Violation]:
        for problem in self.loop.problems:
            yield Violation(UNCAUGHT.name, UNCAUGHT.sentence, None, problem)

    def _wrong(self) -> Iterator[Violation]:
        for service in self.services:
            for text in service.wrong:
                yield Violation("values", "A step is given what earlier steps returned.", None, text)
        for (action, key), count in self.services[1].ledger.standing.items():
            if action == "do" and count > 1:
                yield Violation("sent once", "What is not repeatable is never sent twice.", None, f"{key}: {count}")
