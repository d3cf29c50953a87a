"""Definitions change while orders live: versions side by side, and orders that nobody here can run."""

import asyncio

import pytest

from atone import (
    CancelAnswer,
    Coordinator,
    DefinitionError,
    DidNotHappen,
    Handle,
    Happened,
    MemoryStore,
    ParkReason,
    PermanentError,
    Retry,
    Saga,
    SendAnswer,
    Status,
    receive,
)
from tests.manual_runtime import settle
from tests.sagas.harness import Life, later
from tests.sagas.world import Approve, Order, World, effect, finding, line_of, shop

pytestmark = pytest.mark.anyio


def waiting_saga(version: int = 1, *more: str) -> Saga[Order]:
    """An approval between steps."""
    gifts = [effect(name) for name in more]
    return line_of(effect("reserve"), receive(Approve), effect("charge"), *gifts, version=version)


async def leave_one(world: World, saga: Saga[Order]) -> Life:
    """A process that leaves one order waiting."""
    async with Life([saga], world) as life:
        await life.start("old")
        await settle()
    return life


async def test_an_order_stays_with_its_version_and_start_takes_the_highest() -> None:
    """Both are registered: the old order goes on as it began, a new one has the new step."""
    world = World()
    old, new = waiting_saga(1), waiting_saga(2, "gift")
    life = await leave_one(world, old)
    async with life.successor(old, new) as heir:
        await heir.start("new")
        for id in ("old", "new"):
            await heir.coordinator.order(id).send(Approve())
            assert (await heir.outcome(id)).status is Status.COMPLETED
        assert (await heir.coordinator.order("old").status()).version == 1
        assert (await heir.coordinator.order("new").status()).version == 2
    assert [ctx.order_id for name, ctx in world.contexts if name == "gift"] == ["new"]


@pytest.mark.parametrize("replacement", ["other name", "other shape", "higher version alone"])
async def test_an_order_without_its_definition_is_shown_as_parked_without_a_commit(replacement: str) -> None:
    """With the remedy; its row is not touched."""
    sagas = {
        "other name": Saga("other", input=Order, steps=[effect("a")]),
        "other shape": waiting_saga(1, "gift"),
        "higher version alone": waiting_saga(2),
    }
    world = World()
    life = await leave_one(world, waiting_saga())
    before = life.disk.rows[1].record
    async with life.successor(sagas[replacement]) as heir:
        await heir.clock.advance(10)
        seen = await heir.coordinator.order("old").status()
        assert seen.status is Status.PARKED
        assert seen.park is not None
        assert seen.park.reason is ParkReason.DEFINITION
        assert "version 1" in str(seen.park.error)
        assert life.disk.rows[1].record is before
    assert world.log == ["reserve#1"]


async def test_it_keeps_accepting_and_heals_when_the_definition_is_back() -> None:
    """What it accepted meanwhile is consumed then."""
    world = World()
    life = await leave_one(world, waiting_saga())
    async with life.successor(waiting_saga(2)) as stranger:
        assert await stranger.coordinator.order("old").send(Approve(), id="a") is SendAnswer.ACCEPTED
        await stranger.clock.advance(5)
    async with stranger.successor(waiting_saga(1), waiting_saga(2)) as heir:
        assert (await heir.outcome("old")).status is Status.COMPLETED


async def test_a_cancel_of_an_order_without_definition_waits_for_it() -> None:
    """It is on disk, and decided when the definition is back."""
    world = World()
    life = await leave_one(world, waiting_saga())
    async with life.successor(waiting_saga(2)) as stranger:
        asking = later(stranger.coordinator.order("old").cancel("no", by="bob", id="c"))
        await stranger.clock.advance(5)
        assert not asking.done()
        asking.cancel()
    async with stranger.successor(waiting_saga(1)) as heir:
        assert (await heir.outcome("old")).status is Status.COMPENSATED
        assert await heir.coordinator.order("old").cancel("no", by="bob", id="c") is CancelAnswer.ACCEPTED


