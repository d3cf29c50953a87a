"""Steps, compensations and probes in trouble: each of their requests fails in turn, before any crash."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from atone import (
    DidNotHappen,
    Happened,
    NeverWillHappen,
    PermanentError,
    Probe,
    Saga,
    StepContext,
    StillUnknown,
    step,
)
from atone.testing import Flaw, rehearse
from tests.testing.shop import Order, Payments, Stock, reserve
from tests.testing.test_rehearsal import flaws, pay, repay, saga_of


def test_a_step_that_takes_a_lost_answer_for_a_refusal() -> None:
    """The mistake of most: nobody knows what happened, and nothing would be undone."""

    async def certain(order: Order, payments: Payments, ctx: StepContext) -> str:
        try:
            return await pay(order, payments, ctx)
        except Exception as error:
            raise PermanentError("no money") from error

    assert flaws(certain) == {
        Flaw.RAISES: "step 'pay' raised PermanentError('no money') when the answer of Payments.charge was lost, "
        "and Payments.charge stands"
    }


def test_a_step_that_takes_its_own_timeout_for_a_refusal() -> None:
    """The request is still on its way, and nobody would undo what it does."""

    async def impatient(order: Order, payments: Payments, ctx: StepContext) -> str:
        try:
            async with asyncio.timeout(1):
                return await pay(order, payments, ctx)
        except TimeoutError as error:
            raise PermanentError("too slow") from error

    assert flaws(impatient) == {
        Flaw.RAISES: "step 'pay' raised PermanentError('too slow') when Payments.charge took effect late, "
        "and Payments.charge stands"
    }


def test_the_answer_to_each_request_of_a_loop_is_lost() -> None:
    """Also where a step asks the same of a participant several times, and is careless about the last."""

    async def instalments(order: Order, payments: Payments, ctx: StepContext) -> None:
        await payments.charge(key=f"{ctx.key}/0")
        try:
            await payments.charge(key=f"{ctx.key}/1")
        except Exception as error:
            raise PermanentError("no second one") from error

    async def repay_all(payments: Payments, ctx: StepContext) -> None:
        for number in (0, 1):
            await payments.refund(key=f"{ctx.action_key}/{number}")

    lost = "when the answer of Payments.charge was lost, and Payments.charge stands"
    assert flaws(instalments, repay_all) == {Flaw.RAISES: f"step 'pay' raised PermanentError('no second one') {lost}"}


def test_a_step_that_goes_on_after_its_timeout() -> None:
    """It takes the order to end for one more error, and asks again beside whoever acts in its place."""

    async def stubborn(order: Order, payments: Payments, ctx: StepContext) -> str:
        while True:
            try:
                return await pay(order, payments, ctx)
            except BaseException:  # noqa: BLE001  # which is the mistake
                await asyncio.sleep(0.1)

    async def next_one(order: Order, payments: Payments, ctx: StepContext) -> None:
        try:
            await payments.charge(key=f"{ctx.key}/0")
        except asyncio.CancelledError:
            await payments.charge(key=f"{ctx.key}/1")

    async def repay_all(payments: Payments, ctx: StepContext) -> None:
        for number in (0, 1):
            await payments.refund(key=f"{ctx.action_key}/{number}")

    for act, undo in (stubborn, repay), (next_one, repay_all):
        assert flaws(act, undo, timeout=5) == {
            Flaw.LINGERS: "step 'pay' got no answer of Payments.charge, and called Payments.charge after its timeout: "
            "let asyncio.CancelledError out"
        }


def test_each_request_is_lost_whomever_the_steps_before_have_asked() -> None:
    """Several steps ask several participants in turn."""

    @step(pivot=True)
    async def certain(order: Order, payments: Payments, ctx: StepContext) -> str:
        try:
            return await pay(order, payments, ctx)
        except ConnectionError as error:
            raise PermanentError("no money") from error

    first = step(name="first")(pay)
    first.compensation(repay)
    saga = Saga("three", input=Order, steps=[first, reserve, certain])
    (found,) = rehearse(saga, Order(), [Payments, Stock])
    assert "step 'certain' raised PermanentError('no money') when the answer of Payments.charge" in found.detail


def careless(*errors: type[Exception]) -> Callable[..., Any]:
    """A compensation that takes these errors for granted."""

    async def careless(payments: Payments, ctx: StepContext) -> None:
        try:
            async with asyncio.timeout(1):
                await payments.refund(key=ctx.action_key)
        except errors:
            pass

    return careless


@pytest.mark.parametrize(
    ("error", "words"),
    [(Exception, "was lost"), (PermanentError, "was refused"), (TimeoutError, "got no answer")],
)
def test_a_compensation_that_swallows_an_error(error: type[Exception], words: str) -> None:
    """The engine believes that all is undone, and never calls it again."""
    assert flaws(pay, careless(error)) == {
        Flaw.SWALLOWS: f"the compensation of 'pay' returned although Payments.refund {words}, "
        "and Payments.charge stands: let the error out"
    }
    assert rehearse(saga_of(pay, careless(error)), Order(), [Payments], allow=[Flaw.SWALLOWS]) == []


def test_a_compensation_that_swallows_an_error_where_it_knows_no_result() -> None:
    """It asks for something else then, which may fail as well."""

    async def bold(pay: str | None, payments: Payments, stock: Stock, ctx: StepContext) -> None:
        if pay is not None:
            await payments.refund(key=ctx.action_key)
            return
        try:
            await stock.reserve(key=ctx.action_key)
            await payments.refund(key=ctx.action_key)
        except ConnectionError:
            pass

    (found,) = rehearse(saga_of(pay, bold), Order(), [Payments, Stock], allow=[Flaw.MISSING_COMPENSATION])
    assert "although Stock.reserve was lost, and Payments.charge stands" in found.detail


async def found(payments: Payments, ctx: StepContext) -> Probe[str]:
    """What the participant knows."""
    receipt = await payments.find_charge(key=ctx.action_key)
    return Happened(receipt) if receipt is not None else DidNotHappen()


async def always(payments: Payments, ctx: StepContext) -> Probe[str]:
    """Say yes to everything."""
    return Happened("charge-1")


async def dropped(payments: Payments, ctx: StepContext) -> Probe[str]:
    """Raise while nothing has happened."""
    return Happened((await payments.find_charge(key=ctx.action_key)).upper())


async def astray(payments: Payments, ctx: StepContext) -> Probe[str]:
    """Ask under its own key."""
    receipt = await payments.find_charge(key=ctx.key)
    return Happened(receipt) if receipt is not None else DidNotHappen()


async def hasty(payments: Payments, ctx: StepContext) -> Probe[str]:
    """Take what has not happened for what never will."""
    receipt = await payments.find_charge(key=ctx.action_key)
    return Happened(receipt) if receipt is not None else NeverWillHappen()


async def resigned(payments: Payments, ctx: StepContext) -> Probe[str]:
    """Never heard of it."""
    return NeverWillHappen() if payments.standing(ctx.action_key) else StillUnknown()


async def wordless(payments: Payments, ctx: StepContext) -> Any:
    """Return what was found."""
    return await payments.find_charge(key=ctx.action_key)


async def otherwise(payments: Payments, ctx: StepContext) -> Probe[Any]:
    """Find what cannot be kept."""
    return Happened(object()) if payments.standing(ctx.action_key) else DidNotHappen()


@pytest.mark.parametrize(
    ("probe", "flaw", "words"),
    [
        (always, Flaw.PROBE, "before its action, answered Happened, and Payments.charge had not happened yet"),
        (dropped, Flaw.RAISES, "before its action, raised AttributeError"),
        (astray, Flaw.PROBE, "answered DidNotHappen, and Payments.charge stands; it called Payments.find_charge under"),
        (hasty, Flaw.PROBE, "answered NeverWillHappen, and Payments.charge took effect after it: close the key"),
        (resigned, Flaw.PROBE, "after its action, answered NeverWillHappen, and Payments.charge stands"),
        (wordless, Flaw.PROBE, "before its action, returned None: return Happened(...), DidNotHappen(), Never"),
        (otherwise, Flaw.RESULT, "the result of the probe of 'pay' of class object cannot be turned into JSON"),
    ],
)
def test_a_probe_that_is_wrong(probe: Callable[..., Any], flaw: Flaw, words: str) -> None:
    """The engine would believe it, or never get an answer."""
    (wrong,) = rehearse(probed(probe), Order(), [Payments])
    assert wrong.check == flaw
    assert words in wrong.detail
    assert rehearse(probed(probe), Order(), [Payments], allow=[flaw]) == []


def probed(probe: Callable[..., Any]) -> Saga[Order]:
    """A saga of one step, of which one may ask what became of it."""
    charge = step(name="pay")(pay)
    charge.compensation(repay)
    charge.probe(probe)
    return Saga("probed", input=Order, steps=[charge])


def test_a_probe_that_says_what_it_knows() -> None:
    """Also one that knows nothing."""

    async def shrug(payments: Payments, ctx: StepContext) -> Probe[str]:
        return StillUnknown()

    assert rehearse(probed(found), Order(), [Payments]) == []
    assert rehearse(probed(shrug), Order(), [Payments]) == []
