"""Flaws of a user's steps, named before any crash."""

import asyncio
import datetime as dt
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any, cast

import pytest

from atone import PermanentError, Saga, StepContext, receive, step
from atone.testing import FakeService, Flaw, SagaFailure, action, crash_everywhere, rehearse
from tests.testing.shop import SERVICES, Approve, Carrier, Decline, Order, Payments, patient, ship, shop


def saga_of(act: Callable[..., Any], undo: Callable[..., Any] | None = None, **options: Any) -> Saga[Order]:
    """A saga of one step."""
    made = step(name="pay", **options)(act)
    if undo is not None:
        made.compensation(undo)
    return Saga("flawed", input=Order, steps=[made])


async def pay(order: Order, payments: Payments, ctx: StepContext) -> str:
    """Take money."""
    receipt: str = await payments.charge(key=ctx.key)
    return receipt


async def repay(order: Order, payments: Payments, ctx: StepContext) -> None:
    """Give it back."""
    await payments.refund(key=ctx.action_key)


def flaws(act: Callable[..., Any], undo: Callable[..., Any] | None = repay, **options: Any) -> dict[str, str]:
    """The flaws of a step, with their details."""
    return {one.check: one.detail for one in rehearse(saga_of(act, undo, **options), Order(), [Payments])}


def test_a_sound_saga_has_no_flaws() -> None:
    """Neither has one that awaits a message, whether or not it is given."""
    assert rehearse(shop, Order(), SERVICES) == []
    assert rehearse(patient, Order(), SERVICES) == []
    assert rehearse(patient, Order(), SERVICES, messages=[Approve()]) == []


def test_a_step_that_takes_longer_than_its_timeout() -> None:
    """For ever, or until the engine gives up: nothing of its order would ever complete."""

    async def polls(order: Order, payments: Payments, ctx: StepContext) -> str:
        while not payments.standing(ctx.key):  # noqa: ASYNC110 - as many do
            await asyncio.sleep(0.5)
        return "paid"

    assert flaws(polls, timeout=7) == {Flaw.TIMEOUT: "step 'pay' raised TimeoutError('no answer within 7 s')"}


def test_a_step_that_never_ends() -> None:
    """It takes the order to end for one more error, in a loop: the rehearsal ends, and says so."""

    async def polls(order: Order, payments: Payments, ctx: StepContext) -> str:
        while not payments.standing(ctx.key):
            with suppress(Exception, asyncio.CancelledError):
                await asyncio.sleep(0.5)
        return "paid"

    ends = "step 'pay' has not ended 100 s after its timeout: let asyncio.CancelledError out"
    assert flaws(polls, timeout=7) == {Flaw.LINGERS: ends}


@pytest.mark.parametrize("seconds", [106, 10_000])
def test_a_step_behind_one_that_does_not_end_is_tried_by_itself(seconds: int) -> None:
    """Neither is it said to be the one that goes on, nor does the end of that one hide that it goes on as well."""

    async def lingers(order: Order, payments: Payments, ctx: StepContext) -> str:
        for _ in range(seconds):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(1)
        return ""

    async def polls(order: Order, payments: Payments, ctx: StepContext) -> str:
        while not payments.standing(ctx.key):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.5)
        return "paid"

    first, last = step(name="first", timeout=3)(lingers), step(name="last", timeout=3)(polls)
    second = step(name="second")(pay)
    for one in (first, second, last):
        one.compensation(repay)
    found = rehearse(Saga("three", input=Order, steps=[first, second, last]), Order(), [Payments])
    ends = "has not ended 100 s after its timeout: let asyncio.CancelledError out"
    assert [one.detail for one in found] == [f"step 'first' {ends}", f"step 'last' {ends}"]


def test_a_timeout_of_its_own_is_what_the_step_raises() -> None:
    """And not taken for that of the engine."""

    async def gives_up(order: Order, payments: Payments, ctx: StepContext) -> str:
        raise TimeoutError

    assert flaws(gives_up) == {Flaw.RAISES: "step 'pay' raised TimeoutError()"}


