"""A simulated service, from the client's side."""

import asyncio
import gc
import time
from collections.abc import Awaitable, Iterator
from datetime import timedelta
from typing import Literal, Protocol, cast

import pytest

from atone import CauseKind, Coordinator, ParkReason, Retry, Saga, SendAnswer, Status, StepContext, receive, step
from atone.sagas import CancelAnswer
from atone.sagas.runner import Runner
from atone.testing import SagaFailure, Simulation, outcomes
from tests.testing.shop import (
    SERVICES,
    Approve,
    Carrier,
    Decline,
    Order,
    Payments,
    Stock,
    charge,
    patient,
    reserve,
    ship,
    shop,
)

STORES: list[Literal["memory", "sqlite"]] = ["memory", "sqlite"]


@pytest.fixture(params=STORES)
def shopping(request: pytest.FixtureRequest) -> Iterator[Simulation]:
    """The shop, on each kind of store."""
    simulation = Simulation(shop, patient, provide=SERVICES, store=request.param)
    yield simulation
    simulation.close()


async def test_an_order_goes_through(shopping: Simulation) -> None:
    """Every effect stands once, and every promise holds."""
    await shopping.start(shop, Order())
    await shopping.settle()
    assert shopping.status("1") is Status.COMPLETED
    assert shopping.effects("1") == {"reserve", "charge", "ship"}
    assert shopping.outcome("1").status is Status.COMPLETED
    assert [one.event for one in shopping.history("1")] == ["BEGUN", "RETURNED", "RETURNED", "RETURNED"]
    shopping.check()


async def test_a_refused_order_leaves_nothing(shopping: Simulation) -> None:
    """What was done is undone, in reverse order."""
    shopping[Carrier].ship.plan("refused")
    await shopping.start(shop, Order())
    await shopping.settle()
    assert shopping.status("1") is Status.COMPENSATED
    assert shopping.effects("1") == set()
    shopping.check()


@pytest.mark.parametrize("point", ["before", "after"])
async def test_a_crash_at_a_named_point(shopping: Simulation, point: str) -> None:
    """A request that was sent when the process died is sent again under its key, and the effect stands once."""
    shopping.crash_at(f"charge:{point}_effect")
    await shopping.start(shop, Order())
    await shopping.settle()
    assert shopping.lives == 2
    assert shopping.effects("1") == {"reserve", "charge", "ship"}
    sent = [key for name, key in shopping[Payments].ledger.sent if name == "charge"]
    assert len(sent) == 2
    assert len(set(sent)) == 1
    shopping.check()


async def test_points_have_names(shopping: Simulation) -> None:
    """Each call of a service and each commit has a name before and after."""
    await shopping.start(shop, Order())
    await shopping.settle()
    points = shopping.crash_points()
    assert points[:4] == ["commit 1:before", "commit 1:after", "reserve:before_effect", "reserve:after_effect"]
    assert points[-1] == "commit 4:after"


async def test_a_start_that_death_cuts_off_is_repeated(shopping: Simulation) -> None:
    """The client gets its answer from the next process, and there is one order."""
    shopping.crash_at("commit 1:after")
    await shopping.start(shop, Order())
    assert shopping.lives == 2
    await shopping.settle()
    assert shopping.status("1") is Status.COMPLETED
    shopping.check()


async def test_answer_lost_then_refused_is_undone(shopping: Simulation) -> None:
    """A refusal of the second attempt says nothing of the first, which took effect."""
    shopping[Payments].charge.plan("late", "refused")
    await shopping.start(shop, Order())
    await shopping.settle()
    assert shopping.status("1") is Status.COMPENSATED
    assert shopping.effects("1") == set()
    shopping.check()


async def test_months_of_waiting_cost_nothing(shopping: Simulation) -> None:
    """A wait that runs out after 300 days is over at once, and turns the order back."""
    began = time.perf_counter()
    await shopping.start(patient, Order())
    await shopping.settle()
    assert shopping.outcome("1").status is Status.COMPENSATED
    cause = shopping.outcome("1").cause
    assert cause is not None
    assert cause.kind is CauseKind.DEADLINE
    assert shopping.world.time >= timedelta(days=300).total_seconds()
    assert time.perf_counter() - began < 5
    shopping.check()


