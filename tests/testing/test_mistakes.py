"""What a user gets wrong with the kit itself: each mistake is named, with what to do instead."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from atone import DefinitionError, Saga, ServiceMissing, StepContext, receive, step
from atone.testing import (
    FakeService,
    Flaw,
    Mail,
    SagaFailure,
    Simulation,
    action,
    crash_everywhere,
    rehearse,
    simulate,
)
from tests.testing.shop import SERVICES, Approve, Carrier, Order, Payments, Stock, patient, ship, shop
from tests.testing.test_plugin import pytest_in


def of(act: Callable[..., Any]) -> Saga[Order]:
    """A saga of one step, which needs no undoing."""
    return Saga("one", input=Order, steps=[step(name="pay", pivot=True)(act)])


# ── calls of the kit ──

crash: Any = crash_everywhere  # as one calls it who runs no type checker


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda: crash(shop, Order()), ServiceMissing, "'reserve' needs a Stock"),
        (lambda: crash(shop, Order(), Payments), TypeError, r"as a list, .*: \[Payments\]"),
        (lambda: crash(shop, Order(), [*SERVICES, Payments()]), ValueError, "two services .* Payments"),
        (lambda: crash(shop, Order(), SERVICES, crash=1), TypeError, "no option 'crash'"),
        (lambda: crash(shop, Order(), SERVICES, crashes=3), ValueError, "at most 2 times"),
        (lambda: crash(shop, Order(), SERVICES, store="sqllite"), ValueError, "one of memory, sqlite"),
        (lambda: crash(ship, Order(), SERVICES), TypeError, "needs a saga"),
        (lambda: crash(shop, patient, Order(), SERVICES), TypeError, "runs one saga"),
        (lambda: crash(shop, Order(), SERVICES, messages=[Order()]), TypeError, "no message at all"),
        (lambda: crash(patient, Order(), SERVICES, messages=[Order()]), TypeError, "awaits: Approve, Decl"),
        (lambda: crash(patient, Order(), SERVICES, messages=[Approve]), TypeError, "the class Approve"),
        (lambda: crash(patient, Order(), SERVICES, messages=Approve()), TypeError, "given as a list"),
        (
            lambda: simulate(shop, Order(), SERVICES, messages=[Mail(Order(), id="a")]),
            TypeError,
            "does not await Order",
        ),
        (lambda: simulate(Saga("shop", input=Order, steps=[ship]), 7, [Carrier]), Exception, "needs a Order as input"),
    ],
)
def test_a_call_that_is_wrong_says_what_is_right(wrong: Callable[[], Any], error: type[Exception], words: str) -> None:
    """Before anything is simulated, or as its first consequence."""
    with pytest.raises(error, match=words):
        wrong()


@pytest.mark.filterwarnings("default::RuntimeWarning")
def test_a_crash_test_without_an_input_is_no_test() -> None:
    """It would only be a decorator that decorates nothing."""
    with pytest.warns(RuntimeWarning, match="tried nothing: give it an input"):
        crash_everywhere(shop, services=SERVICES)


def test_a_crash_test_is_async_and_takes_a_simulation() -> None:
    """Anything else could not be run once for each history."""
    with pytest.raises(TypeError, match=r"async def plain\(sim\)"):

        @crash_everywhere(shop, services=SERVICES)  # type: ignore[arg-type]  # which is the mistake
        def plain(sim: Simulation) -> None: ...

    with pytest.raises(TypeError, match=r"async def blind\(sim\)"):

        @crash_everywhere(shop, services=SERVICES)
        async def blind() -> None: ...


# ── simulations ──


@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
def test_a_test_that_awaits_nothing_checks_nothing() -> None:
    """A plain `def` test that calls `sim.start` starts no order."""
    with Simulation(shop, provide=SERVICES) as sim:
        sim.start(shop, Order())  # type: ignore[unused-coroutine]  # which is the mistake
        with pytest.raises(RuntimeError, match=r"`await sim\.start"):
            sim.check()


async def test_two_sagas_of_a_name_are_told_apart_by_version() -> None:
    """As a coordinator says it."""
    sim = Simulation(shop, Saga("shop", input=Order, steps=[ship]), provide=SERVICES)
    with pytest.raises(DefinitionError, match="registered twice with version 1"):
        await sim.start(shop, Order())


async def test_what_is_not_there_is_named_with_what_is() -> None:
    """An order, a service, a point to die at."""
    with Simulation(shop, provide=SERVICES) as sim:
        await sim.start(shop, Order(), id="7")
        with pytest.raises(LookupError, match="no order '8' was started; there are: 7"):
            sim.effects("8")
        with pytest.raises(LookupError, match="no Nobody is provided; there are: Stock, Payments, Carrier"):
            sim[Nobody]
        for point in ("chrage:after_effect", "charge:afterwards", "commit:before"):
            with pytest.raises(ValueError, match="named like 'reserve:before_effect', 'commit 3:after'"):
                sim.crash_at(point)
        with pytest.raises(ValueError, match="'exploded' is no fate of a call; there are: ok, refused"):
            sim[Payments].charge.plan("exploded")


class Nobody(FakeService):
    """Nobody's service."""


# ── steps and their services ──


class Forgetful(FakeService):
    """Does not call what it inherits."""

    charge = action()

    def __init__(self) -> None:
        self.mine = 1


