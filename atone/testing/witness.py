"""What is to be seen of a simulation, and the judgement of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from ..sagas import OrderStatus, Outcome, Status, Transition
from ..storage import Phase
from .evidence import Violation
from .observer import gather
from .oracle import STUCK, judge
from .runtime import EPOCH
from .site import Site
from .story import SagaFailure, Story, tell

#: Virtual seconds, beside the longest attempt, without a change after which an order that is at work counts as stuck.
STUCK_AFTER = 3600.0


class Witness(Site):
    """Looks at the disk and at the participants, and says what is wrong."""

    def status(self, order: str) -> Status:
        """The status of an order, as it is on disk."""
        return self.inspect(order).status

    def inspect(self, order: str) -> OrderStatus:
        """An order, as it is on disk."""
        return self.observer().ask(lambda coordinator: coordinator.order(order).status())

    def outcome(self, order: str) -> Outcome:
        """How an order ended; raises `TimeoutError` for one that has not."""
        return self.observer().ask(lambda coordinator: coordinator.order(order).outcome(timeout=0.001))

    def history(self, order: str) -> list[Transition]:
        """What happened to an order."""
        return self.observer().ask(lambda coordinator: gather(coordinator.order(order).history()))

    def effects(self, order: str) -> set[str]:
        """The actions of fake services whose effects stand for an order; raises `LookupError` for one unknown."""
        evidence = self.evidence()
        if order not in evidence.trails:
            raise LookupError(f"no order {order!r} was started; there are: {', '.join(evidence.trails) or 'none'}")
        return {
            action
            for service in evidence.services
            for (action, key), count in service.ledger.standing.items()
            if count > 0 and evidence.owner(key)[0] == order
        }

    told: bool = False  #: whether somebody who asked was told of a violation

    @property
    def begun(self) -> bool:
        """Whether an order was started."""
        return self.world.fuse.armed

    def violations(self) -> list[Violation]:
        """Every promise that was broken."""
        found = judge(self.evidence())
        self.told = bool(found)
        return found

    def check(self) -> None:
        """Raise `SagaFailure`, with the story, where a promise was broken.

        Raises `RuntimeError` where no order was started, for nothing would have been checked; and where every order
        has ended, and a death or a fate that the test asked for has never come.
        """
        if not self.begun:
            raise RuntimeError("no order was started: `await sim.start(saga, input)`, in an `async def` test")
        found = self.violations()
        if found:
            raise SagaFailure(self.story(found), found)
        if self._expected.certain and not self.observer().live():
            self.demand()

    def demand(self) -> None:
        """Raise `RuntimeError` where a death or a fate that the test asked for has never come."""
        missing = self._expected.missing(self.fakes)
        if missing is not None:
            raise RuntimeError(missing)

    def story(self, violations: Sequence[Violation] = ()) -> Story:
        """What happened, side by side in virtual time."""
        histories = {record.id: rows for record, rows in self.evidence().orders}
        return tell(self.world.moments, histories, self._written, violations, EPOCH)

    def ends(self) -> list[str]:
        """How all orders stand."""
        return [record.snapshot.status for record, _ in self.observer().records()]

    @property
    def _patience(self) -> float:
        """Seconds after which nobody waits for a change any more: every attempt has ended before, or was given up."""
        sagas = [*self._retired, *self.sagas]
        return STUCK_AFTER + max(
            [call.timeout for saga in sagas for calls in saga.calls for call in calls if call], default=0.0
        )

    def _fail_stuck(self) -> NoReturn:
        """Raise `SagaFailure`: an order at work makes no progress any more. One that only waits is not to blame."""
        stuck = [record for record, _ in self.observer().records() if record.snapshot.phase is Phase.ACTIVE]
        found = [
            Violation(
                STUCK.name,
                STUCK.sentence,
                record.id,
                f"{record.snapshot.status} for {self._patience:g} s of virtual time",
            )
            for record in stuck
        ]
        found += self._processes.problems()
        raise SagaFailure(self.story(found), found)
