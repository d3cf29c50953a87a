"""The tasks behind a coordinator: stand by, host, drain, and stand by again.

They run in a task of their own, so that a coordinator can be entered in one task and left in another (a fixture, a
lifespan), and no cancel scope of ours ever encloses the user's code.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import anyio
from attrs import define, field

from ..actors import Actor, Limits, Ownership, Recovery, Supervisor, Timers, within
from ..storage import Holder, Lease, Phase, StoreError
from .access import Access
from .behaviour import OrderState
from .errors import AlreadyHosted
from .progress import Status
from .runner import Runner
from .views import outcome

#: Seconds for the `finally` blocks of attempts that were cut off.
_FINALLY = 1.0

logger = logging.getLogger("atone")


@define(eq=False, repr=False)
class Engine:
    """Hosts the orders of one store while it may, and follows the host while it may not."""

    access: Access
    services: Mapping[Any, object]
    limits: Limits
    overlap_grace: float  #: seconds
    shutdown_grace: float  #: seconds
    is_gone: Callable[[Holder], bool | None]
    _ownership: Ownership = field(init=False)
    _lease: Lease | None = None
    _runner: Runner | None = None
    _task: asyncio.Task[None] | None = None

    async def open(self, *, host: bool, standby: bool) -> None:
        """Take the lease if it is free, and start the tasks. Raises `AlreadyHosted` or a `StoreError`."""
        access = self.access
        self._ownership = Ownership(access.store, access.runtime, access.runtime.holder(), self.is_gone)
        found = await self._ownership.attempt() if host else None
        if isinstance(found, Holder) and not standby:
            raise AlreadyHosted(str(found))
        self._lease = found if isinstance(found, Lease) else None
        supervisor = self._supervisor(self._lease) if self._lease else None
        access.supervisor = supervisor
        self._task = access.runtime.spawn(self._run(supervisor, host=host), name="atone-engine")
        self._task.add_done_callback(self._ended)

    async def close(self) -> None:
        """Begin nothing more, let what runs end within the grace, and give the lease back."""
        supervisor = self.access.supervisor
        if supervisor is not None and self._runner is not None:
            supervisor.drain()
            await self._drain(supervisor, self._runner)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._runner is not None:
            with suppress(TimeoutError):
                async with within(self.access.runtime, _FINALLY):
                    await self._runner.ended()
        self.access.close()
        if self._lease is not None:
            try:
                await self._ownership.release(self._lease.epoch)
            except StoreError as error:
                logger.warning("the lease could not be given back, and will run out: %s", error)

    async def _drain(self, supervisor: Supervisor[OrderState], runner: Runner) -> None:
        """Wait for attempts and commits under way; whatever is cut off is taken up by the next host."""
        runtime = self.access.runtime
        end = runtime.monotonic() + self.shutdown_grace
        while (runner.busy or supervisor.busy) and runtime.monotonic() < end:
            if supervisor.sick.is_set() or supervisor.stopping:  # nothing that ends now would be recorded
                return
            runner.stop_unsent()
            await runtime.sleep(0.005)

    async def _run(self, supervisor: Supervisor[OrderState] | None, *, host: bool) -> None:
        while True:
            if supervisor is None:
                self._lease = await self._stand_by(host=host)
                supervisor = self.access.supervisor = self._supervisor(self._lease)
                self.access.feed.publish_all()
            await self._host(supervisor)
            supervisor = self._lease = None

    async def _stand_by(self, *, host: bool) -> Lease:
        """Follow the host until it is gone; without the right to host, for ever."""
        following = self.access.runtime.spawn(self.access.follow(self.limits.poll), name="atone-follow")
        following.add_done_callback(self._ended)
        try:
            if not host:
                await following
            return await self._ownership.acquire()
        finally:
            following.cancel()

    async def _host(self, supervisor: Supervisor[OrderState]) -> None:
        """Host until another owner takes over, or the task is cancelled."""
        logger.info("hosting with epoch %d", supervisor.epoch)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(Recovery(supervisor).run)
                tasks.start_soon(self._ownership.keep, supervisor)
                await supervisor.lost.wait()
                tasks.cancel_scope.cancel()
            logger.warning("another process hosts now; standing by")
        finally:
            self.access.supervisor = None
            supervisor.stop()
            self.access.feed.publish_all()

    def _supervisor(self, lease: Lease) -> Supervisor[OrderState]:
        access = self.access
        timers = Timers(access.runtime)
        runner = Runner(access.runtime, timers, access.codec, self.services, lease.epoch, self.overlap_grace)
        if self._runner is not None:
            runner.follow(self._runner)
        supervisor = Supervisor(
            store=access.store,
            runtime=access.runtime,
            timers=timers,
            behaviour=access.behaviour,
            stage=runner,
            epoch=lease.epoch,
            died=lease.died,
            quarantined=Status.PARKED,
            on_commit=self._publish,
            watched=access.feed.watched,
            look_again=access.feed.publish_all,
            may_act=self._ownership.fresh,
            limits=self.limits,
        )
        runner.post = supervisor.post
        self._runner = runner
        return supervisor

    def _publish(self, actor: Actor[OrderState], answers: tuple[tuple[int, str], ...]) -> None:
        """Tell whoever waits for this order; one that has ended is told with its outcome."""
        feed, state = self.access.feed, actor.state
        if actor.snapshot.phase is not Phase.FINAL:
            feed.publish(actor.id, answers=answers, end=False)
        elif feed.awaits(actor.id):
            codec = self.access.codec
            end = outcome(state.id, state.saga, state.progress, state.results, state.values, codec=codec)
            feed.publish(actor.id, end, answers=answers)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """The engine itself failed: say so on the next call, and to everybody who waits."""
        if task.cancelled():
            return
        error = task.exception()
        if error is not None:
            logger.critical("the coordinator has failed", exc_info=error)
            self.access.fail(error)
