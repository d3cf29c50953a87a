"""A simulation that Hypothesis drives: what its rules, and those of its users, do with it."""

from __future__ import annotations

import copy
import sys
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

from cattrs import Converter
from hypothesis.stateful import Bundle, RuleBasedStateMachine
from hypothesis.strategies import SearchStrategy

from ..sagas import CancelAnswer, Saga, SendAnswer, Status
from .agenda import Happening
from .draws import Draws
from .happenings import Mail
from .outcomes import Outcomes
from .services import FakeService
from .simulation import Simulation, drive
from .strategies import ANY

I = TypeVar("I")  # noqa: E741  # the input; one letter, as type variables are
S = TypeVar("S", bound=FakeService)
T = TypeVar("T")


class SimulationMachine(RuleBasedStateMachine):
    """A Hypothesis state machine that has a simulation, and no rules yet."""

    sagas: ClassVar[Sequence[Saga[Any]]] = ()
    #: The participants, as for a `Simulation`: classes, or a mapping from type to class. Each history has its own.
    services: ClassVar[Sequence[object] | Mapping[Any, object]] = ()
    #: What orders are started with. Made from the type hints of the input where nothing is given.
    inputs: ClassVar[Mapping[Saga[Any], SearchStrategy[Any]]] = {}
    #: What is sent, by type of the message. Made from its type hints where nothing is given.
    messages: ClassVar[Mapping[type, SearchStrategy[Any]]] = {}
    #: How participants misbehave: the fates whose weight is not zero.
    faults: ClassVar[Outcomes] = ANY
    store: ClassVar[Literal["memory", "sqlite"]] = "memory"
    #: What teaches values of your classes to be stored, as for a coordinator.
    converter: ClassVar[Converter | None] = None
    #: Names of inherited rules that are left out.
    without: ClassVar[Collection[str]] = ()

    orders = Bundle("orders")
    _draws: ClassVar[Draws]

    def __init__(self) -> None:
        super().__init__()
        self.sim = Simulation(
            *self.sagas, provide=copy.deepcopy(self.services), store=self.store, converter=self.converter
        )
        self.started: list[str] = []  #: the ids of orders whose start was answered
        self._requests: list[Mail] = []
        self._orders = 0
        self._judged: object = None
        self._outer = sys.exc_info()[1]

    def start(self, saga: Saga[I], input: I) -> str:
        """Start an order and return its id. Raises `StoreUnavailable` where nobody can tell whether it was started."""
        self._orders += 1
        order = self._run(self.sim.start(saga, input, id=str(self._orders)))
        self.started.append(order)
        return order

    def send(self, order: str, message: object) -> SendAnswer | None:
        """Send a message; `None` where the disk is in trouble and nobody can tell."""
        answer: SendAnswer | None = self._ask(Mail(message, id=f"message {len(self._requests) + 1}", order=order))
        return answer

    def cancel(self, order: str) -> CancelAnswer | None:
        """Ask that an order be undone; `None` where nobody can tell, or nobody has decided yet."""
        answer: CancelAnswer | None = self._ask(Mail(None, id=f"cancel {len(self._requests) + 1}", order=order))
        return answer

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._run(self.sim.advance(seconds))

    def status(self, order: str) -> Status:
        """How an order stands."""
        return self.sim.status(order)

    def effects(self, order: str) -> set[str]:
        """The actions of fake services whose effects stand for an order."""
        return self.sim.effects(order)

    def __getitem__(self, service: type[S]) -> S:
        """The service that was provided for a type."""
        return self.sim[service]

    def _ask(self, mail: Mail) -> Any:
        self._requests.append(mail)
        return drive(mail.happen(self.sim))

    def _befall(self, happening: Happening) -> None:
        drive(happening.happen(self.sim))

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return drive(work)
