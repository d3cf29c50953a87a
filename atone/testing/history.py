"""One order in one history: what goes wrong in it, and what is said, are values."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from cattrs import Converter

from ..sagas import Saga
from ..storage import StoreUnavailable
from .happenings import FaultPlan, Mail
from .rehearsal import check_messages
from .simulation import Simulation


def simulate(
    saga: Saga[Any],
    input: object,
    services: Sequence[object] | Mapping[Any, object] = (),
    *,
    faults: FaultPlan = FaultPlan(),  # noqa: B008  # frozen
    messages: Sequence[Mail] = (),
    store: Literal["memory", "sqlite"] = "memory",
    converter: Converter | None = None,
) -> Simulation:
    """Run order "1" of a saga to its end, whatever befalls it, and judge it; the simulation, to be asked and closed.

    `faults` and `messages` are as the strategies `fault_plans` and `messages` draw them. Raises `SagaFailure`, whose
    text is the story, and ends with the call that tells it again.

        with simulate(orders, Order(100), [Payments], faults=FaultPlan(Mishap("charge", "lost"))) as sim:
            assert sim.effects("1") in (set(), {"charge", "ship"})
    """

    async def history(sim: Simulation) -> None:
        while not await _started(sim, saga, input):
            await sim.advance(1.0)
        sim.plan(*messages)
        await sim.settle()

    check_messages(saga, [one.message for one in messages if one.message is not None])
    __tracebackhide__ = True
    sim = Simulation(saga, provide=copy.deepcopy(services), store=store, converter=converter)
    faults.prepare(sim)
    said = f", messages={list(messages)!r}" if messages else ""
    try:
        sim.play(history, again=f"simulate({saga.name}, {input!r}, ..., faults={faults!r}{said})")
    except BaseException:
        sim.close()
        raise
    return sim


async def _started(sim: Simulation, saga: Saga[Any], input: object) -> bool:
    try:
        await sim.start(saga, input, id="1")
    except StoreUnavailable:
        return False
    return True