async def test_messages_and_time_between_them(shopping: Simulation) -> None:
    """An order waits for as long as it is let, and takes the message that comes."""
    await shopping.start(patient, Order())
    await shopping.advance(10 * 24 * 3600)
    assert shopping.status("1") is Status.WAITING
    assert abs(shopping.world.time - 10 * 24 * 3600) < 1
    assert await shopping.send("1", Approve(), id="a") is SendAnswer.ACCEPTED
    assert await shopping.send("1", Approve(), id="a") is SendAnswer.DUPLICATE
    await shopping.settle()
    assert shopping.status("1") is Status.COMPLETED
    shopping.check()


async def test_a_decline_turns_back(shopping: Simulation) -> None:
    """A message can be a no."""
    await shopping.start(patient, Order())
    await shopping.send("1", Decline())
    await shopping.settle()
    assert shopping.status("1") is Status.COMPENSATED
    shopping.check()


@pytest.mark.parametrize("point", ["commit 3:before", "commit 3:after"])
async def test_a_cancel_that_death_cuts_off_is_repeated(shopping: Simulation, point: str) -> None:
    """It has one answer, which stays true."""
    await shopping.start(patient, Order())
    await shopping.advance(60)
    shopping.crash_at(point)
    assert await shopping.cancel("1", id="c") is CancelAnswer.ACCEPTED
    assert shopping.lives == 2
    await shopping.settle()
    assert await shopping.cancel("1", id="c") is CancelAnswer.ACCEPTED
    assert shopping.status("1") is Status.COMPENSATED
    shopping.check()


@pytest.mark.parametrize("seconds", [24 * 3600, -600])
async def test_a_clock_that_jumps_loses_nothing(shopping: Simulation, seconds: float) -> None:
    """The wall clock jumps in the middle of a backoff: the order ends all the same."""
    shopping[Payments].charge.plan("lost")
    await shopping.start(shop, Order())
    await shopping.advance(0.5)
    shopping.jump(seconds)
    await shopping.settle()
    assert shopping.status("1") is Status.COMPLETED
    shopping.check()


async def test_a_clock_set_back_between_two_compensations_is_no_disorder(shopping: Simulation) -> None:
    """What came after what is not told by the wall clock."""
    shopping[Carrier].ship.plan("refused")
    shopping[Stock].release.plan("lost")
    await shopping.start(shop, Order())
    while not any(line.undone for line in shopping[Payments].ledger.lines):
        await shopping.advance(0.01)
    shopping.jump(-600)
    await shopping.settle()
    assert shopping.status("1") is Status.COMPENSATED
    shopping.check()


async def test_a_restart_in_good_order_undoes_nothing(shopping: Simulation) -> None:
    """What was under way goes on in the next life."""
    await shopping.start(patient, Order())
    await shopping.restart()
    assert shopping.lives == 2
    await shopping.send("1", Approve())
    await shopping.settle()
    assert shopping.status("1") is Status.COMPLETED
    shopping.check()


async def run_with(seed: int, store: Literal["memory", "sqlite"]) -> tuple[str, int, list[str]]:
    """One run in an unreliable world, told in full."""
    misfortune = outcomes(ok=3, refused=1, lost=1, applied_answer_lost=1, late=1, hang=1)
    services = [type_(outcomes=misfortune) for type_ in SERVICES]
    simulation = Simulation(shop, provide=services, seed=seed, store=store, crashes=[20, 45])
    try:
        for number in range(3):
            await simulation.start(shop, Order(), id=str(number))
        await simulation.settle()
        simulation.check()
        return simulation.story().table(), simulation.steps, simulation.crash_points()
    finally:
        simulation.close()


@pytest.mark.parametrize("store", STORES)
async def test_a_seed_reproduces_a_run_exactly(store: Literal["memory", "sqlite"]) -> None:
    """The same trace twice: every event at the same virtual time, every point in the same order."""
    assert await run_with(5, store) == await run_with(5, store)
    assert (await run_with(6, store))[0] != (await run_with(5, store))[0]


