"""The supervisor: starts, restarts, passivates and quarantines actors. One for one: no actor harms another.

It holds the actors that are in memory, and says which are wanted there; those that only wait are on disk and nowhere
else. It has no task of its own and reads nothing but missed messages: `recovery` looks at the disk for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Container
from typing import Any, Generic, TypeVar

from attrs import define, field

from ..storage import (
    Created,
    Definition,
    Done,
    Entry,
    Exists,
    Fenced,
    Lane,
    Message,
    Phase,
    Purged,
    Quarantine,
    Record,
    Stale,
    Store,
    StoreError,
    Write,
    WriteRefused,
)
from .actor import Actor
from .admission import Admission, Call
from .behaviour import Begin, Behaviour, Resumed, Stage
from .limits import Limits
from .restarts import Restarts
from .runtime import Runtime
from .timers import Timers
from .words import storable, words

S = TypeVar("S")
Creation = Created | Exists | Purged | Fenced
logger = logging.getLogger("atone")


@define(eq=False, repr=False)
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
    on_commit: Callable[[Actor[S], tuple[tuple[int, str], ...]], None]  #: and the messages that were answered
    watched: Container[str]  #: ids of actors of which every commit is told; of the others only the end
    look_again: Callable[[], None]  #: told when an actor may have ended without this process having seen it
    may_act: Callable[[], bool]
    limits: Limits = field(factory=Limits)
    actors: dict[int, Actor[S]] = field(factory=dict)
    wanted: Admission = field(init=False)  #: keys to be loaded
    #: keys that are being read, each with the messages that were noticed meanwhile, by number
    loading: dict[int, dict[int, Lane]] = field(factory=dict)
    behind: int = 0  #: how many new actors were left on disk for want of room, and are not wanted yet
    woken: asyncio.Event = field(factory=asyncio.Event)  #: something is wanted, or has found room
    #: ids whose creation may be on disk before this process is told, each with the keys that were read meanwhile
    creating: dict[str, set[int]] = field(factory=dict)
    restarts: Restarts = field(init=False)
    submit: Callable[[Write[Any], Callable[[Any], None]], None] = field(init=False)
    draining: bool = False
    stopping: bool = False
    lost: asyncio.Event = field(factory=asyncio.Event)  #: set when another owner was found
    sick: asyncio.Event = field(factory=asyncio.Event)  #: set while the store's state is unknown
    _ids: dict[str, Actor[S]] = field(factory=dict)  #: the actors in memory, until they end
    _kept: dict[int, list[object]] = field(factory=dict)  #: reports for actors that are not in memory now
    _resting: set[int] = field(factory=set)  #: keys of actors that are left alone for a while after a crash
    _heard: set[int] = field(factory=set)  #: keys of actors that were set aside, and heard what waited for them
    _tasks: set[asyncio.Task[None]] = field(factory=set)  #: keeps readers of messages from being collected

    def __attrs_post_init__(self) -> None:
        self.submit = self.store.submit
        self.wanted = Admission(self.limits)
        self.restarts = Restarts(self.limits.intensity)

    # ── what others ask ──

    @property
    def present(self) -> int:
        """How many actors are in memory, or on their way there."""
        return len(self.actors) + len(self.creating) + len(self.loading)

    @property
    def room(self) -> bool:
        """Whether a new actor can begin at once. One that cannot is left on disk: count it in `behind`.

        Those who wait have their place already, so that nobody overtakes them. Nor does anybody queue who need not:
        through the disk an actor costs a commit and a read more, and a queue that only grows slower would never end.
        """
        taken = self.present + self.wanted.work + self.behind
        return not (taken >= self.limits.window or self.stopping or self.sick.is_set()) and self.may_act()

    def runs(self, id: str) -> bool:
        """Whether an actor is in memory here: then its end will be told, and need not be looked for on disk."""
        return id in self._ids

    async def create(self, actor: Actor[S], definition: Definition, input: bytes) -> Creation:
        """Begin a new actor: its creation and its first turn are one commit. Raises a `StoreError`.

        It goes on when the caller is cancelled.
        """
        answer: asyncio.Future[Creation | StoreError] = asyncio.Future()

        def done(result: Creation | StoreError) -> None:
            read = self.creating.pop(actor.id, ())
            if isinstance(result, Created) and (self.stopping or self.sick.is_set()):
                actor.stop()  # it is on disk, and whoever hosts next begins from there
            elif isinstance(result, Created):
                self._enter(result.key, actor)
            elif isinstance(result, StoreError) and not isinstance(result, WriteRefused):
                self.unknown(result)
            if self.wanted:
                self.woken.set()  # one that was not created leaves its place to somebody else
            for key in read:
                self.look_at(key)
            if not answer.done():
                answer.set_result(result)

        actor.create(definition, input, done)
        self.creating.setdefault(actor.id, set())
        result = await answer
        if isinstance(result, StoreError):
            raise result
        return result

    def press(self, id: str) -> None:
        """A request for an actor is on its way to the disk: what it is to commit before goes first as well."""
        actor = self._ids.get(id)
        if actor is not None:
            actor.pressed = True
            if actor.turn is not None and actor.turn.write is not None:
                self.store.hurry(actor.turn.write)

    def ease(self, id: str) -> None:
        """The request that was on its way has come to nothing."""
        actor = self._ids.get(id)
        if actor is not None:
            actor.pressed = False

    def deliver(self, key: int, message: Message) -> None:
        """Hand a message, accepted in this process, to its actor."""
        actor = self.actors.get(key)
        if actor is None:
            self.notice(key, message.seq, message.lane)
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

    def wake(self, key: int, call: Call = Call.NEWS) -> None:
        """Have an actor loaded, if it is not in memory. One that has just crashed is loaded after its pause."""
        if key not in self.actors and key not in self._resting and not self.draining:
            self.wanted.want(key, call)
            self.woken.set()

    def look_at(self, key: int) -> None:
        """See whether there is something new for an actor, in memory or not."""
        actor = self.actors.get(key)
        if actor is None:
            self.wake(key)
        else:
            self.unseen(actor)

    def notice(self, key: int, seq: int, lane: Lane) -> None:
        """A message waits on disk: see that its actor learns of it, if it does not know."""
        actor = self.actors.get(key)
        if actor is not None:
            if not actor.mailbox.knows(seq):
                self.unseen(actor)
        elif key in self.loading:
            self.loading[key][seq] = lane
        else:
            self.wake(key, Call.of(lane))

    def drain(self) -> None:
        """From now on record what ends, and begin nothing."""
        self.draining = True

    def stop(self) -> None:
        """Let go of every actor; what is on disk is all that counts."""
        self.stopping = self.draining = True
        for actor in self.actors.values():
            actor.stop()
        self.stage.stop_all()
        self.actors.clear()
        self._ids.clear()
        self.wanted.clear()

    @property
    def busy(self) -> bool:
        """Whether any actor has a commit on its way."""
        return bool(self.creating) or any(actor.turn is not None for actor in self.actors.values())

    # ── what actors tell (see `Host`) ──

    def committed(self, actor: Actor[S], answers: tuple[tuple[int, str], ...], before: str) -> None:
        """Pass the news on. That an actor stops, and waits for a person, is said as well where nobody watches."""
        if actor.snapshot.status == self.quarantined != before:
            logger.warning("actor %r is %s and waits for a person: its history says why", actor.id, self.quarantined)
        if actor.snapshot.phase is Phase.FINAL:
            self._ids.pop(actor.id, None)  # it may stay for an attempt that lingers, but its end will not be told again
            self.on_commit(actor, answers)
        elif actor.id in self.watched:
            self.on_commit(actor, answers)

    def settled(self, actor: Actor[S]) -> None:
        """Passivate an actor that only waits."""
        if actor.snapshot.phase is Phase.ACTIVE or actor.turn is not None or self.stage.alive(actor.key):
            return
        wake_at = actor.snapshot.wake_at
        if wake_at is None or wake_at - self.runtime.now() > self.limits.linger:
            actor.stop()
            self._leave(actor)

    def unseen(self, actor: Actor[S]) -> None:
        """Read the messages that wait for the actor, in case it has missed any, and let it decide again."""
        reading = self.runtime.spawn(self._read_messages(actor), name="atone-read")
        self._tasks.add(reading)
        reading.add_done_callback(self._tasks.discard)

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
        asked = actor.asked
        self._keep(actor)
        if actor.snapshot.phase is Phase.FINAL:
            logger.warning("actor %r crashed after its end, which stands", actor.id, exc_info=error)
            self.wake(actor.key)  # whoever was not told of the end is told when it is found on disk
            return
        pause = self.restarts.pause(actor.key, self.runtime.monotonic(), self.runtime.random())
        if pause is not None:
            logger.warning("actor %r crashed and restarts in %.1f s", actor.id, pause, exc_info=error)
            self._rest(actor.key, pause)
            return
        logger.error("actor %r keeps crashing and is stopped", actor.id, exc_info=error)
        self.quarantine(actor.key, actor.revision, actor.snapshot.status, words(error), asked=asked)

    # ── what recovery tells ──

    def resume(self, record: Record, state: S) -> None:
        """Take an actor up from what was read of it."""
        key, kept = record.key, self._kept.pop(record.key, [])
        actor = Actor(self, self.behaviour, key, record.id, record.revision, state, record.snapshot)
        self._enter(key, actor)
        if record.snapshot.status != self.quarantined:
            self._heard.discard(key)  # it has gone on since: should it be set aside again, it is heard again
        if not record.snapshot.body:
            actor.mailbox.report(Begin())
        elif record.snapshot.phase is Phase.ACTIVE or record.quarantine is not None:
            actor.mailbox.report(Resumed(record.epoch == self.died, self.stage.alive(key), tuple(kept)))
        for report in kept:
            actor.mailbox.report(report)
        actor.arm(record.snapshot.wake_at)
        if record.quarantine is not None:
            actor.proceed()  # its work was cut off: it must know before anybody asks whether work is under way
        actor.deliver(record.messages)
        if not all(map(actor.mailbox.knows, self.loading.get(key, ()))):
            self.unseen(actor)  # a message came when the actor had been read, but was not here yet

    def forget(self, key: int) -> None:
        """There is nothing to be taken up: drop what was kept for it."""
        self._kept.pop(key, None)

    def recovered(self) -> None:
        """The store works again: go on from what is on disk."""
        self.sick.clear()
        for key in self._kept:
            self.wake(key)
        self.woken.set()
        self.look_again()

    def quarantine(self, key: int, revision: int, status: str, reason: str, *, asked: bool = False) -> None:
        """Stop an actor visibly, and leave the bytes of its state as they are.

        With `asked`, messages wait for it, and nobody will notice these again: it is taken up once more, set aside as
        it is, to decide about them. Should it crash at that, too, they wait for the next host.
        """
        now, status, reason = self.runtime.now(), storable(status), storable(reason)[:500]
        entry = Entry("QUARANTINED", status, self.quarantined, error=reason)
        write = Quarantine(key, revision + 1, self.epoch, now, self.quarantined, reason, entry)

        def done(result: Done | Stale | Fenced | StoreError) -> None:
            if isinstance(result, Done):
                self.look_again()
                if asked and key not in self._heard:
                    self._heard.add(key)
                    self._rest(key, self.limits.scan)
            elif isinstance(result, Fenced):
                self.fenced()
            else:
                logger.error("actor %d could not be set aside, and will be: %s", key, result)
                self._rest(key, self.limits.scan)

        self.stage.stop(key)
        self.forget(key)
        self.submit(write, done)

    # ── inside ──

    async def _read_messages(self, actor: Actor[S]) -> None:
        known = {message.seq for message in actor.mailbox.messages}  # what comes while these are read is not among them
        try:
            messages = await self.store.messages(actor.key)
        except StoreError as error:
            self.unknown(error)
            return
        if not actor.stopped:
            actor.mailbox.drop(known.difference(message.seq for message in messages))
            actor.deliver(messages)
        elif messages:  # it was let go meanwhile, and nobody will notice these messages again
            self.look_at(actor.key)

    def _fall_sick(self, why: str) -> None:
        """Trust nothing that is in memory until recovery has seen the disk again."""
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

    def _enter(self, key: int, actor: Actor[S]) -> None:
        self.actors[key] = actor
        self._ids[actor.id] = actor

    def _leave(self, actor: Actor[S]) -> None:
        if self.actors.get(actor.key) is actor:
            del self.actors[actor.key]
            self._ids.pop(actor.id, None)
            if self.wanted:
                self.woken.set()

    def _rest(self, key: int, seconds: float) -> None:
        """Leave an actor alone, whatever comes for it meanwhile, then have it loaded."""

        def rested() -> None:
            self._resting.discard(key)
            self.wake(key)

        self._resting.add(key)
        self.timers.after(seconds, rested)
