"""Who owns the store: taking the lease, keeping it, and knowing in time that it may be lost.

Safety does not rest on the clocks here: every commit of an owner is guarded by its epoch in the same transaction.
The clocks only decide how soon somebody takes over, and that an owner which could not renew stops acting before
another begins. In between, two attempts under one key may run; keys and tombstones cover that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol

import anyio
from attrs import define

from ..storage import Done, Fenced, Holder, Lease, Renew, Store, StoreBusy, StoreError
from .runtime import Runtime

logger = logging.getLogger("atone")

#: Seconds without a heartbeat after which a holder that cannot be examined counts as gone.
TTL = 10.0


class Tenant(Protocol):
    """Whoever works under a lease, and must know how it stands."""

    epoch: int

    def fenced(self) -> None:
        """Another process owns the store."""
        ...

    def unknown(self, error: StoreError) -> None:
        """A beat could not be written."""
        ...

    def stand_down(self, why: str) -> None:
        """The lease is not certain any more."""
        ...


@define(eq=False, repr=False)
class Ownership:
    """The lease on one store, as one coordinator sees it."""

    store: Store
    runtime: Runtime
    holder: Holder  #: this coordinator
    is_gone: Callable[[Holder], bool | None]  #: whether another one certainly died, certainly lives, or unknown
    ttl: float = TTL
    _renewed: float = 0.0  #: monotonic
    _watched: tuple[int, float, float] | None = None  #: epoch and beat of the holder, and since when unchanged

    async def attempt(self) -> Lease | Holder:
        """Take the lease if it is free or its holder is gone; otherwise say who holds it. Raises `StoreError`."""
        began = self.runtime.monotonic()
        lease = await self.store.lease()
        if lease.holder is not None and not self._gone(lease, lease.holder):
            return lease.holder
        mine = await self._claim(lease)
        if mine is None:
            return (await self.store.lease()).holder or self.holder
        self._renewed = began
        return mine

    async def _claim(self, expected: Lease) -> Lease | None:
        """Take the lease; a caller who is cancelled meanwhile gives it back, since nobody would keep it."""
        claiming = asyncio.ensure_future(self.store.claim(self.holder, expected=expected, at=self.runtime.now()))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            with anyio.CancelScope(shield=True), suppress(StoreError):
                mine = await claiming
                if mine is not None:
                    await self.release(mine.epoch)
            raise

    async def acquire(self) -> Lease:
        """Wait until the lease is taken, as a standby does."""
        while True:
            try:
                found = await self.attempt()
            except StoreError as error:
                logger.warning("the lease could not be taken, and the store is opened again: %s", error)
                if not isinstance(error, StoreBusy):
                    with suppress(StoreError):
                        await self.store.recover()
            else:
                if isinstance(found, Lease):
                    return found
            await self.runtime.sleep(self.ttl / 40)

    async def keep(self, tenant: Tenant) -> None:
        """Renew the lease until cancelled. On an idle host a beat is the first to notice a sick store."""

        def beaten(result: Done | Fenced | StoreError, began: float) -> None:
            if isinstance(result, Done):
                self._renewed = max(self._renewed, began)
            elif isinstance(result, Fenced):
                tenant.fenced()
            else:
                tenant.unknown(result)

        while True:
            began = self.runtime.monotonic()
            self.store.submit(Renew(tenant.epoch, self.runtime.now()), partial(beaten, began=began))
            await self.runtime.sleep(self.ttl / 10)
            if not self.fresh():
                tenant.stand_down("the lease was not renewed in time")

    def fresh(self) -> bool:
        """Whether the lease was renewed within half its time: only then may an action begin."""
        return self.runtime.monotonic() - self._renewed < self.ttl / 2

    async def release(self, epoch: int) -> None:
        """Give the lease back, so that the next one need not wait."""
        await self.store.release(epoch, self.runtime.now())

    def _gone(self, lease: Lease, holder: Holder) -> bool:
        """Whether a holder is provably gone, or has not beaten for the whole time by *our* monotonic clock.

        The heartbeat's own time is another machine's wall clock, so only its changing is looked at.
        """
        gone = self.is_gone(holder)
        now = self.runtime.monotonic()
        if self._watched is None or self._watched[:2] != (lease.epoch, lease.beat_at):
            self._watched = (lease.epoch, lease.beat_at, now)
        return gone is True or now - self._watched[2] >= self.ttl
