"""Sagas that look strange and are sound: no check takes them for broken."""

import asyncio
import contextlib
import functools
import gc
import warnings
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import define, field, frozen

from atone import DidNotHappen, Happened, NeverWillHappen, PermanentError, Probe, Retry, Saga, Status, StepContext, step
from atone.sagas import Step
from atone.testing import FakeService, FaultPlan, Mishap, Simulation, action, crash_everywhere, rehearse, simulate
from tests.testing.shop import Order, Payments, Stock

LONG = 8 * 3600


@define(eq=False)
class Pool:
    """A client whose requests are all sent by one worker, which the first of them starts."""

    worker: asyncio.Task[None] | None = None
    queue: asyncio.Queue[tuple[Awaitable[Any], asyncio.Future[Any]]] = field(init=False)

    async def ask(self, request: Awaitable[Any]) -> Any:
        """Have a request sent."""
        loop = asyncio.get_running_loop()
        if self.worker is None or self.worker.get_loop() is not loop:
            self.queue = asyncio.Queue()
            self.worker = loop.create_task(self._work())
        answer: asyncio.Future[Any] = loop.create_future()
        self.queue.put_nowait((request, answer))
        return await answer

    async def _work(self) -> None:
        while True:
            request, answer = await self.queue.get()
            try:
                result = await request
            except Exception as error:  # noqa: BLE001  # whatever it is, it is the asker's
                if not answer.done():
                    answer.set_exception(error)
            else:
                if not answer.done():
                    answer.set_result(result)


@step(timeout=10)
async def book(order: Order, stock: Stock, pool: Pool, ctx: StepContext) -> str:
    """Ask through the worker."""
    receipt: str = await pool.ask(stock.reserve(key=ctx.key))
    return receipt


@book.compensation
async def unbook(stock: Stock, pool: Pool, ctx: StepContext) -> None:
    """And so here."""
    await pool.ask(stock.release(key=ctx.action_key))


@step(timeout=10)
async def pay(order: Order, payments: Payments, pool: Pool, ctx: StepContext) -> str:
    """Served by the worker that another step began."""
    receipt: str = await pool.ask(payments.charge(key=ctx.key))
    return receipt


@pay.compensation
async def repay(payments: Payments, pool: Pool, ctx: StepContext) -> None:
    """And so here."""
    await pool.ask(payments.refund(key=ctx.action_key))


pooled = Saga("pooled", input=Order, steps=[book, pay])


def test_a_clients_worker_outlives_the_step_that_began_it() -> None:
    """It is no forgotten task, and serves the next step as well."""
    assert rehearse(pooled, Order(), [Stock, Payments, Pool]) == []


async def test_a_clients_worker_asks_for_whoever_comes() -> None:
    """What it sends is not put down to the attempt in which it began."""
    with Simulation(pooled, provide=[Stock, Payments, Pool]) as sim:
        for _ in range(3):
            await sim.start(pooled, Order())
        await sim.settle()
        sim.check()


@define(eq=False)
class Notes:
    """A database of the step's own, which outlives its process."""

    done: set[str] = field(factory=set)


@step(timeout=10)
async def reserve_both(order: Order, stock: Stock, notes: Notes, ctx: StepContext) -> None:
    """Two requests, and a note behind each."""
    for key in (f"{ctx.key}-a", f"{ctx.key}-b"):
        if key not in notes.done:
            try:
                await stock.reserve(key=key)
            except PermanentError as error:
                raise RuntimeError("something may be reserved") from error
            notes.done.add(key)
            await asyncio.sleep(0.01)


@reserve_both.compensation
async def release_both(stock: Stock, ctx: StepContext) -> None:
    """Whatever was noted."""
    for key in (f"{ctx.action_key}-b", f"{ctx.action_key}-a"):
        await stock.release(key=key)


def test_a_step_that_notes_how_far_it_came() -> None:
    """The attempt after a crash asks for the rest alone."""
    noted = Saga("noted", input=Order, steps=[reserve_both])
    assert crash_everywhere(noted, Order(), {Stock: Stock, Notes: Notes()}).kills


class Bank(FakeService):
    """Holds the money first, and takes it later, under one key."""

    authorise = action(undo="void")
    capture = action()


@frozen
class Held:
    """What the capture needs."""

    key: str


@step
async def authorise(order: Order, bank: Bank, ctx: StepContext) -> Held:
    """Hold the money."""
    await bank.authorise(key=ctx.key)
    return Held(ctx.key)


@authorise.compensation
async def void(bank: Bank, ctx: StepContext) -> None:
    """Let it go."""
    await bank.void(key=ctx.action_key)


