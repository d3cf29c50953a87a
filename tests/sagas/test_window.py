"""The window: how many orders are in memory, who has to wait on disk for its turn, and who has not."""

import asyncio

import pytest

from atone import CancelAnswer, Saga, SendAnswer, Status, receive
from atone.actors import Limits
from tests.manual_runtime import settle
from tests.sagas.harness import TWICE, Life
from tests.sagas.world import Approve, Order, World, effect, line_of

pytestmark = pytest.mark.anyio

SLOW = line_of(effect("reserve"), effect("ship", pivot=True, undo=False))
WAITS = Saga("waits", input=Order, steps=[receive(Approve), effect("pack"), effect("ship", pivot=True, undo=False)])
NARROW = {"limits": Limits(poll=0.5, scan=1.0, window=10, reserve=5, recovering=8, page=4)}


def in_memory(life: Life) -> int:
    """How many orders the host has in memory."""
    supervisor = life.coordinator._access.supervisor
    assert supervisor is not None
    return len(supervisor.actors)


async def test_orders_started_at_once_do_not_outgrow_the_window() -> None:
    """All of them are on disk when `start` returns; those without a place have their turn in order of arrival."""
    world = World()
    ends = [asyncio.Event() for _ in range(60)]
    world.script["reserve"] = list(ends)
    async with Life([SLOW], world, options=NARROW) as life:
        handles = await asyncio.gather(*(life.start(str(number)) for number in range(60)))
        await settle()
        assert in_memory(life) == 10
        most = 0
        for end in ends:
            end.set()
            await life.clock.advance(0.5)
            most = max(most, in_memory(life))
        await life.clock.advance(2)
        assert most <= 10
        assert [(await handle.status()).status for handle in handles] == [Status.COMPLETED] * 60
        begun = [context.order_id for name, context in world.contexts if name == "reserve"]
        assert begun == [str(number) for number in range(60)]


async def test_who_waits_for_a_place_is_not_overtaken_by_later_ones() -> None:
    """A place that falls free belongs to the order that has waited longest, and not to the next that is started."""
    world = World()
    ends = [asyncio.Event() for _ in range(13)]
    world.script["reserve"] = list(ends)
    async with Life([SLOW], world, options=NARROW) as life:
        for number in range(12):
            await life.start(str(number))
        ends[0].set()
        await settle()
        assert in_memory(life) == 9
        late = await life.start("late")
        assert world.count("reserve") == 10
        await life.clock.advance(0.5)
        assert [context.order_id for _, context in world.contexts][-1] == "10"
        for end in ends:
            end.set()
        await life.clock.advance(5)
        assert (await late.status()).status is Status.COMPLETED


async def test_a_new_order_takes_no_detour_where_there_is_room_for_all_who_wait() -> None:
    """Otherwise a host that was once full would have everybody queue for as long as orders keep coming."""
    world = World()
    ends = [asyncio.Event() for _ in range(13)]
    world.script["reserve"] = list(ends)
    async with Life([SLOW], world, options=NARROW) as life:
        for number in range(12):
            await life.start(str(number))
        for end in ends[:4]:
            end.set()
        await settle()
        assert in_memory(life) == 6
        await life.start("new")
        assert in_memory(life) == 7
        for end in ends:
            end.set()
        await life.clock.advance(5)


async def test_a_new_order_is_begun_at_once_when_nobody_waits_any_more() -> None:
    """The detour by the disk lasts no longer than the crowd."""
    world = World()
    world.script["reserve"] = [end := asyncio.Event()] * 12
    async with Life([SLOW], world, options=NARROW) as life:
        for number in range(12):
            await life.start(str(number))
        end.set()
        await life.clock.advance(2)
        await life.start("new")
        await settle()
        assert await life.status("new") is Status.COMPLETED


async def crowd(life: Life, world: World) -> None:
    """Fill the window with long work, and the reserve with orders whose message has come."""
    waiting = [f"w{number}" for number in range(20)]
    for id in waiting:
        await life.coordinator.start(WAITS, Order(), id=id)
    await settle()
    assert in_memory(life) == 0
    world.script["reserve"] = [asyncio.Event() for _ in range(10)]
    world.script["pack"] = [asyncio.Event() for _ in waiting]
    for number in range(10):
        await life.start(str(number))
    for id in waiting:
        assert await life.coordinator.order(id).send(Approve()) is SendAnswer.ACCEPTED
    await settle()


async def test_a_message_is_not_held_up_by_new_work() -> None:
    """What waits is woken while the window is full, as far as the reserve goes; the rest in its turn."""
    world = World()
    async with Life([SLOW, WAITS], world, options=NARROW) as life:
        await crowd(life, world)
        assert in_memory(life) == 15
        assert world.count("pack") == 5
        life.die()


async def test_a_cancel_is_decided_while_window_and_reserve_are_full() -> None:
    """Of an order that waits, and of one that stands in line for its message: no time passes until the answer."""
    world = World()
    async with Life([SLOW, WAITS], world, options=NARROW) as life:
        await life.coordinator.start(WAITS, Order(), id="quiet")
        await crowd(life, world)
        for id in ("quiet", "w19"):
            asking = asyncio.ensure_future(life.coordinator.order(id).cancel("changed my mind", by="bob"))
            await settle()
            assert asking.done()
            assert asking.result() is CancelAnswer.ACCEPTED
            assert await life.status(id) is Status.COMPENSATED
        life.die()


async def test_a_cancel_by_another_process_is_noticed_before_its_messages() -> None:
    """However many of these it has sent before."""
    world = World()
    async with Life([SLOW, WAITS], world, options=NARROW) as life, life.beside(host=False) as script:
        await life.coordinator.start(WAITS, Order(), id="quiet")
        await crowd(life, world)
        asking = asyncio.ensure_future(script.coordinator.order("quiet").cancel("changed my mind", by="bob"))
        await life.clock.advance(1)
        assert asking.done()
        assert asking.result() is CancelAnswer.ACCEPTED
        life.die()


async def test_orders_whose_pauses_a_clock_set_back_has_made_long_leave_their_places() -> None:
    """New orders begin meanwhile, and when the clock is right again, the pauses end as well."""
    world = World()
    world.script["reserve"] = [OSError("down")] * 10
    flaky = line_of(effect("reserve", retry=TWICE), effect("ship", pivot=True, undo=False))
    async with Life([flaky], world, options=NARROW) as life:
        handles = [await life.start(str(number)) for number in range(10)]
        await settle()
        assert in_memory(life) == 10
        life.clock.wall -= 5 * 3600
        await life.clock.advance(3)
        assert world.count("reserve") == 10
        new = await life.start("new")
        await life.clock.advance(3)
        assert (await new.status()).status is Status.COMPLETED
        life.clock.wall += 5 * 3600
        await life.clock.advance(10)
        assert [(await handle.status()).status for handle in handles] == [Status.COMPLETED] * 10
