import math
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from atone import DefinitionError, Retry, Saga, StepContext, step
from atone.sagas.progress import Work
from atone.sagas.retry import BEFORE_PIVOT, PROBING, UNTIL_DONE
from atone.sagas.step import DEFAULT_TIMEOUT
from tests.sagas.shapes import Order, compensatable, plain


async def test_a_step_stays_the_function_it_was() -> None:
    """A unit test calls it, with a context built on the spot."""

    @step
    async def reserve(order: Order, ctx: StepContext) -> str:
        """Reserve it."""
        return f"{order.total_cents} under {ctx.key}"

    @reserve.compensation
    async def release(order: Order) -> int:
        return order.total_cents

    assert "7 under k" == await reserve(Order(7), StepContext(key="k"))
    assert 7 == await release(Order(7))
    assert ("reserve", "Reserve it.") == (reserve.name, reserve.__doc__)
    assert "<step 'reserve'>" == repr(reserve)


def test_a_plain_function_is_a_step_too() -> None:
    """It runs in a worker thread, and is called directly in a unit test."""

    @step(name="count")
    def add(order: Order) -> int:
        return order.total_cents + 1

    assert 8 == add(Order(7))
    assert "count" == add.name
    assert not add.action.is_async


def test_options_reach_the_calls_they_are_for() -> None:
    """Action, compensation and probe have policies of their own."""
    retries = [Retry(attempts=number) for number in (7, 8, 9)]

    @step(timeout=1, retry=retries[0])
    async def charge() -> None: ...

    @charge.compensation(timeout=2, retry=retries[1])
    async def refund() -> None: ...

    @charge.probe(timeout=3, retry=retries[2])
    async def find() -> Any: ...

    calls = [charge.action, charge.undo, charge.ask]
    assert [(1, retries[0]), (2, retries[1]), (3, retries[2])] == [(one.timeout, one.retry) for one in calls if one]


def test_what_is_not_said_depends_on_the_place() -> None:
    """3 attempts before the pivot, 20 after it and for every compensation, 5 for a probe."""

    @step
    async def before() -> None: ...

    @before.compensation
    async def undo() -> None: ...

    @before.probe
    async def ask() -> Any: ...

    @step
    async def after() -> None: ...

    saga = Saga("s", input=Order, steps=[before, plain("ship", pivot=True), after])

    assert (BEFORE_PIVOT, PROBING, UNTIL_DONE) == tuple(saga.retry(0, work) for work in Work)
    assert UNTIL_DONE == saga.retry(2, Work.ACTION)
    assert DEFAULT_TIMEOUT == before.action.timeout
    assert (3, 5, 20) == (BEFORE_PIVOT.attempts, PROBING.attempts, UNTIL_DONE.attempts)


def test_a_step_has_one_compensation_and_one_probe() -> None:
    """A second one would silently replace the first."""
    made = compensatable("a", probe=True)

    with pytest.raises(DefinitionError, match="'a' has two compensations: keep one"):
        made.compensation(lambda: None)
    with pytest.raises(DefinitionError, match="'a' has two probes: keep one"):
        made.probe(lambda: None)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_is_above_zero(timeout: float) -> None:
    """Of the action as well as of its compensation and its probe."""
    with pytest.raises(DefinitionError, match=r"timeout of .* above zero"):
        plain("a", timeout=timeout)
    with pytest.raises(DefinitionError, match=r"timeout of .* above zero"):
        plain("a").compensation(timeout=timeout, retry=Retry())(lambda: None)


def test_a_pivot_has_an_effect() -> None:
    """Read-only and pivot exclude each other."""
    with pytest.raises(DefinitionError, match=r"'a' is both the pivot and read-only.*drop one"):
        plain("a", pivot=True, read_only=True)


@pytest.mark.parametrize("action", [3, Order])
def test_a_step_is_made_of_a_function(action: Any) -> None:
    """A class above which `@step` stands is a mistake, and is told so."""
    with pytest.raises(DefinitionError, match=r"@step needs a function.*put it above"):
        step(action)


@pytest.mark.parametrize("timeout", [0, -1, math.nan, math.inf, 1e12])
def test_a_timeout_is_a_time_that_comes(timeout: float) -> None:
    """No timer could be set for another one, and the order would crash again and again."""
    with pytest.raises(DefinitionError, match="timeout"):
        step(timeout=timeout)(lambda: None)


def test_a_generator_is_no_step_and_no_compensation() -> None:
    """Calling it does nothing, and yet it returns: a compensation would count as acknowledged."""

    async def release() -> AsyncIterator[None]:
        yield

    def numbers() -> Iterator[None]:
        yield

    with pytest.raises(DefinitionError, match="generator"):
        step(lambda: None).compensation(release)
    with pytest.raises(DefinitionError, match="generator"):
        step(lambda: None).probe(numbers)
