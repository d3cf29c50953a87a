"""Every state of small sagas, each judged by the oracle: no sample, no depth, no luck."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from atone import Saga, Status, parallel, receive
from tests.sagas.explorer import explore
from tests.sagas.shapes import Approve, Decline, Order, compensatable, plain

WAIT = timedelta(seconds=5)


def line() -> Saga[Order]:
    """Two steps to undo, the pivot, and one to finish."""
    steps = [compensatable("a"), compensatable("b", attempts=1), plain("ship", pivot=True), plain("tell")]
    return Saga("line", input=Order, steps=steps)


def group() -> Saga[Order]:
    """Two steps at the same time, one with a probe, and a pivot."""
    both = parallel(compensatable("a"), compensatable("b", probe=True, attempts=1))
    return Saga("group", input=Order, steps=[both, plain("ship", pivot=True, attempts=1)])


def letters() -> Saga[Order]:
    """Messages before and after the pivot; the first may be declined, come too late, or not be wanted."""
    first = receive(Approve | Decline, decline=Decline, timeout=WAIT, when=lambda _: True)
    ship = plain("ship", pivot=True, probe=True, repeatable=False)
    return Saga("letters", input=Order, steps=[first, compensatable("a", attempts=1), ship, receive(Approve)])


def rare() -> Saga[Order]:
    """What must not be repeated, before, at and after the pivot, a look without effect, and a group to finish."""
    steps: list[Any] = [
        compensatable("a", repeatable=False, probe=True),
        plain("look", read_only=True),
        plain("ship", pivot=True, repeatable=False),
        parallel(plain("x", repeatable=False), plain("y", attempts=1)),
    ]
    return Saga("rare", input=Order, steps=steps)


def endless() -> Saga[Order]:
    """No pivot: it can turn back until its end."""
    steps: list[Any] = [
        compensatable("a", attempts=1, repeatable=False),
        receive(Approve, timeout=WAIT),
        compensatable("b"),
    ]
    return Saga("endless", input=Order, steps=steps)


def hurried() -> Saga[Order]:
    """A deadline, which passes while an attempt runs, lingers or waits for its turn."""
    steps = [compensatable("a"), plain("ship", attempts=1, pivot=True)]
    return Saga("hurried", input=Order, steps=steps, deadline=timedelta(seconds=2))


@pytest.mark.parametrize("saga", [line, group, letters, rare, endless, hurried])
def test_no_state_breaks_a_promise(saga: Callable[[], Saga[Any]]) -> None:
    """In every state, whatever happens next, the oracle agrees; and from every state a kind world leads to an end."""
    graph = explore(saga())

    assert [] == graph.stranded()
    assert {*Status} - {Status.WAITING} <= {world.status for world in graph.worlds.values()}
    assert len(graph.worlds) > 500
