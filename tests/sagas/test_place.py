"""Places that orders share: what is remembered is what the planner would decide."""

import gc
import weakref
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atone import Saga
from atone.actors import Begin, Decision, Moment
from atone.sagas import place
from atone.sagas.behaviour import OrderBehaviour, OrderState
from atone.sagas.events import Ended, Event, Refused, Returned
from atone.sagas.place import Places
from atone.sagas.progress import Failure, Work
from atone.sagas.registry import Registry
from atone.storage import Codec
from tests.sagas.explorer import from_now_on, happenings
from tests.sagas.oracle import follow, opening
from tests.sagas.shapes import DOUBT, Order, compensatable
from tests.sagas.test_plan_random import sagas

CODEC = Codec()


def behaviour(saga: Saga[Any]) -> OrderBehaviour:
    """One that remembers nothing yet."""
    return OrderBehaviour(Registry.of([saga]), CODEC)


def history(saga: Saga[Order], data: st.DataObject) -> list[tuple[Event, Moment]]:
    """Random events of one order, with their moments."""
    world = opening(saga)
    events: list[tuple[Event, Moment]] = []
    for _ in range(data.draw(st.integers(1, 15))):
        event, now = data.draw(st.sampled_from(list(happenings(world))))
        draining = data.draw(st.booleans()) and bool(events)
        world, _ = follow(world, event, now, draining=draining)
        world = from_now_on(world, now)
        events.append((event, Moment(now, draining=draining)))
    return events


def told(it: OrderBehaviour, decision: Decision[OrderState]) -> tuple[Any, ...]:
    """All that a decision says."""
    return (
        decision.effects, decision.history, decision.answers, decision.parts, decision.guarded,
        it.encode(decision.state), decision.state.progress, decision.state.values,
    )  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sagas(), st.data())
def test_what_is_remembered_is_what_would_be_decided(saga: Saga[Order], data: st.DataObject) -> None:
    """A second order, at another time and with other luck, gets what the planner alone would decide about it."""
    events = history(saga, data)
    knowing, input = behaviour(saga), Order(1)
    first = knowing.begin("1", saga, input)
    for event, moment in events:
        first = knowing.decide(first, event, moment).state

    second, alone = knowing.begin("2", saga, input), behaviour(saga).begin("2", saga, input)
    for event, moment in events:
        later, unknowing = Moment(moment.now + 1000, 0.9, moment.draining), behaviour(saga)
        found, expected = knowing.decide(second, event, later), unknowing.decide(alone, event, later)
        assert told(knowing, found) == told(unknowing, expected)
        second, alone = found.state, expected.state


def test_orders_that_go_the_same_way_stand_at_the_same_place() -> None:
    """The planner is asked once, and each order keeps its own results."""
    saga = Saga("two", input=Order, steps=[compensatable("a"), compensatable("b")])
    it = behaviour(saga)
    one, two = (it.begin(id, saga, Order()) for id in "12")
    for event in (Begin(), Ended(0, Work.ACTION, 1, Returned(b"1", 1))):
        one = it.decide(one, event, Moment(0.0)).state
    for event in (Begin(), Ended(0, Work.ACTION, 1, Returned(b"2", 2))):
        two = it.decide(two, event, Moment(5.0)).state

    assert one.place is two.place
    assert ((b"1", None), (b"2", None)) == (one.results, two.results)
    assert ({0: 1}, {0: 2}) == (one.values, two.values)


def test_orders_that_are_refused_in_the_same_words_are_undone_by_the_same_way() -> None:
    """And those with other words by one of their own: what an order is told is why it failed itself."""
    saga = Saga("two", input=Order, steps=[compensatable("a"), compensatable("b")])
    it = behaviour(saga)

    def refused(id: str, words: str) -> OrderState:
        state = it.begin(id, saga, Order())
        for event in (
            Begin(),
            Ended(0, Work.ACTION, 1, Returned(b"1", 1)),
            Ended(1, Work.ACTION, 1, Refused(Failure("PermanentError", words))),
            Ended(0, Work.COMPENSATION, 1, Returned(None)),
        ):
            state = it.decide(state, event, Moment(0.0)).state
        return state

    one, same, other = refused("1", "no money"), refused("2", "no money"), refused("3", "no goods")
    assert one.place is same.place
    assert "COMPENSATED" == one.place.status
    assert other.place.progress.slots[1].error == Failure("PermanentError", "no goods")


def test_an_order_with_a_time_of_its_own_shares_nothing() -> None:
    """What the next one gets must not be another order's backoff."""
    saga = Saga("one", input=Order, steps=[compensatable("a")])
    it = behaviour(saga)
    begun = it.decide(it.begin("1", saga, Order()), Begin(), Moment(0.0)).state
    failed = it.decide(begun, Ended(0, Work.ACTION, 1, DOUBT), Moment(7.0)).state

    assert begun.place.shared
    assert not failed.place.shared
    assert 8.0 == failed.place.wake_at


def test_places_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """When there are too many they are forgotten, and orders go on."""
    monkeypatch.setattr(place, "LIMIT", 3)
    saga = Saga("many", input=Order, steps=[compensatable(str(number)) for number in range(6)])
    it = behaviour(saga)
    state = it.decide(it.begin("1", saga, Order()), Begin(), Moment(0.0)).state
    for index in range(6):
        state = it.decide(state, Ended(index, Work.ACTION, 1, Returned(None)), Moment(0.0)).state

    assert "COMPLETED" == state.place.status
    assert len(it.places._shared) <= 3
    assert Places().start(saga).progress == it.places.start(saga).progress


def test_places_that_were_forgotten_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each knows the next: one that an order stands at, or that orders begin at, must not keep all behind it."""
    monkeypatch.setattr(place, "LIMIT", 3)
    saga = Saga("many", input=Order, steps=[compensatable(str(number)) for number in range(6)])
    it = behaviour(saga)
    passed = []
    state = it.decide(it.begin("1", saga, Order()), Begin(), Moment(0.0)).state
    for index in range(6):
        passed.append(weakref.ref(state.place))
        state = it.decide(state, Ended(index, Work.ACTION, 1, Returned(None)), Moment(0.0)).state
    gc.collect()

    assert len([one for one in passed if one() is not None]) <= 3
