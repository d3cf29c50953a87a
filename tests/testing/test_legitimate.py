"""Sagas that look strange and are sound: no check takes them for broken."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

from attrs import define, field, frozen

from atone import PermanentError, Retry, Saga, StepContext, step
from atone.testing import FakeService, Simulation, action, crash_everywhere, rehearse
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