def test_a_repeat_that_asks_for_something_else() -> None:
    """Under the same key: the bank gives its first answer, and what the step believes is not what was done."""

    async def haggle(order: Order, payments: Payments, ctx: StepContext) -> str:
        return cast("str", await payments.charge(key=ctx.key, cents=order.cents // ctx.attempt, book=object()))

    said = "step 'pay' called Payments.charge(cents=100, book=<object object>), and under the same key "
    assert flaws(haggle) == {Flaw.REQUEST_VARIES: said + "Payments.charge(cents=50, book=<object object>)"}


def test_a_result_that_cannot_be_kept() -> None:
    """Its step would be in doubt, every time."""

    async def number(order: Order, payments: Payments, ctx: StepContext) -> int:
        return cast("int", await pay(order, payments, ctx))

    async def thing(order: Order, payments: Payments, ctx: StepContext) -> Any:
        await pay(order, payments, ctx)
        return object()

    assert flaws(number) == {Flaw.RESULT: "step 'pay' returned a str, and is annotated to return int"}
    assert "of step 'pay' of class object cannot be turned into JSON" in flaws(thing)[Flaw.RESULT]


@pytest.mark.parametrize(
    ("given", "words"),
    [(Approve(), "needs a Order as input, and got a Approve"), (Order(cast("int", "x")), "Order.* type hints")],
)
def test_an_input_that_is_not_what_the_saga_says(given: Any, words: str) -> None:
    """Is refused before any step meets it."""
    with pytest.raises(TypeError, match=words):
        rehearse(shop, given, SERVICES)


def test_a_step_that_says_it_was_cancelled() -> None:
    """Is named like any other that raises, and does not end the test run."""

    async def cancelled(order: Order, payments: Payments, ctx: StepContext) -> str:
        raise asyncio.CancelledError

    assert flaws(cancelled) == {Flaw.RAISES: "step 'pay' raised CancelledError()"}


class Broken(FakeService):
    @action(undo="refund")
    def charge(self) -> str:
        """A mistake in the test itself."""
        raise ZeroDivisionError


def test_a_fake_whose_answer_raises() -> None:
    """The step meets what it raised, and not a timeout."""

    async def use(order: Order, broken: Broken, ctx: StepContext) -> str:
        return cast("str", await broken.charge(key=ctx.key))

    (found,) = rehearse(saga_of(use, pivot=True), Order(), [Broken])
    assert found.detail == "step 'pay' raised ZeroDivisionError()"


def test_a_coroutine_that_is_returned() -> None:
    """Instead of what it would return."""

    async def hasty(order: Order, payments: Payments, ctx: StepContext) -> str:
        return cast("str", payments.charge(key=ctx.key))

    assert flaws(hasty) == {Flaw.UNAWAITED: "step 'pay' returns Payments.charge() without awaiting it"}


def test_a_compensation_that_looks_first() -> None:
    """What it does not find may still be on its way: only an undo closes the key, unless nobody keeps closed keys."""

    async def looks(order: Order, payments: Payments, ctx: StepContext) -> None:
        if await payments.find_charge(key=ctx.action_key) is not None:
            await payments.refund(key=ctx.action_key)

    words = (
        "the compensation of 'pay' has run before the request of its action came, and Payments.charge stands then: "
        "ask for the undo in any case, which closes the key"
    )
    assert flaws(pay, looks) == {Flaw.MISSING_COMPENSATION: words}
    assert rehearse(saga_of(pay, repay), Order(), [Payments(tombstones=False)]) == []


def test_a_step_behind_a_decorator() -> None:
    """It hides that it is an `async def`: what it returns is awaited, as the engine does, and no longer than that."""

    def traced(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def wrapper(*args: object, **kwargs: object) -> object:
            return function(*args, **kwargs)

        return wrapper

    async def slow(order: Order, payments: Payments, ctx: StepContext) -> str:
        await asyncio.sleep(60)
        return ""

    assert flaws(traced(pay), traced(repay)) == {}
    assert flaws(traced(slow)) == {Flaw.TIMEOUT: "step 'pay' raised TimeoutError('no answer within 30 s')"}


def test_a_task_that_nobody_waits_for() -> None:
    """It is ended, and its effect is not taken for that of another step."""

    async def hasty(order: Order, payments: Payments, ctx: StepContext) -> str:
        asked: Any = payments.charge(key=ctx.key)
        return asyncio.create_task(asked).get_name()

    begun = "step 'pay' does not wait for the task that it begins: Payments.charge()"
    assert flaws(hasty) == {Flaw.UNAWAITED: begun}


_PAID: dict[str, str] = {}


def test_a_step_that_remembers_in_its_process() -> None:
    """A simulated process forgets nothing when it dies, and a real one all of it."""
    seen: list[str] = []

    async def remembers(order: Order, payments: Payments, ctx: StepContext) -> str:
        seen.append(ctx.key)
        _PAID[ctx.order_id] = found = await pay(order, payments, ctx)
        return found

    async def by_memory(payments: Payments, ctx: StepContext) -> None:
        if _PAID[ctx.order_id]:
            await payments.refund(key=ctx.action_key)

    found = [one.detail for one in rehearse(saga_of(remembers, by_memory), Order(), [Payments])]
    assert found == [f"step 'pay' changes {name!r}, which is in memory only" for name in ("_PAID", "seen")]


def test_a_compensation_that_is_broken() -> None:
    """Is said once to raise, and not three times to need its action."""

    async def wrong(payments: Payments, ctx: StepContext) -> None:
        await payments.give_back(key=ctx.action_key)

    (found,) = rehearse(saga_of(pay, wrong), Order(), [Payments])
    assert found.check == Flaw.RAISES
    assert found.detail.startswith("the compensation of 'pay' raised AttributeError")


def test_a_compensation_under_a_key_that_no_action_had() -> None:
    """It undoes nothing, and is told which key is meant."""

    async def own_key(payments: Payments, ctx: StepContext) -> None:
        await payments.refund(key=ctx.key)

    assert flaws(pay, own_key)[Flaw.MISSING_COMPENSATION].endswith(
        "Payments.charge stands; it called Payments.refund under another key: key=ctx.action_key"
    )


def waiting(**options: Any) -> Saga[Order]:
    """A saga that waits twice before anything happens."""
    return Saga("waits", input=Order, steps=[receive(Approve), receive(Approve | Decline, **options), ship])


def test_a_saga_that_waits_for_what_nobody_sends() -> None:
    """Would pass every crash test, and most of it would never have been tried."""
    (found,) = rehearse(waiting(name="second"), Order(), SERVICES, messages=[Approve()])
    assert found.check == Flaw.WAITS
    assert found.detail == (
        "'second' waits for Approve or Decline without a timeout, and nobody sends one: "
        "messages=[Approve(...)], or allow=[Flaw.WAITS]"
    )
    with pytest.raises(SagaFailure, match="waits for ever"):
        crash_everywhere(waiting(), Order(), SERVICES)
    assert rehearse(waiting(), Order(), SERVICES, allow=[Flaw.WAITS]) == []


def rich(order: Order) -> bool:
    """Whether somebody has to look at it."""
    return order.cents > 100


def lost(order: Order) -> bool:
    """Nobody knows."""
    raise LookupError(order)


@pytest.mark.parametrize(
    ("saga", "messages"),
    [
        (waiting(), [Decline(), Approve()]),
        (waiting(timeout=dt.timedelta(days=1)), [Approve()]),
        (waiting(when=rich), [Approve()]),
        (waiting(when=lost), [Approve()]),
        (Saga("due", input=Order, steps=[receive(Approve)], deadline=dt.timedelta(days=1)), []),
    ],
)
def test_a_saga_that_waits_for_what_is_sent_or_not_for_ever(saga: Saga[Order], messages: list[object]) -> None:
    """In whatever order it comes; also where a timeout ends the wait, or the input needs none."""
    assert rehearse(saga, Order(), SERVICES, messages=messages) == []


def test_what_stands_behind_a_decline_is_left_out() -> None:
    """The engine would never call it, and nobody waits there for anything more."""

    @step(pivot=True)
    async def signed(order: Order, said: Approve | None, carrier: Carrier, ctx: StepContext) -> str:
        return cast("str", await carrier.ship(key=ctx.key + cast("Approve", said).by))

    asked = receive(Approve | Decline, decline=Decline, name="said")
    saga = Saga("asked", input=Order, steps=[asked, receive(Order, name="more"), signed])
    assert rehearse(saga, Order(), SERVICES, messages=[Decline()]) == []
    assert [one.check for one in rehearse(saga, Order(), SERVICES, messages=[Approve()])] == [Flaw.WAITS]


def test_a_message_is_taken_once() -> None:
    """By the first place that waits for it; the next one takes the next."""

    @step(pivot=True)
    async def listen(first: Approve, second: Approve, carrier: Carrier, ctx: StepContext) -> str:
        assert (first.by, second.by) == ("alice", "bob")
        return cast("str", await carrier.ship(key=ctx.key))

    saga = Saga("twice", input=Order, steps=[receive(Approve, name="first"), receive(Approve, name="second"), listen])
    assert rehearse(saga, Order(), SERVICES, messages=[Approve("alice"), Approve("bob")]) == []


def test_what_nobody_waits_for_is_given_to_nobody() -> None:
    """Where `when` says that the input needs no message, steps see `None` for it."""

    @step(pivot=True)
    async def alone(order: Order, said: Approve | None, carrier: Carrier, ctx: StepContext) -> str:
        assert said is None
        return cast("str", await carrier.ship(key=ctx.key))

    saga = Saga("alone", input=Order, steps=[receive(Approve, name="said", when=rich), alone])
    assert rehearse(saga, Order(), SERVICES, messages=[Approve()]) == []


@pytest.mark.filterwarnings("default::RuntimeWarning")
def test_a_profiler_is_said_to_be_in_the_way() -> None:
    """There is room for one only, and what is not looked for must not seem not to be there."""

    async def late(order: Order, payments: Payments, ctx: StepContext) -> str:
        time.time()
        return await pay(order, payments, ctx)

    sys.setprofile(lambda *_: None)
    try:
        with pytest.warns(RuntimeWarning, match="a profiler is at work, .* not noticed"):
            assert rehearse(saga_of(late, repay), Order(), [Payments]) == []
    finally:
        sys.setprofile(None)


def test_a_compensation_that_does_nothing() -> None:
    """What the action did stands."""

    async def forget(order: Order, ctx: StepContext) -> None:
        """Nothing."""

    assert "Payments.charge stands" in flaws(pay, forget)[Flaw.MISSING_COMPENSATION]


def test_a_compensation_that_does_nothing_without_a_result() -> None:
    """The commonest mistake: after a lost answer there is no result, and something to undo."""

    async def careful(order: Order, pay: str | None, payments: Payments, ctx: StepContext) -> None:
        if pay is not None:
            await payments.refund(key=ctx.action_key)

    found = flaws(pay, careful)
    assert "None" in found[Flaw.MISSING_COMPENSATION]


def test_a_compensation_under_its_own_key() -> None:
    """`ctx.key` in a compensation is not the key of the action."""

    async def confused(order: Order, payments: Payments, ctx: StepContext) -> None:
        await payments.refund(key=ctx.key)

    assert Flaw.MISSING_COMPENSATION in flaws(pay, confused)


def test_a_compensation_that_needs_the_result() -> None:
    """It raises when nothing happened."""

    async def needy(order: Order, pay: str | None, payments: Payments, ctx: StepContext) -> None:
        assert pay is not None
        await payments.refund(key=ctx.action_key)

    assert "AssertionError" in flaws(pay, needy)[Flaw.NEEDS_ACTION]


def test_a_key_for_each_attempt() -> None:
    """The participant takes the repeat for something new."""

    async def eager(order: Order, payments: Payments, ctx: StepContext) -> None:
        await payments.charge(key=f"{ctx.key}-{ctx.attempt}")

    assert "attempt 2" in flaws(eager)[Flaw.KEY_VARIES]


def test_a_key_from_chance() -> None:
    """It differs each time, and comes from outside."""

    async def random_key(order: Order, payments: Payments, ctx: StepContext) -> None:
        await payments.charge(key=str(uuid.uuid4()))

    assert {Flaw.KEY_VARIES, Flaw.CHANCE} <= flaws(random_key).keys()


def test_an_id_made_of_clock_and_machine() -> None:
    """It differs each time as well, and no function of a clock or of chance is called for it."""

    async def reference(order: Order, payments: Payments, ctx: StepContext) -> None:
        await payments.charge(key=ctx.key, reference=str(uuid.uuid1()))

    assert flaws(reference)[Flaw.CHANCE].startswith("step 'pay' uses uuid1 at test_rehearsal.py:")


def test_a_participant_without_keys_makes_a_step_that_is_not_idempotent() -> None:
    """Two calls under one key, two effects."""
    found = rehearse(saga_of(pay, repay), Order(), [Payments(keys=False)])
    assert Flaw.NOT_IDEMPOTENT in {one.check for one in found}


def test_a_step_that_says_it_only_reads() -> None:
    """And has an effect."""
    assert "read_only" in flaws(pay, None, read_only=True)[Flaw.MISSING_COMPENSATION]


def test_a_step_that_raises() -> None:
    """A refusal is no flaw; anything else is."""

    async def refuse(order: Order) -> None:
        raise PermanentError("no")

    async def stumble(order: Order) -> None:
        raise KeyError("x")

    assert flaws(refuse) == {}
    assert "KeyError" in flaws(stumble)[Flaw.RAISES]


def test_a_crash_test_begins_with_a_rehearsal() -> None:
    """And fails by its findings alone, before anything is killed."""

    async def forget(order: Order, ctx: StepContext) -> None:
        """Nothing."""

    with pytest.raises(SagaFailure, match="missing compensation") as caught:
        crash_everywhere(saga_of(pay, forget), Order(), [Payments])
    assert len(caught.value.violations) == 1
