"""Histories that nobody would think of: Hypothesis draws what clients, participants, disks and processes do."""

from __future__ import annotations

import sys
from collections.abc import Collection
from typing import Any

from hypothesis import Phase, settings
from hypothesis.control import current_build_context
from hypothesis.stateful import invariant

from .draws import Draws
from .driven import SimulationMachine
from .rules import Rules
from .story import SagaFailure

#: All but the explanation: it would name lines of atone, in several times the time.
PHASES = tuple(one for one in Phase if one is not Phase.explain)


class SagaMachine(Rules):
    """A Hypothesis state machine over a `Simulation`. Subclass it, and let pytest collect its `TestCase`.

        class Shop(SagaMachine):
            sagas = [shop]
            services = [Stock, Payments, Carrier]

        TestShop = Shop.TestCase

    Inherited rules start orders, send and repeat messages, cancel, let time pass, set the clock, kill the process
    anywhere, fail commits, fill the disk, bring in a second process, and make participants misbehave; `without`
    names those that are left out: `without = {"disk_fills"}`. The checks are made after every step; in the end
    faults stop, every order must come to an end or have a reason to wait, and everything is judged once more.

    Settings of your own derive from those that it has: `TestShop.settings = settings(TestShop.settings,
    max_examples=500)`. Others have a deadline, and look for an explanation in lines of atone.

    Add rules and invariants of your business. For rules there is the bundle `SagaMachine.orders`, for invariants the
    list `self.started`: the ids of orders whose start was answered.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        """Find what to draw; raises `TypeError` for inputs and messages that cannot be made from type hints."""
        super().__init_subclass__(**options)
        cls._leave_out([cls.without] if isinstance(cls.without, str) else cls.without)
        cls._draws = Draws.of(
            cls.__name__,
            sagas=cls.sagas,
            services=cls.services,
            inputs=cls.inputs,
            messages=cls.messages,
            faults=cls.faults,
        )
        cls.TestCase.settings = settings(cls.TestCase.settings, phases=PHASES)

    @classmethod
    def _leave_out(cls, names: Collection[str]) -> None:
        """Let inherited rules be none."""
        others = {*dir(SimulationMachine), *vars(SagaMachine)}
        rules = [
            one for one in dir(cls) if one not in others and (getattr(cls, one) is None or callable(getattr(cls, one)))
        ]
        for name in names:
            if name not in rules:
                raise TypeError(
                    f"{cls.__name__} is to be without {name!r}, which is no rule; rules are: {', '.join(rules)}"
                )
            setattr(cls, name, None)

    @invariant()
    def promises_hold(self) -> None:
        """Every check, whenever something has changed."""
        version = self.sim.version
        if version != self._judged:
            self.sim.check()
            self._judged = version

    def teardown(self) -> None:
        """Faults stop; everything must come to an end, or wait with a reason; and every invariant must hold."""
        error = sys.exc_info()[1]
        try:
            if error is self._outer:
                self._finish()
            else:
                self._explain(error)
        except Exception as failure:
            self._explain(failure)
            raise
        finally:
            self.sim.close()

    def _finish(self) -> None:
        self.sim.stop_faults()
        self._run(self.sim.settle())
        for one in self.invariants:
            if all(holds(self) for holds in one.preconditions):
                one.function(self)

    def _explain(self, error: BaseException | None) -> None:
        """Put the story below an error that does not bring it along."""
        if isinstance(error, Exception) and not isinstance(error, SagaFailure) and current_build_context().is_final:
            error.add_note(f"\n{self.sim.story()}")