async def test_an_unreliable_world_breaks_no_promise() -> None:
    """Whatever becomes of requests, and whenever the process dies."""
    for seed in range(60):
        await run_with(seed, "memory")


async def test_a_world_without_tombstones_shows_what_they_are_for() -> None:
    """A charge that arrives after its refund stays, where the participant does not refuse it."""
    found = []
    for tombstones in (True, False):
        simulation = Simulation(shop, provide=[Stock, Payments(tombstones=tombstones), Carrier])
        simulation[Payments].charge.plan("late", "late")
        await simulation.start(shop, Order())
        await simulation.settle()
        found.append([one.check for one in simulation.violations()])
        simulation.close()
    assert found == [[], ["S2 net zero"]]


async def test_a_participant_without_keys_charges_twice() -> None:
    """A repeat after a lost answer is a second effect, where the participant does not recognise it."""
    simulation = Simulation(shop, provide=[Stock, Payments(keys=False), Carrier])
    simulation[Payments].charge.plan("applied_answer_lost")
    await simulation.start(shop, Order())
    await simulation.settle()
    assert [one.check for one in simulation.violations()] == ["S4 exactly once"]
    simulation.close()


@pytest.fixture
def timeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that ends no attempt whose timeout has come."""
    monkeypatch.setattr(Runner, "expire", lambda *_: None)


@step(read_only=True, timeout=7200)
async def sleep(order: Order, stock: Stock, ctx: StepContext) -> None:
    """Ask, and wait for the answer."""
    await stock.reserve(key=ctx.key)


@pytest.mark.usefixtures("timeless")
async def test_an_order_that_makes_no_progress_is_reported(sim: Simulation) -> None:
    """What runs for an hour longer than any attempt may take is stuck, and the failure tells the story."""
    sim.provide(Stock)
    sim[Stock].reserve.plan("hang")
    await sim.start(Saga("slow", input=Order, steps=[sleep]), Order())
    with pytest.raises(SagaFailure, match="L1 an end") as caught:
        await sim.settle()
    assert "RUNNING for 10800 s of virtual time" in str(caught.value)
    assert "reserve?" in str(caught.value)


@pytest.mark.usefixtures("timeless")
async def test_only_an_order_at_work_is_said_to_be_stuck(sim: Simulation) -> None:
    """One that waits for a message beside it is not to blame."""
    sim.provide(Stock).reserve.plan("hang")
    await sim.start(Saga("waits", input=Order, steps=[receive(Approve)]), Order(), id="waits")
    await sim.start(Saga("slow", input=Order, steps=[sleep]), Order(), id="works")
    with pytest.raises(SagaFailure) as caught:
        await sim.settle()
    assert [one.order for one in caught.value.violations] == ["works"]


async def test_orders_without_an_id_are_numbered(sim: Simulation) -> None:
    """Two starts are two orders; the same id again is the same order, as a coordinator has it."""
    for service in SERVICES:
        sim.provide(service)
    assert [await sim.start(shop, Order(cents)) for cents in (1, 2)] == ["1", "2"]
    assert await sim.start(shop, Order(3), id="4") == "4"
    assert [await sim.start(shop, Order()) for _ in range(2)] == ["3", "5"]
    assert await sim.start(shop, Order(3), id="4") == "4"
    await sim.settle()
    assert sim.ends() == ["COMPLETED"] * 5


async def test_what_is_provided_can_be_kept(sim: Simulation) -> None:
    """A class is called, an object is returned as it is."""
    given = Stock()
    assert sim.provide(given) is given is sim[Stock]
    assert sim.provide(Payments) is sim[Payments]


class Cashier(Protocol):
    """What a step needs of a service."""

    async def charge(self, *, key: str) -> str:
        """Take money."""
        ...


async def test_what_is_provided_for_a_protocol_is_found_by_either() -> None:
    """By the protocol, which cannot be asked what is one; and by the class of the fake."""
    with Simulation(shop, provide={Cashier: Payments}) as sim:
        assert sim[Payments] is sim[cast("type[Payments]", Cashier)]


WITH_APPROVAL = Saga("shop", version=1, input=Order, steps=[reserve, receive(Approve), charge, ship])
WITHOUT = Saga("shop", version=2, input=Order, steps=[reserve, charge, ship])


async def test_a_deploy_replaces_the_program() -> None:
    """An order whose version was forgotten waits, parked, for one that has it; what it is sent meanwhile is kept."""
    with Simulation(WITH_APPROVAL, provide=SERVICES) as sim:
        old = await sim.start(WITH_APPROVAL, Order())
        await sim.deploy(WITHOUT)
        new = await sim.start(WITHOUT, Order())
        await sim.send(old, Approve())
        await sim.settle()
        sim.check()
        park = sim.inspect(old).park
        assert park is not None
        assert park.reason is ParkReason.DEFINITION
        assert sim.status(new) is Status.COMPLETED
        await sim.deploy(WITHOUT, WITH_APPROVAL)
        await sim.settle()
        assert sim.status(old) is Status.COMPLETED
        assert sim.effects(old) == sim.effects(new) == {"reserve", "charge", "ship"}
        sim.check()
        assert "a deploy: shop 2, shop 1" in [one.text for one in sim.story().moments]


async def test_a_deploy_mends_the_functions_of_a_version() -> None:
    """What is mended without another step or type may keep its version: orders under way go on with the new code."""

    def paying(*, wrongly: bool) -> Saga[Order]:
        @step(pivot=True, retry=Retry(attempts=2, first=60))
        async def pay(order: Order, payments: Payments, ctx: StepContext) -> str:
            receipt: str = await payments.charge(key=ctx.key)
            return receipt[order.cents] if wrongly else receipt

        return Saga("paying", input=Order, steps=[pay])

    broken = paying(wrongly=True)
    for deployed, end in ((broken, Status.PARKED), (paying(wrongly=False), Status.COMPLETED)):
        with Simulation(broken, provide=[Payments]) as sim:
            order = await sim.start(broken, Order())
            await sim.advance(1)
            await sim.deploy(deployed)
            await sim.settle()
            assert sim.status(order) is end
            sim.check()


async def test_the_fixture_learns_its_sagas_as_they_come(sim: Simulation) -> None:
    """A saga that is started for the first time is registered, with the process restarted in good order."""
    for service in SERVICES:
        sim.provide(service)
    await sim.start(shop, Order(), id="1")
    await sim.start(patient, Order(), id="2")
    await sim.send("2", Approve())
    await sim.settle()
    assert sim.status("1") is sim.status("2") is Status.COMPLETED
    sim.check()


class Gateway:
    """Asks through a task of its own, which nobody but asyncio holds when its asker has given up."""

    async def ask(self, request: Awaitable[str]) -> str:
        """Wait for the answer, and leave the request alone."""
        return await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(request)), 1)


@pytest.mark.parametrize("fate", ["hang", "late"])
async def test_a_request_that_is_never_answered_is_not_collected_as_garbage(fate: str) -> None:
    """When Python's collector runs is no part of a seed, and so must change nothing."""

    @step(timeout=5, retry=Retry(attempts=2, first=1.0))
    async def pay(order: Order, payments: Payments, gateway: Gateway, ctx: StepContext) -> str:
        return await gateway.ask(payments.charge(key=ctx.key))

    @pay.compensation
    async def repay(payments: Payments, ctx: StepContext) -> None:
        await payments.refund(key=ctx.action_key)

    saga = Saga("gateway", input=Order, steps=[pay])
    with Simulation(saga, provide=[Payments, Gateway]) as sim:
        sim[Payments].charge.plan(fate)
        await sim.start(saga, Order())
        await sim.advance(3)
        gc.collect()
        await sim.settle()
        sim.check()


async def test_a_process_that_dies_in_a_clients_call_tells_the_client_nothing(shopping: Simulation) -> None:
    """Not even that it is dead: what the client asks for in that very callback is asked again of the next process."""
    await shopping.start(shop, Order())
    lives: list[int] = []

    async def ask(coordinator: Coordinator) -> int:
        lives.append(shopping.lives)
        shopping.world.fuse.burnt = len(lives) == 1
        return await coordinator._access.store.last_seq()

    assert shopping._processes.ask(ask) > 0
    assert lives == [1, 2]
    await shopping.settle()
    shopping.check()
