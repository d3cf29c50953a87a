"""The supervisor: starts, restarts, passivates and quarantines actors. One for one: no actor harms another.

It is level-triggered. Nothing depends on a notice arriving: a scan looks again and again for what should be
running and is not, and it makes no difference whether an earlier scan failed, a message was overlooked, or the
process has just started. Recovery is the same scan. Actors are admitted through a bounded window, and those that
only wait are on disk and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from attrs import define, field, frozen

from ..storage import (
    Created,
    Definition,
    Done,
    Entry,
    Exists,
    Fenced,
    Message,
    Phase,
    Purged,
    Quarantine,
    Record,
    Stale,
    Store,
    StoreError,
    Undecodable,
    Write,
    WriteRefused,
)
from .actor import Actor, Turn
from .behaviour import Begin, Behaviour, Resumed, Stage
from .mailbox import Mailbox
from .restarts import Intensity, Restarts
from .runtime import Runtime
from .timers import Timers

S = TypeVar("S")
logger = logging.getLogger("atone")


@frozen(kw_only=True)
class Limits:
    """How much the supervisor takes on. Counts, and seconds where it says so."""

    window: int = 10_000  #: actors in memory before new ones wait on disk for their turn
    recovering: int = 8_000  #: actors in memory before recovery slows down, so that new ones find room
    page: int = 256  #: actors read at a time
    frail_deaths: int = 3  #: from so many deaths of the process on, an actor is recovered last, and alone
    linger: float = 5.0  #: seconds: an actor that wakes sooner stays in memory
    scan: float = 1.0  #: seconds between two scans
    poll: float = 0.02  #: seconds between two looks for commits of other processes
    intensity: Intensity = field(factory=Intensity)


@define(eq=False)
class Supervisor(Generic[S]):
    """Hosts the actors of one store, for as long as it owns the epoch it was made with."""

    store: Store
    runtime: Runtime
    timers: Timers
    behaviour: Behaviour[S]
    stage: Stage
    epoch: int
    died: int | None  #: the epoch of an owner before this one that died
    quarantined: str  #: the status of an actor that was stopped
    on_commit: Callable[[Actor[S], Turn[S]], None]
    look_again: Callable[[], None]  #: told when an actor may have ended without this process having seen it
    may_act: Callable[[], bool]
    limits: Limits = field(factory=Limits)
    actors: dict[int, Actor[S]] = field(factory=dict)
    _ids: set[str] = field(factory=set)  #: of the actors in memory
    _creating: set[str] = field(factory=set)  #: ids whose creation may be on disk before this process is told
    _refused: dict[str, set[int]] = field(factory=dict)  #: keys that were read meanwhile, to be looked at again
    submit: Callable[[Write[Any], Callable[[Any], None]], None] = field(init=False)
    draining: bool = False
    lost: asyncio.Event = field(factory=asyncio.Event)  #: set when another owner was found
    sick: asyncio.Event = field(factory=asyncio.Event)  #: set while the store's state is unknown
    _restarts: Restarts = field(init=False)
    _kept: dict[int, list[object]] = field(factory=dict)  #: reports for actors that are not in memory now
    _wanted: dict[int, None] = field(factory=dict)  #: keys to be loaded, in order
    _wake: asyncio.Event = field(factory=asyncio.Event)
    _reading: set[asyncio.Task[None]] = field(factory=set)  #: keeps them from being collected
    _frail: int | None = None  #: the frail actor that is being recovered
    _recovered: int = 0  #: recovery has come to this key
    _strangers: set[int] = field(factory=set)  #: keys of actors whose definition is not here
    _first_pass: bool = True  #: whether recovery has not yet seen every active actor once
    _unread: int = 0  #: messages up to this one were noticed
    _stopping: bool = False

    def __attrs_post_init__(self) -> None:
        self.submit = self.store.submit
        self._restarts = Restarts(self.limits.intensity)

    # ── what others ask ──

    @property
    def room(self) -> bool:
        """Whether a new actor can begin at once."""
        full = len(self.actors) >= self.limits.window
        return not (full or self._stopping or self.sick.is_set()) and self.may_act()

    def runs(self, id: str) -> bool:
        """Whether an actor is in memory here: then its end will be told, and need not be looked for on disk."""
        return id in self._ids

    async def create(self, actor: Actor[S], definition: Definition, input: bytes) -> Created | Exists | Purged | Fenced:
        """Begin a new actor: its creation and its first turn are one commit. Raises a `StoreError`.

        It goes on when the caller is cancelled.
        """
        answer: asyncio.Future[Created | Exists | Purged | Fenced | StoreError] = asyncio.Future()

        def done(result: Created | Exists | Purged | Fenced | StoreError) -> None:
            self._creating.discard(actor.id)
            if isinstance(result, Created) and (self._stopping or self.sick.is_set()):
                actor.stop()  # it is on disk, and whoever hosts next begins from there
            elif isinstance(result, Created):
                self._enter(result.key, actor)
            elif isinstance(result, StoreError) and not isinstance(result, WriteRefused):
                self.unknown(result)
            for key in self._refused.pop(actor.id, ()):
                self._look_at(key)
            if not answer.done():
                answer.set_result(result)

        actor.create(definition, input, done)
        self._creating.add(actor.id)
        result = await answer
        if isinstance(result, StoreError):
            raise result
        return result

    def deliver(self, key: int, message: Message) -> None:
        """Hand a message, accepted in this process, to its actor."""
        actor = self.actors.get(key)
        if actor is None:
            self.wake(key)
        else:
            actor.deliver((message,))

    def post(self, key: int, report: object) -> None:
        """Hand a report of an effect to its actor; it is kept if the actor is being reloaded."""
        actor = self.actors.get(key)
        if actor is None:
            self._kept.setdefault(key, []).append(report)
            self.wake(key)
        else:
            actor.receive(report)

    def wake(self, key: int) -> None:
        """Have an actor loaded, if it is not in memory."""
        if key not in self.actors and key not in self._strangers and not self.draining:
            self._wanted[key] = None
            self._wake.set()

    def _look_at(self, key: int) -> None:
        """See whether there is something new for an actor, in memory or not."""
        actor = self.actors.get(key)
        if actor is None:
            self.wake(key)
        else:
            self.unseen(actor)

    def drain(self) -> None:
        """From now on record what ends, and begin nothing."""
        self.draining = True

    def stop(self) -> None:
        """Let go of every actor; what is on disk is all that counts."""
        self._stopping = self.draining = True
        for actor in self.actors.values():
            actor.stop()
        self.stage.stop_all()
        self.actors.clear()
        self._ids.clear()
        self._wanted.clear()

    @property
    def busy(self) -> bool:
        """Whether any actor has a commit on its way."""
        return bool(self._creating) or any(actor.turn is not None for actor in self.actors.values())

    # ── what actors tell (see `Host`) ──

    def committed(self, actor: Actor[S], turn: Turn[S]) -> None:
        """Pass the news on."""
        if actor.key == self._frail and turn.snapshot.deaths == 0:
            self._frail = None
        if turn.snapshot.phase is Phase.FINAL:
            self._ids.discard(actor.id)  # it may stay for an attempt that lingers, but its end will not be told again
        self.on_commit(actor, turn)

    def settled(self, actor: Actor[S]) -> None:
        """Passivate an actor that only waits."""
        if actor.snapshot.phase is Phase.ACTIVE or actor.turn is not None or self.stage.alive(actor.key):
            return
        wake_at = actor.snapshot.wake_at
        if wake_at is None or wake_at - self.runtime.now() > self.limits.linger:
            self._drop(actor)

    def unseen(self, actor: Actor[S]) -> None:
        """Read the messages that the actor has missed, and let it decide again."""
        reading = self.runtime.spawn(self._read_messages(actor))
        self._reading.add(reading)
        reading.add_done_callback(self._reading.discard)

    def unknown(self, error: StoreError) -> None:
        """The store is in trouble: forget what is in memory, and read again when the store answers."""
        self._fall_sick(f"store trouble, no step begins until it recovers: {error}")

    def stale(self, actor: Actor[S]) -> None:
        """The actor is not as it is on disk: read it again."""
        logger.warning("actor %r was moved on by somebody else and is read again", actor.id)
        self._keep(actor)
        self.wake(actor.key)

    def fenced(self) -> None:
        """Another owner has taken over: do nothing more."""
        self.stop()
        self.lost.set()

    def stand_down(self, why: str) -> None:
        """Begin nothing and stop what runs: this process cannot be sure that it still owns the store."""
        self.stage.stop_all()
        self._fall_sick(f"no step begins: {why}")

    def crashed(self, actor: Actor[S], error: Exception) -> None:
        """Restart an actor whose own code raised, or stop it when that happens too often."""
        self._keep(actor)
        pause = self._restarts.pause(actor.key, self.runtime.monotonic(), self.runtime.random())
        if pause is not None:
            logger.warning("actor %r crashed and restarts in %.1f s", actor.id, pause, exc_info=error)
            self.timers.after(pause, lambda: self.wake(actor.key))
            return
        logger.error("actor %r keeps crashing and is stopped", actor.id, exc_info=error)
        self._quarantine(actor.key, actor.revision, actor.snapshot.status, f"{type(error).__name__}: {error}")

    # ── tasks ──

    async def load(self) -> None:
        """Bring the actors that are wanted into memory, page by page. Runs until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._wanted and not self.sick.is_set() and len(self.actors) < self.limits.window:
                await self._load_page()

    async def _load_page(self) -> None:
        page = list(self._wanted)[: self.limits.page]
        for key in page:
            del self._wanted[key]
            if key in self.actors:
                self._look_at(key)
        keys = [key for key in page if key not in self.actors]  # nobody else brings them in while they are read
        try:
            records = await self.store.load(keys)
        except StoreError as error:
            logger.warning("actors could not be read, and will be: %s", error)
            self._wanted = dict.fromkeys([*keys, *self._wanted])
            await self.runtime.sleep(self.limits.scan)
            return
        for record in records:
            self._admit(record)
        for key in set(keys) - {record.key for record in records}:
            self._kept.pop(key, None)  # purged meanwhile

    async def scan(self) -> None:
        """Look again and again for what should be running and is not. Runs until cancelled."""
        while True:
            try:
                more = not self.sick.is_set() and await self._scan()
            except StoreError as error:
                logger.warning("a scan failed and will be repeated: %s", error)
                more = False
            await self.runtime.sleep(self.limits.poll if more else self.limits.scan)

    async def listen(self) -> None:
        """Notice the commits of other processes. Runs until cancelled."""
        while True:
            await self.runtime.sleep(self.limits.poll)
            try:
                if not self.sick.is_set() and await self.store.foreign():
                    await self._notice()
            except StoreError as error:
                logger.warning("commits of other processes could not be read, and will be: %s", error)

    async def heal(self) -> None:
        """Reopen a store in trouble until it works, then go on from what is on disk. Runs until cancelled."""
        while True:
            await self.sick.wait()
            await self.runtime.sleep(self.limits.scan / 4)
            try:
                await self.store.recover()
                lease = await self.store.lease()
            except StoreError as error:
                logger.warning("the store is still in trouble: %s", error)
                continue
            if lease.epoch != self.epoch:
                self.fenced()
                return
            if not self.may_act():
                continue
            logger.info("the store works again")
            self.sick.clear()
            self._recovered, self._unread, self._first_pass = 0, 0, True
            for key in list(self._kept):
                self.wake(key)
            self._wake.set()
            self.look_again()

    # ── inside ──

    async def _scan(self) -> bool:
        """One look, a page of each sort; whether there is more to be looked at soon."""
        self._restarts.forget(self.runtime.monotonic())
        more = await self._notice()
        limits = self.limits
        strangers = len(self._strangers)
        more = self._wake_all(await self.store.due(self.runtime.now(), limits.page + strangers)) or more
        busy = len(self.actors) + len(self._wanted)
        if busy >= limits.window:
            return more or self._first_pass
        page = limits.page if busy < limits.recovering else limits.page // 16
        keys = await self.store.active(after=self._recovered, limit=page, frail=False, deaths=limits.frail_deaths)
        for key in keys:
            self.wake(key)
        self._recovered = keys[-1] if keys else 0
        if not keys:
            self._first_pass = False
            await self._scan_frail()
        return more or self._first_pass

    async def _scan_frail(self) -> None:
        """Actors that the process kept dying with come last, and one at a time."""
        if self._frail is not None and self._frail in self.actors:
            return
        limit = self.limits.page + len(self._strangers)
        keys = await self.store.active(after=0, limit=limit, frail=True, deaths=self.limits.frail_deaths)
        absent = [key for key in keys if key not in self.actors and key not in self._strangers]
        if absent:
            self._frail = absent[0]
            self.wake(absent[0])

    async def _notice(self) -> bool:
        """Wake actors with messages, or just created, by other processes; whether there are more of these."""
        while unread := await self.store.unread(self._unread, self.limits.page):
            for seq, key in unread:
                self._unread = max(self._unread, seq)
                self._look_at(key)
        room = self.limits.window - len(self.actors) - len(self._wanted)
        if room <= 0:
            return False
        return self._wake_all(await self.store.unbegun(min(room, self.limits.page) + len(self._strangers)))

    def _wake_all(self, keys: list[int]) -> bool:
        """Wake actors; whether so many of them were asleep that there may be more."""
        before = len(self._wanted)
        for key in keys:
            self.wake(key)
        return len(self._wanted) - before >= self.limits.page

    async def _read_messages(self, actor: Actor[S]) -> None:
        try:
            messages = await self.store.messages(actor.key)
        except StoreError as error:
            self.unknown(error)
            return
        if not actor.stopped:
            actor.deliver(messages)

    def _admit(self, record: Record) -> None:
        """Make an actor of what was read."""
        if record.id in self._creating:
            self._refused.setdefault(record.id, set()).add(record.key)
            return
        if record.key in self.actors:
            self._look_at(record.key)
            return
        if not self.behaviour.handles(record):
            self._strangers.add(record.key)
        if record.snapshot.phase is Phase.FINAL or self._stopping or record.key in self._strangers:
            self._kept.pop(record.key, None)
            self.look_again()
            return
        try:
            state = self.behaviour.decode(record)
        except Undecodable as error:
            if record.quarantine is None:
                logger.error("actor %r cannot be read and is set aside: %s", record.id, error)  # noqa: TRY400  # no bug of ours
                self._quarantine(record.key, record.revision, record.snapshot.status, str(error))
            return
        actor = Actor(self, self.behaviour, record.key, record.id, record.revision, state, record.snapshot, Mailbox())
        self._enter(record.key, actor)
        actor.mailbox.put(record.messages)
        if record.revision == 0:
            actor.mailbox.report(Begin())
        elif record.snapshot.phase is Phase.ACTIVE or record.quarantine is not None:
            kept = tuple(self._kept.get(record.key, ()))
            actor.mailbox.report(Resumed(record.epoch == self.died, self.stage.alive(record.key), kept))
        for report in self._kept.pop(record.key, ()):
            actor.mailbox.report(report)
        actor.arm(record.snapshot.wake_at)
        actor.proceed()

    def _fall_sick(self, why: str) -> None:
        """Trust nothing that is in memory until `heal` has seen the disk again."""
        if not self.sick.is_set():
            logger.error("%s", why)
            self.sick.set()
        for actor in list(self.actors.values()):
            self._keep(actor)

    def _keep(self, actor: Actor[S]) -> None:
        """Drop an actor that will be reloaded; what its effects reported is kept for it."""
        reports = [report for report in actor.stop() if not isinstance(report, (Begin, Resumed))]
        if reports or self.stage.alive(actor.key):
            self._kept.setdefault(actor.key, []).extend(reports)
        self._leave(actor)

    def _drop(self, actor: Actor[S]) -> None:
        actor.stop()
        self._leave(actor)

    def _enter(self, key: int, actor: Actor[S]) -> None:
        self.actors[key] = actor
        self._ids.add(actor.id)

    def _leave(self, actor: Actor[S]) -> None:
        if self.actors.get(actor.key) is actor:
            del self.actors[actor.key]
            self._ids.discard(actor.id)
            if self._wanted:
                self._wake.set()

    def _quarantine(self, key: int, revision: int, status: str, reason: str) -> None:
        """Stop an actor visibly, and leave the bytes of its state as they are."""
        now = self.runtime.now()
        entry = Entry(now, "QUARANTINED", status, self.quarantined, error=reason[:500])
        write = Quarantine(key, revision + 1, self.epoch, now, self.quarantined, reason[:500], entry)

        def done(result: Done | Stale | Fenced | StoreError) -> None:
            if isinstance(result, StoreError):
                logger.error("actor %d could not be set aside, and will be: %s", key, result)
            else:
                self.look_again()

        self.stage.stop(key)
        self._kept.pop(key, None)
        self.submit(write, done)
