"""Recovery: finds on disk what should be running and is not, and brings it into memory, page by page.

It is level-triggered. Nothing depends on a notice arriving: a scan looks again and again, and it makes no difference
whether an earlier one failed, a message was overlooked, or the process has just started. Actors are admitted through
a bounded window; those that the process kept dying with come last, and one at a time.
"""

from __future__ import annotations

import logging
from typing import Generic, TypeVar

import anyio
from attrs import define, field

from ..storage import Lane, Phase, Record, Store, StoreError, Undecodable
from .admission import Call
from .limits import Limits
from .runtime import Runtime
from .supervisor import Supervisor

S = TypeVar("S")
logger = logging.getLogger("atone")


@define(eq=False, repr=False)
class Recovery(Generic[S]):
    """Looks at the disk for one supervisor, which does not look by itself."""

    supervisor: Supervisor[S]
    _store: Store = field(init=False)
    _runtime: Runtime = field(init=False)
    _limits: Limits = field(init=False)
    _recovered: int = 0  #: the scan for active actors has come to this key
    _first_pass: bool = True  #: whether that scan has not yet come to its end once
    _frail: int | None = None  #: the frail actor that is being recovered
    _unread: dict[Lane, int] = field(factory=lambda: dict.fromkeys(Lane, 0))  #: messages up to these were noticed
    _unbegun: int = 0  #: actors created up to this one were noticed; the scan finds those that were overlooked
    _due: list[int] = field(factory=list)  #: actors that were woken because their time had come
    _strangers: set[int] = field(factory=set)  #: keys of actors whose definition is not here

    def __attrs_post_init__(self) -> None:
        supervisor = self.supervisor
        self._store, self._runtime, self._limits = supervisor.store, supervisor.runtime, supervisor.limits

    async def run(self) -> None:
        """Look until cancelled."""
        async with anyio.create_task_group() as tasks:
            for job in (self._load, self._scan, self._listen, self._heal):
                tasks.start_soon(job)

    # ── tasks ──

    async def _load(self) -> None:
        """Bring the actors that are wanted into memory."""
        supervisor = self.supervisor
        while True:
            await supervisor.woken.wait()
            supervisor.woken.clear()
            while not supervisor.sick.is_set() and (page := supervisor.wanted.take(supervisor.present)):
                await self._load_page(page)

    async def _scan(self) -> None:
        """Look for what should be running and is not."""
        while True:
            more = False
            try:
                if not self.supervisor.sick.is_set():
                    more = await self._scan_once()
            except StoreError as error:
                await self._reopen(error)
            await self._runtime.sleep(self._limits.poll if more else self._limits.scan)

    async def _listen(self) -> None:
        """Notice the commits of other processes, and what this one has left on disk for want of room."""
        supervisor, more = self.supervisor, False
        while True:
            await self._runtime.sleep(self._limits.poll)
            try:
                if not supervisor.sick.is_set() and (more or supervisor.behind or await self._store.foreign()):
                    more = await self._notice()
            except StoreError as error:
                await self._reopen(error)

    async def _heal(self) -> None:
        """Reopen a store in trouble until it works, then begin anew from what is on disk."""
        supervisor = self.supervisor
        while True:
            await supervisor.sick.wait()
            await self._runtime.sleep(self._limits.scan / 4)
            try:
                await self._store.recover()
                lease = await self._store.lease()
            except StoreError as error:
                logger.warning("the store is still in trouble: %s", error)
                continue
            if lease.epoch != supervisor.epoch:
                supervisor.fenced()
                return
            if supervisor.may_act():
                logger.info("the store works again")
                self._recovered, self._unbegun, self._first_pass = 0, 0, True
                self._unread = dict.fromkeys(Lane, 0)
                supervisor.recovered()

    async def _reopen(self, error: StoreError) -> None:
        """Open a store again that could not be read.

        The connection that reads may be all that is wrong, and then no write would ever tell. What is in memory
        stands, since no write has failed.
        """
        logger.warning("the store could not be read, and is opened again: %s", error)
        try:
            await self._store.recover()
        except StoreError as worse:
            self.supervisor.unknown(worse)

    # ── from the disk into memory ──

    async def _load_page(self, page: dict[int, Call]) -> None:
        """Admit some of what is wanted. Nobody else brings these in while they are read."""
        supervisor = self.supervisor
        for key in page:
            if key in supervisor.actors:
                supervisor.look_at(key)
        keys = [key for key in page if key not in supervisor.actors and key not in self._strangers]
        supervisor.loading = {key: {} for key in keys}
        records: list[Record] | None = None
        try:
            records = await self._store.load(keys)
        except StoreError as error:
            await self._reopen(error)
        if records is None or supervisor.sick.is_set():  # what was read may be older than the write that failed
            meanwhile, supervisor.loading = supervisor.loading, {}
            for key in keys:
                supervisor.wake(key, min([page[key], *map(Call.of, meanwhile[key].values())]))
            await self._runtime.sleep(self._limits.scan)
            return
        for record in records:
            self._admit(record)
        supervisor.loading = {}
        for key in set(keys) - {record.key for record in records}:
            self.supervisor.forget(key)  # purged meanwhile

    def _admit(self, record: Record) -> None:
        """Have an actor made of what was read, where it is ours to make and can be."""
        supervisor, behaviour = self.supervisor, self.supervisor.behaviour
        if record.id in supervisor.creating:
            supervisor.creating[record.id].add(record.key)
            return
        if record.key in supervisor.actors:
            supervisor.look_at(record.key)
            return
        if not behaviour.handles(record):
            self._strangers.add(record.key)
        if record.snapshot.phase is Phase.FINAL or supervisor.stopping or record.key in self._strangers:
            supervisor.forget(record.key)
            supervisor.look_again()
            return
        try:
            state = behaviour.decode(record)
        except Undecodable as error:
            if record.quarantine is None:
                logger.error("actor %r cannot be read and is set aside: %s", record.id, error)  # noqa: TRY400  # no bug of ours
                supervisor.quarantine(record.key, record.revision, record.snapshot.status, str(error))
            return
        supervisor.resume(record, state)

    # ── looking ──

    async def _scan_once(self) -> bool:
        """A page of each sort."""
        self.supervisor.restarts.forget(self._runtime.monotonic())
        more = await self._notice()
        limits = self._limits
        more = await self._scan_timers() or more
        room = self._room()
        if room <= 0:
            return more or self._first_pass
        page = limits.page if room > limits.window - limits.recovering else max(limits.page // 16, 1)
        keys = await self._store.active(after=self._recovered, limit=page, frail=False, deaths=limits.frail_deaths)
        self._wake(keys, Call.WORK)
        self._recovered = keys[-1] if keys else 0
        if not keys:
            self._first_pass = False
            await self._scan_frail()
        return more or self._first_pass

    async def _scan_timers(self) -> bool:
        """Those whose time has come; whether there may be more. None is read while one of the last page is in line."""
        wanted = self.supervisor.wanted
        if any(key in wanted for key in self._due):
            return True
        most = self._limits.page + len(self._strangers) + len(self.supervisor.actors)
        due = await self._store.due(self._runtime.now(), most)
        self._wake(due, Call.NEWS)
        self._due = [key for key in due if key in wanted]
        return len(due) == most

    async def _scan_frail(self) -> None:
        """The next of those that the process kept dying with, once the one before has stood its test, or has gone."""
        actors, frail_deaths = self.supervisor.actors, self._limits.frail_deaths
        actor = actors.get(self._frail) if self._frail is not None else None
        if actor is not None and actor.snapshot.deaths > 0:
            return
        limit = self._limits.page + len(self._strangers)
        keys = await self._store.active(after=0, limit=limit, frail=True, deaths=frail_deaths)
        absent = [key for key in keys if key not in actors and key not in self._strangers]
        self._frail = absent[0] if absent else None
        self._wake(absent[:1], Call.WORK)

    async def _notice(self) -> bool:
        """Wake actors with messages, or just created; whether there are more of these."""
        more = [await self._notice_messages(lane) for lane in Lane]
        return await self._notice_new() or any(more)

    async def _notice_messages(self, lane: Lane) -> bool:
        """Those of a lane, in order. While very many stand in line, the rest stays on disk."""
        limits, wanted = self._limits, self.supervisor.wanted
        while wanted.before(Call.of(lane)) < limits.window:
            unread = await self._store.unread(lane, self._unread[lane], limits.page)
            for seq, key in unread:
                self._unread[lane] = max(self._unread[lane], seq)
                self.supervisor.notice(key, seq, lane)
            if len(unread) < limits.page:
                return False
        return True

    async def _notice_new(self) -> bool:
        supervisor = self.supervisor
        room = self._room()
        if self._first_pass:
            room = (room + 1) // 2  # what the host before this one has left has its share
        if room <= 0:
            return False
        most, behind = min(room, self._limits.page), supervisor.behind
        keys = await self._store.unbegun(self._unbegun, most)
        self._wake(keys, Call.WORK)
        self._unbegun = max([self._unbegun, *keys])
        left = len(keys) if len(keys) == most else behind  # nobody is left behind the last page
        supervisor.behind = max(supervisor.behind - left, 0)
        return len(keys) == most

    def _wake(self, keys: list[int], call: Call) -> None:
        for key in keys:
            if key not in self._strangers:
                self.supervisor.wake(key, call)

    def _room(self) -> int:
        """How many more actors may be wanted for work."""
        return self._limits.window - self.supervisor.present - self.supervisor.wanted.work
