"""One owner: taking the lease, keeping it, and knowing in time that it may be lost."""

import asyncio

import anyio
import pytest
from attrs import define, field

from atone import StoreError
from atone.actors import Ownership
from atone.storage import Disk, Holder, Lease, StoreBusy
from tests.faulty_store import FaultyMemory
from tests.manual_runtime import Clock, ManualRuntime, settle

pytestmark = pytest.mark.anyio


@define(eq=False)
class Owner:
    """One process that wants the lease."""

    name: str
    disk: Disk
    clock: Clock
    gone: bool | None = None  #: what it is told of the other holder
    store: FaultyMemory = field(init=False)
    runtime: ManualRuntime = field(init=False)
    ownership: Ownership = field(init=False)
    doubts: list[str] = field(factory=list)
    troubles: list[StoreError] = field(factory=list)
    lost: bool = False
    epoch: int = 0

    async def open(self) -> "Owner":
        """Open the store."""
        self.store, self.runtime = FaultyMemory(self.disk), ManualRuntime(self.clock)
        await self.store.open()
        holder = Holder(self.name, "machine", "boot", "ns", 7, "99")
        self.ownership = Ownership(self.store, self.runtime, holder, lambda _: self.gone)
        return self

    async def keep(self, lease: Lease | Holder) -> None:
        """Keep a lease that was taken, as its tenant."""
        assert isinstance(lease, Lease)
        self.epoch = lease.epoch
        self.runtime.spawn(self.ownership.keep(self))
        await settle()

    def fenced(self) -> None:
        """Another process owns the store."""
        self.lost = True
        self.runtime.kill()

    def unknown(self, error: StoreError) -> None:
        """A beat could not be written."""
        self.troubles.append(error)

    def stand_down(self, why: str) -> None:
        """The lease is not certain any more."""
        self.doubts.append(why)

    def waiting(self) -> "asyncio.Future[Lease]":
        """Stand by."""
        return asyncio.ensure_future(self.ownership.acquire())


async def two(gone: bool | None = None) -> tuple[Owner, Owner]:
    """Two processes on one disk; the second is told this of the first."""
    disk, clock = Disk(), Clock()
    return await Owner("one", disk, clock).open(), await Owner("two", disk, clock, gone).open()


async def test_a_free_lease_is_taken_and_a_taken_one_is_not() -> None:
    """Whoever comes second is told who holds it."""
    one, second = await two()
    lease = await one.ownership.attempt()
    assert isinstance(lease, Lease)
    assert await second.ownership.attempt() == one.ownership.holder


async def test_a_holder_that_is_provably_dead_is_replaced_at_once() -> None:
    """Under a higher epoch, and the death is told."""
    one, second = await two(gone=True)
    first = await one.ownership.attempt()
    lease = await second.ownership.attempt()
    assert isinstance(first, Lease)
    assert isinstance(lease, Lease)
    assert (lease.epoch, lease.died) == (first.epoch + 1, first.epoch)


@pytest.mark.parametrize("gone", [None, False])
async def test_a_silent_holder_is_replaced_after_the_ttl(gone: bool | None) -> None:
    """By the waiting one's own monotonic clock, and not before; also one that hangs and is known to live."""
    one, second = await two(gone)
    await one.ownership.attempt()
    taking = second.waiting()
    await second.clock.advance(9.5)
    assert not taking.done()
    await second.clock.advance(1)
    assert taking.result().epoch == 2


async def test_a_holder_that_beats_is_never_replaced() -> None:
    """However its wall clock jumps."""
    one, second = await two()
    await one.keep(await one.ownership.attempt())
    taking = second.waiting()
    for jump in (0, 3600, -7200):
        one.clock.wall += jump
        await one.clock.advance(30)
    assert not taking.done()
    assert one.doubts == []
    taking.cancel()
    one.runtime.kill()


async def test_a_released_lease_is_taken_without_a_death() -> None:
    """The next one need not wait."""
    one, second = await two()
    lease = await one.ownership.attempt()
    assert isinstance(lease, Lease)
    await one.ownership.release(lease.epoch)
    taking = second.waiting()
    await second.clock.advance(1)
    assert taking.result().died is None


