"""Histories that nobody would think of: Hypothesis draws what clients, participants, disks and processes do."""

# ruff: noqa: SLF001 - its strategies ask the machine that runs for what it has to draw from
from __future__ import annotations

import copy
import sys
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, ClassVar, Literal, TypeVar

from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.control import current_build_context
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)
from hypothesis.strategies import SearchStrategy

from ..sagas import AnswerPending, CancelAnswer, MailboxFull, Saga, SendAnswer, Status
from ..storage import StoreUnavailable, TooLarge, Undecodable, Unencodable
from .draws import Draws, Mishap, Request, Start
from .outcomes import Outcomes, outcomes
from .services import FakeService
from .simulation import Simulation, drive
from .story import SagaFailure

I = TypeVar("I")  # noqa: E741  # the input; one letter, as type variables are
S = TypeVar("S", bound=FakeService)
T = TypeVar("T")

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86400.0


#: All but the explanation: it would name lines of atone, in several times the time.
PHASES = tuple(one for one in Phase if one is not Phase.explain)


class SagaMachine(RuleBasedStateMachine):
    """A Hypothesis state machine over a `Simulation`. Subclass it, and let pytest collect its `TestCase`.

        class Shop(SagaMachine):
            sagas = [shop]
            services = [Stock, Payments, Carrier]

        TestShop = Shop.TestCase

    Inherited rules start orders, send and repeat messages, cancel, let time pass, set the clock, kill the process
    anywhere, fail commits, fill the disk, bring in a second process, and make participants misbehave; `without`
    names those that are left out: `without = {"disk_fills"}`. The checks are made after every step; in the end
    faults stop, every order must come to an end or have a reason to wait, and everything is judged once more.

    Add rules and invariants of your business. `SagaMachine.orders` are the ids of orders that were started.
    """

    sagas: ClassVar[Sequence[Saga[Any]]] = ()
    #: The participants, as for a `Simulation`: classes, or a mapping from type to class. Each history has its own.
    services: ClassVar[Sequence[object] | Mapping[Any, object]] = ()
    #: What orders are started with. Made from the type hints of the input where nothing is given.
    inputs: ClassVar[Mapping[Saga[Any], SearchStrategy[Any]]] = {}
    #: What is sent, by type of the message. Made from its type hints where nothing is given.
    messages: ClassVar[Mapping[type, SearchStrategy[Any]]] = {}
    #: How participants misbehave: the fates whose weight is not zero.
    faults: ClassVar[Outcomes] = outcomes(refused=1, lost=1, applied_answer_lost=1, late=1, hang=1)
    store: ClassVar[Literal["memory", "sqlite"]] = "memory"
    #: Names of inherited rules that are left out.
    without: ClassVar[Collection[str]] = ()

    orders = Bundle("orders")
    _draws: ClassVar[Draws]

    def __init_subclass__(cls, **options: Any) -> None:
        """Find what to draw; raises `TypeError` for inputs and messages that cannot be made from type hints."""
        super().__init_subclass__(**options)
        for name in cls.without:
            if not callable(getattr(cls, name, None)):
                raise TypeError(f"{cls.__name__} is to be without {name!r}, and there is no such rule")
            setattr(cls, name, None)
        cls._draws = Draws.of(
            cls.__name__,
            sagas=cls.sagas,
            services=cls.services,
            inputs=cls.inputs,
            messages=cls.messages,
            faults=cls.faults,
        )
        cls.TestCase.settings = settings(cls.TestCase.settings, phases=PHASES)

    def __init__(self) -> None:
        super().__init__()
        self.sim = Simulation(*self.sagas, provide=copy.deepcopy(self.services), store=self.store)
        self._requests: list[Request] = []
        self._orders = 0
        self._judged: object = None
        self._outer = sys.exc_info()[1]

    # ── for rules and invariants of one's own ──

    def start(self, saga: Saga[I], input: I) -> str:
        """Start an order and return its id. Raises `StoreUnavailable` where nobody can tell whether it was started."""
        self._orders += 1
        return self._run(self.sim.start(saga, input, id=str(self._orders)))

    def send(self, order: str, message: object) -> SendAnswer | None:
        """Send a message; `None` where the disk is in trouble and nobody can tell."""
        id = f"message {len(self._requests) + 1}"
        self._requests.append(Request(order, message, id))
        return self._ask(self.sim.send(order, message, id=id))

    def cancel(self, order: str) -> CancelAnswer | None:
        """Ask that an order be undone; `None` where nobody can tell, or nobody has decided yet."""
        id = f"cancel {len(self._requests) + 1}"
        self._requests.append(Request(order, None, id))
        return self._ask(self.sim.cancel(order, id=id))

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

    # ── what clients do ──

    @initialize(seed=st.integers(0, 9999), plan=st.runner().flatmap(lambda machine: machine._draws.plans))
    def chance(self, seed: int, plan: list[Mishap]) -> None:
        """What is left to chance is drawn from one number, and the first calls of participants have their fates."""
        self.sim.reseed(seed)
        for mishap in plan:
            self._plan(mishap)

    @rule(target=orders, start=st.runner().flatmap(lambda machine: machine._draws.starts))
    def start_order(self, start: Start) -> str | MultipleResults[str]:
        """An order arrives. One that cannot be stored is refused, and one whose start failed may have begun."""
        try:
            return self.start(start.saga, start.input)
        except (StoreUnavailable, Unencodable, Undecodable, TooLarge):
            return multiple()

    @precondition(lambda self: self._draws.messages is not None)
    @rule(order=orders, message=st.runner().flatmap(lambda machine: machine._draws.messages))
    def send_message(self, order: str, message: object) -> None:
        """A message comes, awaited or not, early or late."""
        self.send(order, message)

    @rule(order=orders)
    def cancel_order(self, order: str) -> None:
        """Somebody has changed their mind."""
        self.cancel(order)

    @precondition(lambda self: self._requests)
    @rule(request=st.runner().flatmap(lambda machine: st.sampled_from(machine._requests)))
    def request_comes_again(self, request: Request) -> None:
        """A message or a cancel is repeated with the same id: at once, or long after others that came later."""
        if request.message is None:
            self._ask(self.sim.cancel(request.order, id=request.id))
        else:
            self._ask(self.sim.send(request.order, request.message, id=request.id))

    # ── time ──

    @rule(seconds=st.runner().flatmap(lambda machine: st.sampled_from(machine._times())))
    def time_passes(self, seconds: float) -> None:
        """Moments or days, so that whatever has a timeout comes to it."""
        self.advance(seconds)

    @rule(seconds=st.sampled_from([_MINUTE, _HOUR, _DAY, -_MINUTE, -_HOUR]))
    def clock_jumps(self, seconds: float) -> None:
        """The wall clock is set forward, or back."""
        self.sim.jump(seconds)

    # ── processes ──

    @rule(when=st.runner().flatmap(lambda machine: machine._draws.deaths(machine.sim.world.commits)))
    def process_dies(self, when: int | str) -> None:
        """Now (0), or so many callbacks later, or right before or after an effect or a commit; in recovery as well."""
        if not when:
            self.sim.crash()
        elif isinstance(when, int):
            self.sim.crash_in(when)
        else:
            self.sim.crash_at(when)

    @rule()
    def second_process_stands_by(self) -> None:
        """Another process opens the same store."""
        self._run(self.sim.stand_by())

    @rule(seconds=st.sampled_from([15.0, 3.0]))
    def process_stalls(self, seconds: float) -> None:
        """The process that hosts stands still; after ten seconds one that stands by takes over."""
        self._run(self.sim.stall(seconds))

    # ── the disk ──

    @rule(number=st.integers(1, 3), applied=st.booleans())
    def commits_fail(self, number: int, applied: bool) -> None:  # noqa: FBT001  # as Hypothesis draws it
        """The next commits fail, and are on disk or not."""
        self.sim.fail_commits(number, applied=applied)

    @precondition(lambda self: not self.sim.world.trouble.full)
    @rule()
    def disk_fills(self) -> None:
        """Nothing can be written any more."""
        self.sim.fill_disk()

    @precondition(lambda self: self.sim.world.trouble.full)
    @rule()
    def disk_has_room(self) -> None:
        """Somebody has cleaned up."""
        self.sim.free_disk()

    # ── participants ──

    @precondition(lambda self: self._draws.mishap is not None)
    @rule(mishap=st.runner().flatmap(lambda machine: machine._draws.mishap))
    def participant_misbehaves(self, mishap: Mishap) -> None:
        """The next call of an action, or of its undo, goes wrong. An undo is not refused: that would be final."""
        self._plan(mishap)

    def _plan(self, mishap: Mishap) -> None:
        for service in self.sim.services.values():
            if isinstance(service, FakeService) and mishap.call in service.calls():
                service.plans.setdefault(mishap.call, []).append(mishap.fate)

    # ── judgement ──

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

    def _times(self) -> list[float]:
        brief = [0.1, 0.01, 0.03, 1.0, 10.0, _MINUTE]
        return brief if self.sim.world.trouble.full else [*brief, _DAY, 365 * _DAY]

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return drive(work)

    def _ask(self, work: Coroutine[Any, Any, T]) -> T | None:
        try:
            return drive(work)
        except (StoreUnavailable, AnswerPending, MailboxFull):
            return None