@step(pivot=True)
async def capture(authorise: Held, bank: Bank, ctx: StepContext) -> str:
    """Take what is held, under the key that the result carries."""
    receipt: str = await bank.capture(key=authorise.key)
    return receipt


def test_a_key_that_a_result_carries_to_a_later_step() -> None:
    """It was made from `ctx.key`, and is the same at each attempt."""
    assert crash_everywhere(Saga("bank", input=Order, steps=[authorise, capture]), Order(), [Bank]).kills


async def test_a_step_that_takes_hours_is_not_stuck() -> None:
    """It may take as long as its timeout says."""

    @step(timeout=LONG, retry=Retry(attempts=1))
    async def age(order: Order, stock: Stock, ctx: StepContext) -> str:
        await asyncio.sleep(LONG - 60)
        receipt: str = await stock.reserve(key=ctx.key)
        return receipt

    @age.compensation
    async def discard(stock: Stock, ctx: StepContext) -> None:
        await stock.release(key=ctx.action_key)

    cheese = Saga("cheese", input=Order, steps=[age], deadline=timedelta(days=1))
    with Simulation(cheese, provide=[Stock]) as sim:
        await sim.start(cheese, Order())
        await sim.settle()
        assert sim.ends() == ["COMPLETED"]
        sim.check()


class Desk(FakeService):
    """Two things that are let go at once."""

    seat = action(undo="unseat")
    lamp = action(undo="unlamp")
    look = action(read_only=True)


@step
async def settle_in(desk: Desk, ctx: StepContext) -> None:
    """Take both."""
    await asyncio.gather(desk.seat(key=ctx.key), desk.lamp(key=ctx.key))


@settle_in.compensation(timeout=20)
async def leave(desk: Desk, ctx: StepContext) -> None:
    """Look first, for nothing; try twice, and let both go at once, so that one goes on where the other has failed."""
    with contextlib.suppress(Exception):  # what it says is of no use
        await desk.look(key=ctx.key)
    try:
        await asyncio.gather(desk.unseat(key=ctx.action_key), desk.unlamp(key=ctx.action_key))
    except Exception:  # noqa: BLE001  # once more
        await asyncio.gather(desk.unseat(key=ctx.action_key), desk.unlamp(key=ctx.action_key))
    else:
        return


def test_a_compensation_that_overcomes_trouble_by_itself() -> None:
    """It swallows errors, and nothing is left behind."""
    assert rehearse(Saga("desk", input=Order, steps=[settle_in]), Order(), [Desk]) == []


@step
async def lit(desk: Desk, ctx: StepContext) -> None:
    """Take a lamp."""
    await desk.lamp(key=ctx.key)


@lit.compensation
async def unlit(desk: Desk, ctx: StepContext) -> None:
    """Give it back, and look whether that was heard."""
    try:
        await desk.unlamp(key=ctx.action_key)
    except Exception:
        if desk.standing(ctx.action_key):
            raise


def test_a_compensation_that_looks_whether_it_was_heard() -> None:
    """It lets an error out where something stands, and no other."""
    assert rehearse(Saga("lamp", input=Order, steps=[lit]), Order(), [Desk]) == []


async def close_or_find(desk: Desk, ctx: StepContext) -> Probe[None]:
    """Take back what may have been asked for: what was closed so will never happen."""
    if desk.standing(ctx.action_key):
        return Happened(None)
    await desk.unlamp(key=ctx.action_key)
    return NeverWillHappen()


async def already_there(desk: Desk, ctx: StepContext) -> Probe[None]:
    """Ask for the state of the world instead of one's own key."""
    return Happened(None) if any(desk.ledger.standing.values()) else DidNotHappen()


@step
async def lit_once(desk: Desk, ctx: StepContext) -> None:
    """Take a lamp, where there is none yet."""
    if not any(desk.ledger.standing.values()):
        await desk.lamp(key=ctx.key)


@pytest.mark.parametrize("probe", [close_or_find, already_there])
def test_a_probe_that_closes_the_key_or_looks_at_the_world(probe: Callable[..., Any]) -> None:
    """What it says is true, whichever way it came to know."""

    def made(name: str, act: Callable[..., Any]) -> Step[..., Any]:
        one = step(name=name)(act)
        one.compensation(unlit)
        one.probe(probe)
        return one

    lamps = [made("first", lit.action.function)]
    if probe is already_there:
        lamps.append(made("second", lit_once.action.function))
    assert rehearse(Saga("lamps", input=Order, steps=lamps), Order(), [Desk]) == []


@step
async def lit_in_time(desk: Desk, ctx: StepContext) -> None:
    """Take a lamp, or close the key: then it is certain that nothing comes of it."""
    try:
        async with asyncio.timeout(2):
            await desk.lamp(key=ctx.key)
    except (TimeoutError, ConnectionError) as error:
        await desk.unlamp(key=ctx.key)
        raise PermanentError("too slow") from error


