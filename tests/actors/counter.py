"""An actor that knows no saga: it counts, and shows each new count to the world."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Any, Self

import orjson
from attrs import define, evolve, field, frozen

from atone.actors import Actor, Begin, Decision, Due, Limits, Moment, Recovery, Resumed, Supervisor, Timers
from atone.storage import (
    Accept,
    Accepted,
    Create,
    Created,
    Definition,
    Disk,
    Entry,
    Holder,
    Lane,
    Message,
    Phase,
    Record,
    Snapshot,
    Undecodable,
)
from tests.faulty_store import FaultyMemory
from tests.manual_runtime import Clock, ManualRuntime, settle

KIND = Definition("counter", 1, "f")


@frozen
class Count:
    """The state of a counter."""

    total: int = 0
    showing: bool = False  #: the new total is being shown
    wake_at: float | None = None
    ended: bool = False
    deaths: int = 0


@frozen
class Show:
    """The effect: show a total."""

    total: int


@frozen
class Shown:
    """The report of that effect."""

    total: int


class Crash:
    """A report that no counter can bear."""


@define(eq=False)
class Counter:
    """The behaviour: messages `add`, `end`, `boom`, `sleep`; `later` is accepted once the total is above ten."""

    decided: list[str] = field(factory=list)
    poison: set[str] = field(factory=set)  #: totals on disk that crash whoever is resumed with them
    burst: Exception | None = None  #: what a message `burst` raises; without it, that message adds

    def handles(self, record: Record) -> bool:
        """Every counter, and no other kind."""
        return record.definition == KIND

    def decode(self, record: Record) -> Count:
        """The state on disk."""
        if record.damage is not None:
            raise Undecodable(record.damage)
        if not record.snapshot.body:
            return Count()
        try:
            return Count(**orjson.loads(record.snapshot.body))
        except (ValueError, TypeError) as error:
            raise Undecodable("no counter") from error

    def encode(self, state: Count) -> Snapshot:
        """The state for the disk."""
        body = {name: getattr(state, name) for name in ("total", "showing", "wake_at", "ended", "deaths")}
        phase = Phase.FINAL if state.ended else Phase.ACTIVE if state.showing else Phase.IDLE
        status = {Phase.FINAL: "ENDED", Phase.ACTIVE: "SHOWING", Phase.IDLE: "IDLE"}[phase]
        return Snapshot(status, phase, orjson.dumps(body), state.wake_at, state.deaths)

    def accepts(self, state: Count, message: Message) -> bool:
        """Whether a message of the data lane is taken now."""
        return message.kind != "later" or state.total > 10

    def decide(self, state: Count, event: object, moment: Moment) -> Decision[Count]:
        """Count."""
        match event:
            case Message(kind="boom"):
                raise ZeroDivisionError("boom")
            case Message(kind="burst") if self.burst is not None:
                raise self.burst
            case Message(seq=seq, kind=kind, body=body):
                self.decided.append(f"{kind} {body.decode()}".strip())
                return self._receive(state, seq, kind, body, moment)
            case Crash():
                raise ZeroDivisionError("crash")
            case Begin():
                return self._note(evolve(state, showing=True), "BEGUN", (Show(state.total),))
            case Resumed(died=died, alive=alive, kept=kept):
                self.decided.append("resumed")
                if str(state.total) in self.poison:
                    raise ZeroDivisionError("poison")
                known = Show(state.total) in alive or Shown(state.total) in kept
                effects = (Show(state.total),) if state.showing and not known else ()
                return self._note(evolve(state, deaths=state.deaths + died), "RESUMED", effects)
            case Shown(total=total) if state.showing and total == state.total:
                return self._note(evolve(state, showing=False, deaths=0), "SHOWN")
            case Due() if not state.ended and state.wake_at is not None and state.wake_at <= moment.now:
                return self._note(evolve(state, wake_at=None), "RANG", guarded=True)
            case _:
                return Decision(state)

    def _receive(self, state: Count, seq: int, kind: str, body: bytes, moment: Moment) -> Decision[Count]:
        answers = ((seq, "TAKEN"),)
        if kind == "end":
            return self._note(evolve(state, ended=True, showing=False), "ENDED", answers=answers)
        if kind == "sleep":
            wake_at = moment.now + float(body)
            return self._note(evolve(state, wake_at=wake_at), "SLEEPS", answers=answers)
        after = evolve(state, total=state.total + int(body or 1), showing=True)
        return self._note(after, "ADDED", (Show(after.total),), answers=answers)

    def _note(self, state: Count, event: str, effects: tuple[object, ...] = (), **rest: Any) -> Decision[Count]:
        status = self.encode(state).status
        return Decision(state, effects, (Entry(event, "", status),), **rest)


@define(eq=False)
class Wall:
    """The stage: what is shown stands here, and is reported when the test says so."""

    shown: list[tuple[int, int]] = field(factory=list)  #: key and total
    running: dict[int, set[Hashable]] = field(factory=dict)
    stopped: list[int] = field(factory=list)
    watch: Callable[[int, Show], None] | None = None
    report: Callable[[int, object], None] | None = None
    at_once: bool = True  #: whether an effect ends as soon as it has begun

    def perform(self, key: int, state: object, effects: tuple[object, ...]) -> None:  # noqa: ARG002
        """Show totals."""
        for effect in effects:
            assert isinstance(effect, Show)
            if self.watch is not None:
                self.watch(key, effect)
            self.shown.append((key, effect.total))
            self.running.setdefault(key, set()).add(effect)
            if self.at_once:
                asyncio.get_running_loop().call_soon(self.end, key, effect)

    def end(self, key: int, effect: Show) -> None:
        """An effect ends, and is reported."""
        if effect in self.running.get(key, ()):
            self.running[key].discard(effect)
            assert self.report is not None
            self.report(key, Shown(effect.total))

    def alive(self, key: int) -> frozenset[Hashable]:
        """What is being shown."""
        return frozenset(self.running.get(key, ()))

    def stop(self, key: int) -> None:
        """Cut off."""
        if self.running.pop(key, None):
            self.stopped.append(key)

    def stop_all(self) -> None:
        """Cut everything off."""
        for key in list(self.running):
            self.stop(key)


class Everybody:
    """The ids of all actors there may ever be."""

    def __contains__(self, _id: object) -> bool:
        return True


@define(eq=False)
class Shop:
    """A supervisor of counters with its tasks, on a disk that others may share."""

    disk: Disk = field(factory=Disk)
    clock: Clock = field(factory=Clock)
    limits: Limits = field(factory=lambda: Limits(poll=0.5, scan=1.0))
    store: FaultyMemory = field(init=False)
    runtime: ManualRuntime = field(init=False)
    behaviour: Counter = field(factory=Counter)
    wall: Wall = field(factory=Wall)
    commits: list[tuple[str, int]] = field(factory=list)
    fresh: bool = True
    supervisor: Supervisor[Count] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.store = FaultyMemory(self.disk)
        self.store.died = self.die
        self.runtime = ManualRuntime(self.clock)

    async def open(self) -> Self:
        """Take the lease and start the tasks of a host."""
        await self.store.open()
        holder = Holder("shop", "machine", "boot", "ns", 7, "99")
        lease = await self.store.claim(holder, expected=self.disk.lease, at=self.runtime.now())
        assert lease is not None
        self.supervisor = Supervisor(
            store=self.store, runtime=self.runtime, timers=Timers(self.runtime), behaviour=self.behaviour,
            stage=self.wall, epoch=lease.epoch, died=lease.died, quarantined="PARKED", on_commit=self._committed,
            watched=Everybody(), look_again=lambda: None, may_act=lambda: self.fresh, limits=self.limits,
        )  # fmt: skip
        self.wall.report = self.supervisor.post
        self.runtime.spawn(Recovery(self.supervisor).run())
        await settle()
        return self

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_error: object) -> None:
        self.die()
        await settle()

    def die(self) -> None:
        """Be gone."""
        self.store.dead = True
        self.runtime.kill()
        self.supervisor.stop()

    def successor(self) -> "Shop":
        """The next process on the same disk."""
        return Shop(self.disk, self.clock, self.limits, behaviour=Counter(poison=self.behaviour.poison))

    def _committed(self, actor: Actor[Count], _answers: tuple[tuple[int, str], ...]) -> None:
        self.commits.append((actor.id, actor.state.total))

    async def create(self, id: str) -> int:
        """A counter that no host has begun yet; its key."""
        write = Create(id, KIND, b"", self.clock.wall, Snapshot("NEW", Phase.ACTIVE, b""), ())
        created = await self.store.write(write)
        assert isinstance(created, Created)
        return created.key

    async def begin(self, id: str) -> int:
        """A counter begun by this host; its key."""
        actor = Actor(self.supervisor, self.behaviour, 0, id, 0, Count(), Snapshot("", Phase.ACTIVE, b""))
        created = await self.supervisor.create(actor, KIND, b"")
        assert isinstance(created, Created)
        await settle()
        return created.key

    async def send(self, id: str, kind: str, body: bytes = b"", lane: Lane = Lane.DATA, *, tell: bool = True) -> int:
        """Accept a message, and hand it to the host unless it came by another process; its sequence number."""
        mail = f"{kind}-{len(self.disk.mails)}"
        write = Accept(id, mail, lane, kind, body, self.clock.wall, 100)
        accepted = await self.store.write(write) if tell else self.disk.apply(write)
        assert isinstance(accepted, Accepted)
        if tell:
            message = Message(accepted.seq, mail, lane, kind, body, self.clock.wall)
            self.supervisor.deliver(accepted.key, message)
            await settle()
        return accepted.seq

    def record(self, id: str) -> Record:
        """A counter on disk."""
        return self.disk.rows[self.disk.keys[id]].record

    def state(self, id: str) -> Count:
        """Its state on disk."""
        return self.behaviour.decode(self.record(id))

    def events(self, id: str) -> list[str]:
        """Its history."""
        return [line.entry.event for line in self.disk.rows[self.disk.keys[id]].history]
