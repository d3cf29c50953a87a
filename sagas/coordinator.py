"""The coordinator: the door. Opens a store, registers sagas, and hosts the orders for as long as its block lasts."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from datetime import timedelta
from operator import index
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import anyio
import orjson
from attrs import evolve

from ..actors import Actor, Limits, Runtime, Supervisor, SystemRuntime
from ..storage import (
    Codec,
    Count,
    Create,
    Created,
    Entry,
    Exists,
    Fenced,
    Holder,
    Phase,
    Purge,
    Purged,
    Query,
    Record,
    Snapshot,
    Store,
    Undecodable,
    is_gone,
)
from .access import Access, check_id
from .behaviour import OrderBehaviour, OrderState
from .engine import Engine
from .errors import AlreadyFinished, OrderConflict, WrongInput
from .handle import Handle
from .inject import resolve_services
from .progress import Status
from .registry import Registry
from .retry import LONGEST
from .saga import Saga
from .views import OrderStatus, order_status, stored_status

if TYPE_CHECKING:  # see `make_converter`
    from cattrs import Converter

I = TypeVar("I")  # noqa: E741  # the input; one letter, as type variables are
logger = logging.getLogger("atone")

#: Orders purged in one transaction, and read at a time by a listing.
PAGE = 500


class Coordinator:
    """Runs sagas inside an asyncio service.

    `sagas` are the definitions it knows; several versions of one may be given. `provide` are the services that steps
    ask for by type: a list of objects, or a mapping from type to object. The first coordinator on a store hosts its
    orders; a further one is a standby whose handles work all the same, and which begins to host when the first is
    gone. `standby=False` refuses instead (`AlreadyHosted`); `host=False` never hosts, for scripts.

    `overlap_grace` is how long, in seconds, an attempt that timed out is awaited before another is sent under its
    key; `shutdown_grace` how long attempts under way may take to end when the block is left. `converter` replaces the
    cattrs converter for inputs, results and messages. `runtime`, `limits` and `is_gone` are for simulations and tests.

    Leaving the block is not a cancel: nothing is compensated, and the next coordinator goes on from the disk.

    Raises `DefinitionError` for sagas that cannot stand together, and `ServiceMissing` for a service not provided.
    """

    def __init__(
        self,
        store: Store,
        *,
        sagas: Sequence[Saga[Any]],
        provide: Sequence[object] | Mapping[Any, object] = (),
        standby: bool = True,
        host: bool = True,
        overlap_grace: float = 30.0,
        shutdown_grace: float = 10.0,
        converter: Converter | None = None,
        runtime: Runtime | None = None,
        limits: Limits | None = None,
        is_gone: Callable[[Holder], bool | None] = is_gone,
    ) -> None:
        registry = Registry.of(sagas)
        services = resolve_services(registry.bindings(), provide) if host else {}
        codec = Codec(converter)
        self._access = Access(store, codec, registry, OrderBehaviour(registry, codec))
        overlap_grace = min(overlap_grace, LONGEST)
        self._engine = Engine(self._access, services, limits or Limits(), overlap_grace, shutdown_grace, is_gone)
        self._runtime = runtime
        self._standby, self._host = standby, host

    async def __aenter__(self) -> Self:
        """Open the store, and host its orders or stand by. Raises a `StoreError`, or `AlreadyHosted`."""
        access = self._access
        await access.store.open()  # first: one that is entered already, perhaps in another loop, stays as it is
        access.runtime = self._runtime or SystemRuntime()
        access.loop = asyncio.get_running_loop()
        try:
            await self._report_strangers()
            await self._engine.open(host=self._host, standby=self._standby)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await asyncio.shield(access.store.close())
            raise
        access.is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop intake, let what runs end, and close the store; a cancel of the caller does not cut this short."""
        self._access.check_loop()
        self._access.is_open = False
        leaving = asyncio.ensure_future(self._leave())
        with anyio.CancelScope(shield=True):  # a scope around the caller that is cancelled would cancel again and again
            try:
                await asyncio.shield(leaving)
            except asyncio.CancelledError:
                await asyncio.wait([leaving])
                raise

    async def _leave(self) -> None:
        try:
            await self._engine.close()
        finally:
            await self._access.store.close()

    @property
    def hosting(self) -> bool:
        """Whether this coordinator runs the orders of the store, rather than another one."""
        return self._access.supervisor is not None

    async def start(self, saga: Saga[I], input: I, *, id: str) -> Handle:
        """Start an order of the highest registered version of a saga. It is on disk when this returns.

        A repeat with equal saga and input gives the same order, with `created` False. Raises `OrderConflict` where
        the id stands for something else, `AlreadyFinished` where that order was purged, and `WrongInput`, `InvalidId`,
        `Unencodable`, `Undecodable` or `TooLarge` for what cannot be started: then nothing was.
        """
        access = self._access
        access.check()
        check_id("order's id", id)
        saga = access.registry.latest(saga)
        if not isinstance(input, saga.input):
            raise WrongInput(id, saga.name, saga.input, type(input))
        body, value = access.codec.round_trip(input, saga.input, f"the input of saga {saga.name!r}")
        if type(value) is not type(input):
            raise WrongInput(id, saga.name, saga.input, type(input))  # a subclass: no step would see its own fields
        result = await self._begin(saga, id, body, value)
        if isinstance(result, Created):
            return Handle(id, created=True, access=access)
        if isinstance(result, Purged):
            raise AlreadyFinished(id, result.tombstone.status)
        if result.record.definition.kind != saga.name:
            raise OrderConflict(id, "saga")
        if not _same(result.record, body):
            raise OrderConflict(id, "input")
        return Handle(id, created=False, access=access)

    def order(self, id: str) -> Handle:
        """A handle on an order that was, or will be, started anywhere. No I/O."""
        return Handle(id, access=self._access)

    async def orders(
        self,
        *,
        status: Status | Collection[Status] | None = None,
        saga: Saga[Any] | str | None = None,
        older_than: timedelta | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[OrderStatus]:
        """Orders in order of arrival; `older_than` counts from their start."""
        access = self._access
        access.check()
        limit = None if limit is None else index(limit)  # a number that is no whole one would be the store's trouble
        wanted = _statuses(status)
        query = await self._query(wanted, saga, older_than)
        while limit is None or limit > 0:
            records = await access.ask(access.store.list(query, PAGE if limit is None else min(limit, PAGE)))
            for record in records:
                seen = order_status(record, access.registry, access.codec)
                if wanted is None or seen.status in wanted:
                    yield seen
                    limit = None if limit is None else limit - 1
            if not records:
                return
            query = evolve(query, after_key=records[-1].key)

    async def count(
        self,
        *,
        status: Status | Collection[Status] | None = None,
        saga: Saga[Any] | str | None = None,
        older_than: timedelta | None = None,
    ) -> dict[Status, int]:
        """How many orders there are, by status."""
        access = self._access
        access.check()
        wanted = _statuses(status)
        counter: Counter[Status] = Counter()
        for count in await access.ask(access.store.count(await self._query(None, saga, older_than))):
            known = count.phase is Phase.FINAL or access.registry.find(count.definition) is not None
            counter[stored_status(count.status) if known else Status.PARKED] += count.number
        return {one: number for one, number in counter.items() if wanted is None or one in wanted}

    async def purge(self, *, older_than: timedelta) -> int:
        """Remove orders that ended so long ago, in small transactions; their ids stay taken. Returns how many."""
        access = self._access
        access.check()
        before = access.runtime.now() - older_than.total_seconds()
        total = 0
        while purged := await access.ask(access.store.write(Purge(before, PAGE))):
            total += purged
        return total

    async def _begin(self, saga: Saga[I], id: str, body: bytes, value: I) -> Created | Exists | Purged:
        """Create the order: with its first intent in the same commit where this process hosts and has room."""
        access, supervisor = self._access, self._access.supervisor
        # One that is being created already is only written down: two actors must never stand for one order.
        if supervisor is not None and supervisor.room and id not in supervisor.creating:
            actor = self._actor(supervisor, saga, id, value)
            result = await supervisor.create(actor, saga.definition, body)
            if not isinstance(result, Fenced):
                return result
        now = access.runtime.now()
        entry = Entry("ACCEPTED", "", Status.RUNNING)
        create = Create(id, saga.definition, body, now, Snapshot(Status.RUNNING, Phase.ACTIVE, b""), (entry,))
        created = await access.ask(access.store.write(create))
        assert not isinstance(created, Fenced), "an order at revision 0 needs no epoch"
        if supervisor is not None and isinstance(created, Created):
            supervisor.behind += 1
        return created

    def _actor(self, supervisor: Supervisor[OrderState], saga: Saga[I], id: str, value: I) -> Actor[OrderState]:
        """An order that nothing has happened to."""
        behaviour = self._access.behaviour
        state = behaviour.begin(id, saga, value)
        return Actor(supervisor, behaviour, 0, id, 0, state, Snapshot("", Phase.ACTIVE, b""))

    async def _query(
        self, status: frozenset[Status] | None, saga: Saga[Any] | str | None, older_than: timedelta | None
    ) -> Query:
        kind = saga.name if isinstance(saga, Saga) else saga
        before = None if older_than is None else self._access.runtime.now() - older_than.total_seconds()
        if status is not None and Status.PARKED in status and await self._strangers():
            status = None  # an order without its definition is parked in this process, whatever its row says
        return Query(None if status is None else tuple(sorted(status)), kind, before)

    async def _report_strangers(self) -> None:
        """Say how many live orders have no definition here: nobody should learn that from a customer."""
        for count in await self._strangers():
            logger.warning(
                "%d%s live orders of saga %r version %d have no definition here, and wait for one",
                count.number, " or more" if count.number == PAGE else "",
                count.definition.kind, count.definition.version,
            )  # fmt: skip

    async def _strangers(self) -> list[Count]:
        """Live orders whose definition is not registered here, each sort counted up to `PAGE`."""
        access = self._access
        live = await access.ask(access.store.live(PAGE))
        return [one for one in live if access.registry.find(one.definition) is None]


def _same(record: Record, body: bytes) -> bool:
    """Whether an order was started with this input; raises `Undecodable` where that is damaged."""
    try:
        return bool(orjson.loads(record.input) == orjson.loads(body))
    except orjson.JSONDecodeError:
        raise Undecodable(record.damage or "the input is no JSON") from None


def _statuses(status: Status | Collection[Status] | None) -> frozenset[Status] | None:
    if status is None:
        return None
    return frozenset([Status(status)]) if isinstance(status, str) else frozenset(map(Status, status))