lit_in_time.compensation(unlit)


def test_a_step_that_closes_its_key_before_it_says_that_nothing_happened() -> None:
    """It tells the truth: what comes late is refused."""
    assert rehearse(Saga("lamp", input=Order, steps=[lit_in_time]), Order(), [Desk]) == []


class Door(FakeService):
    """Lets people in."""

    enter = action(undo="leave")
    note = action(read_only=True)


@step(timeout=5)
async def visit(door: Door, ctx: StepContext) -> None:
    """Try twice, within a time of its own, and clean up in any case: by what was asked before, and more."""
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                await door.enter(key=ctx.key)
                return
        await asyncio.shield(door.enter(key=ctx.key))
    except asyncio.CancelledError:
        await door.leave(key=ctx.key)
        await door.note(key=ctx.key)
        raise
    finally:
        await door.note(key=ctx.key)


@visit.compensation
async def leave_door(door: Door, ctx: StepContext) -> None:
    """Leave."""
    await door.leave(key=ctx.action_key)


def test_a_step_that_cleans_up_when_its_timeout_has_come() -> None:
    """It begins nothing new, and may undo what it did."""
    assert rehearse(Saga("door", input=Order, steps=[visit]), Order(), [Door]) == []


class Gate(FakeService):
    """A barrier that is closed for a while, and two lanes."""

    close = action(undo="open")
    left = action(undo="leave_left")
    right = action(undo="leave_right")


@step
async def close_gate(gate: Gate, ctx: StepContext) -> Held:
    """Keep others out."""
    await gate.close(key=ctx.key)
    return Held(ctx.key)


@close_gate.compensation
async def open_gate(gate: Gate, ctx: StepContext) -> None:
    """Let them in again."""
    await gate.open(key=ctx.action_key)


@step
async def take_a_lane(gate: Gate, ctx: StepContext) -> str:
    """Both lanes or none: where the second is not to be had, the first is given back."""
    await gate.left(key=ctx.key)
    try:
        receipt: str = await gate.right(key=ctx.key)
    except PermanentError:
        receipt = "none"
    if receipt == "none":
        try:
            await gate.leave_left(key=ctx.key)
        except PermanentError as error:
            raise RuntimeError("the left one is taken") from error
    return receipt


@take_a_lane.compensation
async def leave_lanes(gate: Gate, ctx: StepContext) -> None:
    """Whichever was taken."""
    await gate.leave_right(key=ctx.action_key)
    await gate.leave_left(key=ctx.action_key)


@step(pivot=True)
async def open_again(close_gate: Held, gate: Gate) -> None:
    """The way forward lets go of what it took."""
    await gate.open(key=close_gate.key)


@step
async def pay_toll(payments: Payments, ctx: StepContext) -> str:
    """Behind it all."""
    receipt: str = await payments.charge(key=ctx.key)
    return receipt


@pay_toll.compensation
async def repay_toll(payments: Payments, ctx: StepContext) -> None:
    """Undone first."""
    await payments.refund(key=ctx.action_key)


def test_a_way_forward_that_lets_go_of_what_it_took() -> None:
    """A later step gives a lock back, and a step a part of what it took: no rollback, and no effect that is missing."""
    toll = Saga("toll", input=Order, steps=[close_gate, take_a_lane, pay_toll, open_again])
    assert crash_everywhere(toll, Order(), [Gate, Payments]).ends["COMPLETED"]


def test_a_way_back_behind_what_was_let_go() -> None:
    """A lane was given back on the way forward: what is undone after that stands behind it, and is in order."""
    toll = Saga("toll", input=Order, steps=[close_gate, take_a_lane, pay_toll, open_again])
    refused = FaultPlan(Mishap("right", "refused"), Mishap("open", "refused"))
    with simulate(toll, Order(), [Gate, Payments], faults=refused) as sim:
        assert (sim.status("1"), sim.effects("1")) == (Status.COMPENSATED, set())


def traced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Hides that a function is an `async def`."""

    @functools.wraps(function)
    def wrapper(*args: object, **kwargs: object) -> object:
        return function(*args, **kwargs)

    return wrapper


def test_a_decorated_step_whose_process_dies_before_it_has_begun() -> None:
    """Nobody is warned of what the dead did not await."""
    pay = step(name="pay")(traced(pay_toll.action.function))
    pay.compensation(traced(repay_toll))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert crash_everywhere(Saga("traced", input=Order, steps=[pay]), Order(), [Payments]).kills
        gc.collect()
    assert [str(one.message) for one in caught] == []
