"""Values of classes that only the user's own converter can store: whatever runs a saga takes that converter."""

from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from cattrs import Converter
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from atone import Saga, Status, StepContext, Unencodable, step
from atone.storage import make_converter
from atone.testing import FakeService, SagaMachine, Simulation, action, crash_everywhere, rehearse, simulate


class Weight:
    """Of a class that tells nobody what it holds."""

    def __init__(self, grams: int) -> None:
        self._grams = grams

    @property
    def grams(self) -> int:
        return self._grams


@dataclass(frozen=True)
class Parcel:
    weight: Weight = field(default_factory=lambda: Weight(900))


class Carrier(FakeService):
    ship = action()


@step(pivot=True)
async def ship(parcel: Parcel, carrier: Carrier, ctx: StepContext) -> Weight:
    """The result is of that class as well."""
    await carrier.ship(key=ctx.key, grams=parcel.weight.grams)
    return Weight(parcel.weight.grams)


@step
async def tell(weight: Weight) -> int:
    """A later step gets it."""
    return weight.grams


saga = Saga("parcel", input=Parcel, steps=[ship, tell])


def weighing() -> Converter:
    """It knows the class."""
    converter = make_converter()
    converter.register_unstructure_hook(Weight, lambda weight: weight.grams)
    converter.register_structure_hook(Weight, lambda grams, _: Weight(grams))
    return converter


def test_a_crash_test_takes_it_for_the_rehearsal_and_for_every_history() -> None:
    """In both of its forms; without it, the saga cannot be tried at all."""
    with pytest.raises(Unencodable):
        crash_everywhere(saga, Parcel(), [Carrier])
    assert crash_everywhere(saga, Parcel(), [Carrier], converter=weighing()).ends[Status.COMPLETED] > 1
    assert rehearse(saga, Parcel(), [Carrier], converter=weighing()) == []
    asked: list[Status] = []

    @crash_everywhere(saga, services=[Carrier], converter=weighing())
    async def every_history(sim: Simulation) -> None:
        asked.append(sim.status(await _ended(sim)))

    every_history()
    assert Status.COMPLETED in asked


async def _ended(sim: Simulation) -> str:
    order = await sim.start(saga, Parcel())
    await sim.settle()
    return order


async def test_a_simulation_can_be_given_it_before_the_first_order(sim: Simulation) -> None:
    """As the fixture can, which is there before the test begins."""
    sim.converter = weighing()
    sim.provide(Carrier)
    order = await _ended(sim)
    assert sim.outcome(order).result(tell) == 900


def test_one_order_in_one_history_takes_it() -> None:
    """What comes back of a result is what the converter makes of it."""
    with simulate(saga, Parcel(), [Carrier], converter=weighing()) as sim:
        assert sim.outcome("1").result(ship).grams == 900


class Parcels(SagaMachine):
    sagas = (saga,)
    services = (Carrier,)
    inputs: ClassVar = {saga: st.builds(Parcel, weight=st.builds(Weight, st.integers(1, 9)))}
    converter = weighing()

    def teardown(self) -> None:
        super().teardown()
        ended.append(len(self.started))


ended: list[int] = []


def test_a_machine_takes_it() -> None:
    """One that could not store its orders would refuse them, one after another, and find nothing."""
    few = settings(Parcels.TestCase.settings, max_examples=5, stateful_step_count=5, derandomize=True, database=None)
    run_state_machine_as_test(Parcels, settings=few)
    assert sum(ended) >= 5