async def test_a_holder_that_cannot_renew_knows_before_another_may_take_over() -> None:
    """Not fresh after half the TTL; and trouble is told at the first beat that fails."""
    one, _ = await two()
    await one.keep(await one.ownership.attempt())
    await one.clock.advance(3)
    assert one.ownership.fresh()
    one.store.broken = True
    await one.clock.advance(1.5)
    assert one.troubles != []
    assert one.ownership.fresh()
    assert one.doubts == []
    await one.clock.advance(5)
    assert not one.ownership.fresh()
    assert one.doubts != []
    one.store.broken = one.store.sick = False
    await one.clock.advance(1.5)
    assert one.ownership.fresh(), "it may act again once a beat is on disk"
    one.runtime.kill()


async def test_a_beat_that_hangs_is_no_renewal() -> None:
    """A store that does not answer counts like one that fails."""
    one, _ = await two()
    await one.keep(await one.ownership.attempt())
    one.store.dead = True
    await one.clock.advance(6)
    assert not one.ownership.fresh()
    assert one.doubts != []
    one.runtime.kill()


async def test_a_replaced_holder_finds_out_at_its_next_beat() -> None:
    """It was stopped for a while and comes back: fenced."""
    one, second = await two(gone=True)
    await one.keep(await one.ownership.attempt())
    await second.ownership.attempt()
    await one.clock.advance(1.5)
    assert one.lost


async def test_of_two_that_wait_one_is_faster() -> None:
    """The other waits on."""
    one, second = await two(gone=True)
    third = await Owner("three", one.disk, one.clock, None).open()
    await one.ownership.attempt()
    taking = [second.waiting(), third.waiting()]
    await second.clock.advance(0.5)
    assert [call.done() for call in taking] == [True, False]
    taking[1].cancel()


async def test_a_standby_bears_a_store_in_trouble() -> None:
    """It asks again."""
    one, second = await two(gone=True)
    await one.ownership.attempt()
    second.store.sick = second.store.broken = True
    taking = second.waiting()
    await second.clock.advance(5)
    assert not taking.done()
    second.store.sick = second.store.broken = False
    await second.clock.advance(1)
    assert taking.done()


async def test_a_standby_does_not_open_a_busy_store_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is well, and whoever reads would be cut off."""
    one, second = await two(gone=True)
    await one.ownership.attempt()
    recovered = []

    async def busy(*_claim: object, **_options: object) -> None:
        raise StoreBusy("orders.db", "somebody", 5.0)

    async def recover() -> None:
        recovered.append("recover")

    monkeypatch.setattr(second.store, "claim", busy)
    monkeypatch.setattr(second.store, "recover", recover)
    taking = second.waiting()
    await second.clock.advance(5)
    assert recovered == []
    monkeypatch.undo()
    await second.clock.advance(1)
    assert taking.done()


@pytest.mark.parametrize("turns", range(8))
async def test_a_claim_that_is_cancelled_leaves_no_lease_behind(turns: int) -> None:
    """At whatever moment: the next one need not wait for a holder that lives and will never beat."""
    one, second = await two(gone=False)
    taking = asyncio.ensure_future(one.ownership.attempt())
    for _ in range(turns):
        await asyncio.sleep(0)
    taking.cancel()
    await settle()
    if taking.cancelled():
        assert one.disk.lease.holder is None
        assert isinstance(await second.ownership.attempt(), Lease)
    else:
        assert one.disk.lease.holder == one.ownership.holder


@pytest.mark.parametrize("turns", range(8))
async def test_a_claim_in_a_cancelled_scope_leaves_no_lease_behind(turns: int) -> None:
    """Such a scope cancels again and again, also while the lease is given back."""
    one, second = await two(gone=False)
    found: list[Lease | Holder] = []
    scope = anyio.CancelScope()

    async def take() -> None:
        with scope:
            found.append(await one.ownership.attempt())

    taking = asyncio.ensure_future(take())
    for _ in range(turns):
        await asyncio.sleep(0)
    scope.cancel()
    await taking
    await settle()
    if found:
        assert one.disk.lease.holder == one.ownership.holder
    else:
        assert isinstance(await second.ownership.attempt(), Lease)


@pytest.mark.parametrize("turns", range(1, 4))
async def test_a_claim_that_is_cancelled_while_the_store_fails_is_cancelled(turns: int) -> None:
    """There may be nothing to give back, and nobody to whom; the caller's cancel is what counts."""
    one, _ = await two()
    one.store.broken = True
    taking = asyncio.ensure_future(one.ownership.attempt())
    for _ in range(turns):
        await asyncio.sleep(0)
    taking.cancel()
    await settle()
    assert taking.cancelled()