async def test_work_under_way_without_its_definition_waits_as_well() -> None:
    """Cut off by a deploy that forgot the old version: nothing is done, nothing is lost, others run."""
    world = World()
    world.script["charge"] = [asyncio.Event()]
    async with Life([shop()], world, options={"shutdown_grace": 0}) as life:
        await life.start("old")
        await settle()
    other = Saga("other", input=Order, steps=[effect("a")])
    async with life.successor(other) as stranger:
        assert (await stranger.run("new")).status is Status.COMPLETED
        assert await stranger.status("old") is Status.PARKED
    async with stranger.successor(shop()) as heir:
        assert (await heir.outcome("old")).status is Status.COMPLETED


async def test_opening_logs_how_many_orders_have_no_definition(caplog: pytest.LogCaptureFixture) -> None:
    """Nobody should learn that from a customer."""
    life = await leave_one(World(), waiting_saga())
    async with life.successor(waiting_saga(2)):
        assert "1 live orders of saga 'line' version 1 have no definition here" in caplog.text


async def test_what_is_no_part_of_the_fingerprint_may_change() -> None:
    """Code, policies and timeouts: the order goes on with the new ones."""
    world = World()
    life = await leave_one(world, waiting_saga())
    changed = line_of(effect("reserve"), receive(Approve), effect("charge", timeout=1, retry=Retry(attempts=7)))
    async with life.successor(changed) as heir:
        await heir.coordinator.order("old").send(Approve())
        assert (await heir.outcome("old")).status is Status.COMPLETED


async def test_two_sagas_of_one_name_and_version_are_refused() -> None:
    """The orders of one could not be told from those of the other."""
    with pytest.raises(DefinitionError, match="registered twice"):
        Coordinator(MemoryStore(), sagas=[shop(), shop()])


async def test_an_end_can_be_read_without_the_definition() -> None:
    """How it ended, though not with which results."""
    async with Life([shop()], World()) as life:
        await life.run("old")
    async with life.successor(Saga("other", input=Order, steps=[effect("a")])) as heir:
        handle: Handle = heir.coordinator.order("old")
        assert (await handle.status()).status is Status.COMPLETED
        assert (await handle.outcome()).status is Status.COMPLETED


@pytest.mark.parametrize(("pivot", "status"), [(False, Status.COMPENSATED), (True, Status.PARKED)])
async def test_a_retry_that_a_release_before_has_scheduled_is_not_sent_once_the_step_must_not_be_repeated(
    pivot: bool, status: Status
) -> None:
    """Whoever finds that a participant takes a repeat for new, and says so, must not pay for it once more."""
    world = World()
    world.script["charge"] = [OSError("lost")]
    retry = Retry(first=30.0, jitter=0.0)
    life = await leave_one(world, line_of(effect("charge", pivot=pivot, undo=not pivot, retry=retry)))
    once = line_of(effect("charge", pivot=pivot, undo=not pivot, retry=retry, repeatable=False))
    async with life.successor(once) as heir:
        await heir.reach(status, "old")
    assert world.count("charge") == 1


async def test_a_step_that_has_refused_is_not_sent_again_because_a_release_allows_more_attempts() -> None:
    """The refusal ended the retries for good; that the probe answers later changes nothing."""
    world = World()
    world.script["charge"] = [OSError("lost"), PermanentError("no")]
    world.script["charge.probe"] = [finding(DidNotHappen), OSError("down")]
    life = await leave_one(world, line_of(effect("charge", probe=True, retry=Retry(attempts=3, first=0.0))))
    world.script["charge.probe"] = [finding(DidNotHappen)]
    patient = line_of(effect("charge", probe=True, retry=Retry(attempts=9, first=0.0)))
    async with life.successor(patient) as heir:
        assert (await heir.outcome("old")).status is Status.COMPENSATED
    assert world.count("charge") == 2


async def test_a_release_that_forbids_repeats_and_brings_a_probe_asks_it_about_an_order_in_a_pause() -> None:
    """The charge took place: nothing has to be undone, or looked up by a person."""
    world = World()
    world.script["charge"] = [OSError("the answer was lost")]
    retry = Retry(first=30.0, jitter=0.0)
    life = await leave_one(world, line_of(effect("charge", pivot=True, undo=False, retry=retry)))
    world.script["charge.probe"] = [finding(Happened)]
    asks = line_of(effect("charge", pivot=True, undo=False, retry=retry, repeatable=False, probe=True))
    async with life.successor(asks) as heir:
        assert (await heir.outcome("old")).status is Status.COMPLETED
    assert world.log == ["charge#1", "charge.probe#1"]
