"""What goes wrong at participants: every call under every key, there and on the way back."""

import asyncio
import contextlib
from typing import Any, Protocol, cast

import pytest
from attrs import define

from atone import PermanentError, Retry, Saga, Status, Step, StepContext, step
from atone.testing import FakeService, Flaw, SagaFailure, Simulation, action, campaign, crash_everywhere
from atone.testing.campaign import Campaign
from atone.testing.disturbance import History, Seen
from tests.testing.shop import SERVICES, Carrier, Order, Payments, charge, ship, shop


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The histories of a crash test, as they are played."""
    told: list[str] = []
    play = Campaign.play

    def tell(self: Campaign, history: History, *, watch: bool = False) -> Seen:
        told.append(str(history))
        return play(self, history, watch=watch)

    monkeypatch.setattr(Campaign, "play", tell)
    return told


def charging(times: int, *, honest: bool) -> Saga[Order]:
    """A saga that charges several times in one step; an honest one does not say then that nothing was charged."""

    @step
    async def charge_each(order: Order, payments: Payments, ctx: StepContext) -> None:
        for number in range(times):
            try:
                await payments.charge(key=f"{ctx.key}/{number}")
            except PermanentError as error:
                if honest and number:
                    raise RuntimeError("some of it was charged") from error
                raise

    @charge_each.compensation
    async def refund_each(order: Order, payments: Payments, ctx: StepContext) -> None:
        for number in reversed(range(times)):
            await payments.refund(key=f"{ctx.action_key}/{number}")

    return Saga("charging", input=Order, steps=[charge_each, ship])


def found_in(saga: Saga[Order], services: Any = (Payments, Carrier)) -> str:
    """The history in which the crash test of a saga fails, which fails there again."""
    beforehand = [Flaw.RAISES, Flaw.SWALLOWS]  # what a rehearsal names of these
    with pytest.raises(SagaFailure, match="S2 net zero") as caught:
        crash_everywhere(saga, Order(), services, allow=beforehand)
    history = str(caught.value).rpartition("='")[2].partition("'")[0]  # of the command, with pytest or without
    with pytest.raises(SagaFailure, match="S2 net zero"):
        crash_everywhere(saga, Order(), services, allow=beforehand, only=history)
    return history


# ── every key ──


def test_the_second_charge_of_a_loop_is_refused_as_well() -> None:
    """The step says then that nothing happened, and the first one stands."""
    assert found_in(charging(2, honest=False)) == "charge#2=refused@"


class Port(FakeService):
    """Lets a ship out, and tells."""

    clear = action()
    announce = action()


def test_a_pivot_that_says_nothing_happened_after_its_first_effect() -> None:
    """The order is undone, and what the pivot did stands."""

    @step(pivot=True)
    async def sail(order: Order, port: Port, ctx: StepContext) -> None:
        await port.clear(key=ctx.key)
        await port.announce(key=ctx.key)

    with pytest.raises(SagaFailure, match=r"Port\.clear of step sail stands, and the order is COMPENSATED"):
        crash_everywhere(Saga("sail", input=Order, steps=[charge, sail]), Order(), [Payments, Port])


def test_a_loop_that_says_the_truth_survives() -> None:
    """Every charge of it was refused, and late, and the process died in the first of these and the last."""
    coverage = crash_everywhere(charging(3, honest=True), Order(), [Payments, Carrier])
    assert coverage.complete
    assert set(coverage.ends) == {Status.COMPLETED, Status.COMPENSATED, Status.PARKED}


def test_the_second_step_with_an_action_is_disturbed_as_well() -> None:
    """It takes an answer that is late for a refusal."""

    @step(timeout=5, retry=Retry(attempts=1))
    async def again(order: Order, payments: Payments, ctx: StepContext) -> None:
        try:
            async with asyncio.timeout(1):
                await payments.charge(key=ctx.key)
        except TimeoutError as error:
            raise PermanentError("no answer") from error

    @again.compensation
    async def refund_again(order: Order, payments: Payments, ctx: StepContext) -> None:
        await payments.refund(key=ctx.action_key)

    @step(timeout=5)
    async def once(order: Order, payments: Payments, ctx: StepContext) -> None:
        await payments.charge(key=ctx.key)

    @once.compensation
    async def refund_once(order: Order, payments: Payments, ctx: StepContext) -> None:
        await payments.refund(key=ctx.action_key)

    assert found_in(Saga("both", input=Order, steps=[once, again, ship])) == "charge#2=late@"


async def test_all_calls_under_one_key_share_its_fate() -> None:
    """Those under other keys do not, and what a test has planned for the next call is not used up."""
    with Simulation(shop, provide=[payments := Payments()]) as sim:
        History.parse("charge#2=refused@").prepare(sim)
        call = payments.charge
        call.plan("lost")
        fates = []
        for key in ("a", "b", "b", "c"):
            payments.ledger.sent.append(("charge", key))
            fates.append(str(payments._fate(call, key, sim.world)))
    assert fates == ["lost", "refused", "refused", "ok"]


class Vans(FakeService):
    """Has an action that another service has as well."""

    charge = action(undo="refund")


def test_services_with_calls_of_one_name_are_disturbed_one_by_one(played: list[str]) -> None:
    """A refusal of both would never come to the second."""

    @step
    async def fill(order: Order, vans: Vans, ctx: StepContext) -> None:
        await vans.charge(key=ctx.key)

    @fill.compensation
    async def empty(order: Order, vans: Vans, ctx: StepContext) -> None:
        await vans.refund(key=ctx.action_key)

    crash_everywhere(Saga("vans", input=Order, steps=[charge, fill, ship]), Order(), [Payments, Vans, Carrier])
    assert {"Payments.charge=refused@", "Vans.charge=refused@"} <= set(played)
    assert "Vans.charge=refused,Payments.refund=lost@" in played


class Main(Protocol):
    """One provider of payments."""


class Spare(Protocol):
    """Another one."""


def test_two_fakes_of_one_class_are_disturbed_one_by_one(played: list[str]) -> None:
    """Each has a name of its own, and no history is played twice."""

    @step
    async def first(order: Order, main: Main, ctx: StepContext) -> None:
        await cast("Payments", main).charge(key=ctx.key)

    @first.compensation
    async def first_back(order: Order, main: Main, ctx: StepContext) -> None:
        await cast("Payments", main).refund(key=ctx.action_key)

    @step
    async def second(order: Order, spare: Spare, ctx: StepContext) -> None:
        await cast("Payments", spare).charge(key=ctx.key)

    @second.compensation
    async def second_back(order: Order, spare: Spare, ctx: StepContext) -> None:
        await cast("Payments", spare).refund(key=ctx.action_key)

    crash_everywhere(Saga("two", input=Order, steps=[first, second]), Order(), {Main: Payments, Spare: Payments})
    assert {"Payments.charge=refused@", "Payments2.charge=refused@"} <= set(played)
    assert len(set(played)) == len(played)


def test_the_process_dies_in_the_first_and_the_last_of_many(played: list[str]) -> None:
    """What happens to those in between is tried, but not a death with it: a loop may be long."""
    crash_everywhere(charging(4, honest=True), Order(), [Payments, Carrier])
    killed = {history.partition("=")[0] for history in played if history.endswith("=refused@1")}
    assert killed == {"charge", "charge#4", "ship"}
    assert {"charge#2=late@", "charge#3=late@"} <= set(played)


# ── the way back ──


def undoing(wrong: type[Exception]) -> Step[..., None]:
    """A step whose compensation takes some failure of its request for good."""

    @step
    async def pay(order: Order, payments: Payments, ctx: StepContext) -> None:
        await payments.charge(key=ctx.key)

    @pay.compensation
    async def repay(order: Order, payments: Payments, ctx: StepContext) -> None:
        with contextlib.suppress(wrong):
            await payments.refund(key=ctx.action_key)

    return pay


@pytest.mark.parametrize(
    ("wrong", "history"),
    [(ConnectionError, "ship=refused,refund=lost@"), (PermanentError, "ship=refused,refund=refused@")],
)
def test_a_compensation_that_passes_over_a_failure_is_found(wrong: type[Exception], history: str) -> None:
    """Its order says COMPENSATED, and the money is gone."""
    assert found_in(Saga("careless", input=Order, steps=[undoing(wrong), ship])) == history


def test_a_compensation_that_gives_up_waiting_is_found() -> None:
    """The undo is never answered, and never arrives."""

    @step
    async def pay(order: Order, payments: Payments, ctx: StepContext) -> None:
        await payments.charge(key=ctx.key)

    @pay.compensation
    async def repay(order: Order, payments: Payments, ctx: StepContext) -> None:
        await asyncio.wait({asyncio.ensure_future(payments.refund(key=ctx.action_key))}, timeout=1)

    assert "refund=" in found_in(Saga("hasty", input=Order, steps=[pay, ship]))


def test_an_undo_fails_with_the_result_of_its_action_and_without(played: list[str]) -> None:
    """After a refusal of a later step, and after a doubt about its own."""
    crash_everywhere(shop, Order(), SERVICES)
    undos = {history for history in played if "," in history}
    pairs = {"charge=refused,release", "reserve=late,release", "ship=refused,refund", "charge=late,refund"}
    assert undos == {f"{pair}={fate}@" for pair in pairs for fate in ("lost", "hang", "refused")}


@crash_everywhere(shop, services=SERVICES)
async def test_a_test_of_ones_own_meets_no_refused_undo(sim: Simulation) -> None:
    """What stands then is no fault of the saga, and no test could tell."""
    order = await sim.start(shop, Order())
    await sim.settle()
    assert sim.effects(order) != {"reserve"}


# ── what comes first ──


def test_every_run_is_killed_before_any_recovery_is(played: list[str]) -> None:
    """A budget that ends the search has then seen the most of it."""
    crash_everywhere(Saga("short", input=Order, steps=[ship]), Order(), [Carrier], crashes=2)
    deaths = [len(History.parse(history).crashes) for history in played]
    assert deaths == sorted(deaths)
    assert set(deaths) == {0, 1, 2}


@pytest.mark.parametrize("number", [3, 9, 40])
def test_what_was_not_played_is_not_counted(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However soon the budget is used up."""
    monkeypatch.setattr(campaign, "time", Clock(number))
    coverage = crash_everywhere(shop, Order(), SERVICES, budget=0)
    assert not coverage.complete
    assert coverage.histories == 1 + coverage.disturbances + coverage.kills == number


@define
class Clock:
    """One by which a budget of nothing is used up after so many histories."""

    left: int

    def perf_counter(self) -> float:
        """Long ago; and then long past."""
        self.left -= 1
        return 0.0 if self.left >= 0 else float("inf")


def test_a_process_may_be_let_live() -> None:
    """Without deaths, the rest is tried."""
    coverage = crash_everywhere(shop, Order(), SERVICES, crashes=0)
    assert (coverage.kills, coverage.histories) == (0, 1 + coverage.disturbances)


def test_a_history_that_disturbs_nothing_is_named() -> None:
    """It would hold, and nothing would have been tried."""
    with pytest.raises(RuntimeError, match="'charge#2=refused@' disturbs a call that nothing has asked for"):
        crash_everywhere(shop, Order(), SERVICES, only="charge#2=refused")
    with pytest.raises(LookupError, match="no service has a call 'pay'"):
        crash_everywhere(shop, Order(), SERVICES, only="pay=refused")
