"""What befalls a simulated service: values whose `repr` is the Python that makes them, so that a history can be kept.

Each may carry a time, `at`: seconds from the moment at which it was planned with `Simulation.plan`.
"""

from __future__ import annotations

from typing import Any, cast

import attrs
from attrs import field, frozen

from ..sagas import AnswerPending, CancelAnswer, MailboxFull, SendAnswer
from ..storage import StoreUnavailable, TooLarge, Undecodable, Unencodable
from .outcomes import Fate
from .simulation import Simulation

#: What a client is told instead of an answer. Nobody can tell then, or it was refused as it is.
NO_ANSWER = (StoreUnavailable, AnswerPending, MailboxFull, TooLarge, Undecodable, Unencodable)


def _fate(fate: str) -> str:
    return Fate(fate).value


_at: Any = field(default=0.0, kw_only=True)


class _Written:
    """Shown as it is written: without what need not be said."""

    def __repr__(self) -> str:
        said = [(one, getattr(self, one.name)) for one in attrs.fields(cast("Any", type(self)))]
        plain = [repr(value) for one, value in said if not one.kw_only]
        named = [f"{one.name}={value!r}" for one, value in said if one.kw_only and value != one.default]
        return f"{type(self).__name__}({', '.join(plain + named)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002, FBT001  # as Hypothesis calls it
        printer.text(repr(self))


@frozen(repr=False)
class Mishap(_Written):
    """What becomes of the next call of an action, or an undo, of a `FakeService`: a fate such as `"lost"`."""

    call: str
    fate: str = field(converter=_fate)
    at: float = _at

    async def happen(self, sim: Simulation) -> None:
        """Plan it."""
        sim.misbehave(self.call, self.fate)


@frozen(repr=False)
class Death(_Written):
    """The process dies: now (0), before so many callbacks more, or at a named point such as `"charge:after_effect"`."""

    when: int | str
    at: float = _at

    async def happen(self, sim: Simulation) -> None:
        """Kill it, or see to it that it will die."""
        if isinstance(self.when, str):
            sim.may_crash_at(self.when)
        elif self.when:
            sim.may_crash_in(self.when)
        else:
            sim.crash()


@frozen(repr=False)
class CommitsFail(_Written):
    """The next commits fail, and are on disk all the same (`applied`) or not."""

    number: int = 1
    applied: bool = field(default=False, kw_only=True)
    at: float = _at

    async def happen(self, sim: Simulation) -> None:
        """Let them fail."""
        sim.fail_commits(self.number, applied=self.applied)


@frozen(repr=False)
class NoRoom(_Written):
    """The disk is full, for so many seconds."""

    seconds: float
    at: float = _at

    async def happen(self, sim: Simulation) -> None:
        """Fill it, until somebody has cleaned up."""
        sim.fill_disk()
        sim.plan(_Room(at=self.seconds))


@frozen(repr=False)
class _Room(_Written):
    at: float = _at

    async def happen(self, sim: Simulation) -> None:
        sim.free_disk()


@frozen(repr=False)
class ClockJump(_Written):
    """The wall clock is set forward, or back."""

    seconds: float
    at: float = _at

    async def happen(self, sim: Simulation) -> None:
        """Set it."""
        sim.jump(self.seconds)


@frozen(repr=False)
class Stall(_Written):
    """The process that hosts stands still; after ten seconds one that stands by takes over."""

    seconds: float
    at: float = _at

    async def happen(self, sim: Simulation) -> None:
        """Let it stand still."""
        await sim.stall(self.seconds)


@frozen(repr=False)
class Standby(_Written):
    """A second process opens the same store."""

    at: float = _at

    async def happen(self, sim: Simulation) -> None:
        """Start it."""
        await sim.stand_by()


@frozen(repr=False)
class Mail(_Written):
    """A message to an order, or with `None` for the message a cancel. The same id again is a repeat."""

    message: object
    id: str = field(kw_only=True)
    order: str = field(default="1", kw_only=True)
    at: float = _at

    async def happen(self, sim: Simulation) -> SendAnswer | CancelAnswer | None:
        """Send it; `None` where nobody can tell what came of it."""
        try:
            if self.message is None:
                return await sim.cancel(self.order, id=self.id)
            return await sim.send(self.order, self.message, id=self.id)
        except NO_ANSWER:
            return None


Fault = Mishap | Death | CommitsFail | NoRoom | ClockJump | Stall | Standby


@frozen(init=False, repr=False)
class FaultPlan:
    """What participants, disk, clock and process will do in a history, and the seed of all that is left to chance.

    `FaultPlan(Mishap("charge", "lost"), Death("commit 3:after"), seed=7).prepare(sim)`
    """

    faults: tuple[Fault, ...]
    seed: int

    def __init__(self, *faults: Fault, seed: int = 0) -> None:
        cast("Any", self).__attrs_init__(faults, seed)

    def __repr__(self) -> str:
        said = [repr(one) for one in self.faults] + ([f"seed={self.seed}"] if self.seed else [])
        return f"FaultPlan({', '.join(said)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002, FBT001  # as Hypothesis calls it
        printer.text(repr(self))

    def prepare(self, sim: Simulation) -> None:
        """Let all this befall a simulation, which has not started yet."""
        sim.reseed(self.seed)
        sim.plan(*self.faults)