async def no_key(order: Order, payments: Payments, ctx: StepContext) -> None:
    """Ask without a key."""
    await payments.charge(cents=order.cents)


async def no_such_call(order: Order, stock: Stock, ctx: StepContext) -> None:
    """Ask for what nobody does."""
    await stock.charge(key=ctx.key)


@pytest.mark.parametrize(
    ("act", "words"),
    [(no_key, r"without a key: write charge\(key=ctx.key"), (no_such_call, "no 'charge'; it declares: reserve, rel")],
)
def test_a_call_of_a_service_that_is_wrong_says_what_is_right(act: Callable[..., Any], words: str) -> None:
    """In the flaw of the step that makes it."""
    found = rehearse(of(act), Order(), [Payments, Stock])
    assert [one.check for one in found] == [Flaw.RAISES]
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found[0].detail)


def test_a_call_that_is_not_awaited_is_named() -> None:
    """It has no effect, and nothing else would tell."""

    async def hasty(order: Order, payments: Payments, ctx: StepContext) -> None:
        payments.charge(key=ctx.key)

    (found,) = rehearse(of(hasty), Order(), [Payments])
    assert (found.check, found.detail) == (Flaw.UNAWAITED, "step 'pay' does not await Payments.charge()")


def test_a_service_that_does_not_make_its_base_is_named() -> None:
    """With the line that is missing."""
    with pytest.raises(AttributeError, match=r"has to call super\(\).__init__\(\)"):
        Forgetful().standing("k")


class Till:
    """A client of the user's own, with a fake inside."""

    def __init__(self, payments: Payments) -> None:
        self.payments = payments


@step(name="pay")
async def pay_at(order: Order, till: Till, ctx: StepContext) -> str:
    """Pay through the client."""
    receipt: str = await till.payments.charge(key=ctx.key)
    return receipt


@pay_at.compensation
async def repay_at(till: Till, ctx: StepContext) -> None:
    """Get it back through the client."""
    await till.payments.refund(key=ctx.action_key)


def test_a_fake_inside_a_client_is_given_beside_it() -> None:
    """Nobody would see what is done with it, and every test would pass."""
    saga, payments = Saga("till", input=Order, steps=[pay_at]), Payments()
    words = r"Payments is not among the services of this simulation: give it beside the client that it is in"
    with pytest.raises(SagaFailure, match=words):
        crash_everywhere(saga, Order(), [Till(payments)])
    assert crash_everywhere(saga, Order(), [Till(payments), payments]).disturbances


async def test_what_a_step_does_wrong_at_each_attempt_is_said_once() -> None:
    """It is tried, and undone, many times."""
    saga = Saga("till", input=Order, steps=[pay_at])
    with Simulation(saga, provide=[Till(Payments())]) as sim:
        await sim.start(saga, Order())
        await sim.settle()
        assert [one.check for one in sim.violations()] == ["nothing uncaught"]


@dataclass
class Basket:
    """An input that cannot be hashed."""

    wanted: list[str] = field(default_factory=list)


@dataclass
class Change:
    """Nor can this message."""

    to: dict[str, int] = field(default_factory=dict)


class Shelf(FakeService):
    @action(undo="put_back")
    def take(self, what: list[str]) -> dict[str, list[str]]:
        """Nor can this answer."""
        return {"taken": what}


@step
async def take(basket: Basket, shelf: Shelf, ctx: StepContext) -> dict[str, list[str]]:
    """Take it all."""
    taken: dict[str, list[str]] = await shelf.take(key=ctx.key, what=basket.wanted)
    return taken


@take.compensation
async def put_back(basket: Basket, shelf: Shelf, ctx: StepContext) -> None:
    """Put it back."""
    await shelf.put_back(key=ctx.action_key)


def test_nothing_needs_to_be_hashable() -> None:
    """Neither inputs, nor messages, nor answers."""
    saga = Saga("basket", input=Basket, steps=[take, receive(Change)])
    coverage = crash_everywhere(saga, Basket(["lamp"]), [Shelf], messages=[Change({"lamp": 2})])
    assert coverage.complete


# ── what a failure shows ──

FAILING = """
import pytest
from tests.testing.shop import Carrier, Order, Payments, Stock, shop
from atone.testing import crash_everywhere

@pytest.mark.parametrize("who", ["a b", "it's"])
def test_forgetful(who):
    crash_everywhere(shop, Order(), [Stock, Payments(tombstones=False), Carrier])
"""


def test_the_command_of_a_failure_works_as_it_is_printed(tmp_path: Path) -> None:
    """In the folder in which pytest was called, whatever is in a test's name; and no frame of the kit is shown."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    inner = tmp_path / "tests"
    inner.mkdir()
    (inner / "test_it.py").write_text(FAILING, encoding="utf-8")
    run = pytest_in(inner)
    assert "2 failed" in run.stdout, run.stdout
    assert "campaign.py" not in run.stdout
    lines = run.stdout.splitlines()
    commands = {line.partition("again: ")[2] for line in lines if "again: pytest" in line}  # some a second time in CI
    assert len(commands) == 2
    for command in commands:
        name, *options = shlex.split(command)
        assert name == "pytest"
        once = pytest_in(inner, *options)
        assert "1 failed" in once.stdout, once.stdout + once.stderr
        assert "S2 net zero" in once.stdout
