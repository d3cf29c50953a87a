"""What goes wrong in one simulation. Each seed draws its own: some runs know nothing but crashes, others none at all.

A fault that is always there hides what happens without it, so every kind is left out of many runs (swarm testing:
Groce and others, 2012).
"""

from __future__ import annotations

from random import Random

from attrs import frozen

from atone.testing import Outcomes, outcomes

#: Fates of calls, apart from the good one.
_FATES = ("refused", "lost", "applied_answer_lost", "late", "hang")


@frozen
class Weather:
    """The faults of one simulation."""

    outcomes: Outcomes | None  #: of calls
    life: float  #: callbacks that a process lives, on average; 0 where none dies
    burial: float  #: how likely a new process dies within a few callbacks, in its recovery
    commits: float  #: how likely a process is to die at a commit
    provable: bool  #: whether others see at once that a process is dead
    streak: bool  #: whether a process dies again and again
    processes: int  #: that host, or stand by to
    clients: int  #: that never host: they ask while nobody does
    stops: float  #: seconds between two stops of a process; 0 for none
    restarts: float  #: seconds between two restarts in good order; 0 for none
    deploys: bool  #: whether processes know different versions of the saga
    jumps: float  #: seconds between two jumps of the clock; 0 for none
    commit_faults: float
    read_faults: float
    full: bool
    curse: bool  #: whether rows of some orders are refused for a while
    cancels: float  #: how likely a customer is to cancel
    messages: float  #: how likely a customer is to send what is awaited
    meddling: float  #: how likely a person is to suspend an order
    confusion: float  #: how likely `when` is to raise
    operators: float  #: seconds between two looks at what is parked; 0 for none
    abandons: bool
    narrow: bool  #: whether few orders are in memory at a time
    large: bool  #: whether results are too large for a snapshot
    spread: float  #: seconds in which the orders come

    @classmethod
    def draw(cls, chance: Random) -> Weather:
        """Some weather."""

        def some(likely: float, low: float, high: float) -> float:
            return chance.uniform(low, high) if chance.random() < likely else 0.0

        processes = 2 if chance.random() < 0.25 else 1
        clients = int(chance.random() < 0.4)
        return cls(
            outcomes=_outcomes(chance),
            life=some(0.5, 150, 3000),
            burial=some(0.5, 0.1, 0.6),
            commits=some(0.3, 0.1, 0.9),
            provable=chance.random() < 0.7,
            streak=chance.random() < 0.06,
            processes=processes,
            stops=some(0.6, 3, 12) if processes > 1 else 0.0,
            clients=clients,
            restarts=chance.uniform(0.2, 1.5) if clients else some(0.25, 1, 8),
            deploys=chance.random() < 0.25,
            jumps=some(0.25, 1, 6),
            commit_faults=some(0.25, 0.005, 0.08),
            read_faults=some(0.15, 0.005, 0.1),
            full=chance.random() < 0.1,
            curse=chance.random() < 0.1,
            cancels=some(0.6, 0.1, 0.7),
            messages=some(0.85, 0.4, 1.0),
            meddling=some(0.3, 0.1, 0.5),
            confusion=some(0.2, 0.1, 0.6),
            operators=some(0.7, 1, 5),
            abandons=chance.random() < 0.3,
            narrow=chance.random() < 0.2,
            large=chance.random() < 0.15,
            spread=chance.choice((0.0, 0.5, 3.0, 10.0)),
        )


def _outcomes(chance: Random) -> Outcomes | None:
    if chance.random() < 0.15:
        return None
    kinds = chance.sample(_FATES, chance.randint(1, len(_FATES)))
    return outcomes(ok=chance.choice((1.0, 3.0, 10.0)), **{kind: chance.uniform(0.1, 1.0) for kind in kinds})
