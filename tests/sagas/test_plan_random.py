"""Random sagas through random histories: larger ones than can be explored, under the same oracle."""

from datetime import timedelta
from typing import Any

from attrs import define
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from atone import Saga, Step, parallel, receive
from atone.actors import Begin
from atone.sagas import snapshot
from atone.sagas.receive import Receive
from atone.sagas.saga import Group
from tests.sagas.explorer import from_now_on, happenings
from tests.sagas.oracle import World, follow, opening
from tests.sagas.shapes import Approve, Decline, Order, compensatable, plain

Place = Step[..., Any] | Group | Receive


@define
class Maker:
    """Makes places with every option, under names of their own."""

    draw: st.DrawFn
    count: int = 0

    def name(self) -> str:
        """A new name."""
        self.count += 1
        return f"s{self.count}"

    def options(self) -> dict[str, Any]:
        """What a step may be like in every zone."""
        draw = self.draw
        return {
            "attempts": draw(st.integers(1, 3)),
            "probe": draw(st.booleans()),
            "repeatable": draw(st.booleans()),
        }

    def before(self) -> Place:
        """A place before the pivot."""
        draw, name = self.draw, self.name
        match draw(st.sampled_from(["look", "group", "message", "step", "step"])):
            case "look":
                return plain(name(), read_only=True, attempts=draw(st.integers(1, 3)))
            case "group":
                return parallel(*(compensatable(name(), **self.options()) for _ in range(draw(st.integers(2, 3)))))
            case "message":
                timeout = draw(st.none() | st.just(timedelta(seconds=3)))
                when = (lambda _: True) if draw(st.booleans()) else None
                return receive(Approve | Decline, decline=Decline, timeout=timeout, when=when, name=name())
            case _:
                return compensatable(name(), **self.options())

    def after(self) -> Place:
        """A place after the pivot."""
        name = self.name
        match self.draw(st.sampled_from(["group", "message", "step"])):
            case "group":
                return parallel(plain(name(), **self.options()), plain(name(), **self.options()))
            case "message":
                return receive(Approve, name=name())
            case _:
                return plain(name(), **self.options())


@st.composite
def sagas(draw: st.DrawFn) -> Saga[Order]:
    """Up to seven places, in an order that a definition allows."""
    make = Maker(draw)
    steps = [make.before() for _ in range(draw(st.integers(1, 4)))]
    if draw(st.booleans()):
        steps.append(plain(make.name(), pivot=True, **make.options()))
        steps += [make.after() for _ in range(draw(st.integers(0, 2)))]
    deadline = draw(st.none() | st.just(timedelta(seconds=4)))
    return Saga("random", input=Order, steps=steps, deadline=deadline)


def history(saga: Saga[Order], data: st.DataObject, length: int) -> World:
    """An order after random events."""
    world, _ = follow(opening(saga), Begin())
    for _ in range(length):
        choices = list(happenings(world))
        event, now = choices[data.draw(st.integers(0, len(choices) - 1))]
        world, _ = follow(world, event, now, verdict=data.draw(st.booleans()), draining=data.draw(st.booleans()))
        world = from_now_on(world, now)
    return world


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sagas(), st.data(), st.integers(0, 40))
def test_no_history_breaks_a_promise(saga: Saga[Order], data: st.DataObject, length: int) -> None:
    """The oracle agrees with every decision, however the order came to where it is, and disk changes nothing."""
    world = history(saga, data, length)

    assert (world.progress, ()) == snapshot.decode(snapshot.complete(snapshot.pack(world.progress), ()), {})
