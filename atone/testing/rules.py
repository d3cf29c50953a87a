"""The rules of every `SagaMachine`: what clients, time, processes, disks and participants do."""

# ruff: noqa: SLF001 - strategies ask the machine that runs for what it has to draw from
from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import MultipleResults, initialize, multiple, precondition, rule

from ..storage import StoreUnavailable, TooLarge, Undecodable, Unencodable
from .draws import Start
from .driven import SimulationMachine
from .happenings import ClockJump, CommitsFail, Death, Mail, Mishap, Stall, Standby
from .strategies import DAY, MINUTE, jumps, stalls


class Rules(SimulationMachine):
    """All rules, by the names under which a machine may be `without` them."""

    orders = SimulationMachine.orders

    # ── what clients do ──

    @initialize(
        target=orders,
        start=st.runner().flatmap(lambda machine: machine._draws.starts),
        plan=st.runner().flatmap(lambda machine: machine._draws.plans),
        seed=st.integers(0, 9999),
    )
    def first_order(self, start: Start, plan: list[Mishap], seed: int) -> str | MultipleResults[str]:
        """Every history begins with an order, fates for the first calls of participants, and a seed for the rest."""
        self.sim.reseed(seed)
        for mishap in plan:
            self._befall(mishap)
        return self.start_order(start)

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
    def request_comes_again(self, request: Mail) -> None:
        """A message or a cancel is repeated with the same id: at once, or long after others that came later."""
        self._befall(request)

    # ── time ──

    @rule(seconds=st.runner().flatmap(lambda machine: st.sampled_from(machine._times())))
    def time_passes(self, seconds: float) -> None:
        """Moments or days, so that whatever has a timeout comes to it."""
        self.advance(seconds)

    @rule(seconds=jumps())
    def clock_jumps(self, seconds: float) -> None:
        """The wall clock is set forward, or back."""
        self._befall(ClockJump(seconds))

    # ── processes ──

    @rule(when=st.runner().flatmap(lambda machine: machine._draws.deaths(machine.sim.world.commits)))
    def process_dies(self, when: int | str) -> None:
        """Now (0), or so many callbacks later, or right before or after an effect or a commit; in recovery as well."""
        self._befall(Death(when))

    @rule()
    def second_process_stands_by(self) -> None:
        """Another process opens the same store."""
        self._befall(Standby())

    @rule(seconds=stalls())
    def process_stalls(self, seconds: float) -> None:
        """The process that hosts stands still; after ten seconds one that stands by takes over."""
        self._befall(Stall(seconds))

    # ── the disk ──

    @rule(number=st.integers(1, 3), applied=st.booleans())
    def commits_fail(self, number: int, applied: bool) -> None:  # noqa: FBT001  # as Hypothesis draws it
        """The next commits fail, and are on disk or not."""
        self._befall(CommitsFail(number, applied=applied))

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
        self._befall(mishap)

    def _times(self) -> list[float]:
        brief = [0.1, 0.01, 0.03, 1.0, 10.0, MINUTE]
        return brief if self.sim.world.trouble.full else [*brief, DAY, 365 * DAY]
