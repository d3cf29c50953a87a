"""What goes wrong in one history: calls of participants, and the process itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from attrs import frozen

from .outcomes import Fate
from .simulation import Simulation

#: How many calls under a key go wrong: more than most policies try before the pivot.
CALLS = 6
#: What becomes of an action. A late one is what a step must not take for a refusal.
ACTION_FATES = (Fate.REFUSED, Fate.LATE)
#: What becomes of an undo. Both have no effect: one that came late would still have cleaned up in the end.
UNDO_FATES = (Fate.LOST, Fate.HANG)


@frozen
class Disturbance:
    """What becomes of the calls of an action, or the first one of an undo, under one key."""

    call: str  #: as `Asked.call`
    fate: str
    number: int = 1  #: of the key, among those under which a run asks for the call

    def __str__(self) -> str:
        return f"{self.call}{f'#{self.number}' if self.number > 1 else ''}={self.fate}"

    @classmethod
    def parse(cls, text: str) -> Disturbance:
        """The disturbance that `str` wrote."""
        what, _, fate = text.partition("=")
        call, _, number = what.partition("#")
        return cls(call, fate, int(number or 1))

    def prepare(self, sim: Simulation) -> None:
        """Plan it. Raises `LookupError` for a call that no service has."""
        service, _, name = self.call.rpartition(".")
        sim.misbehave(name)  # says what there is instead
        for fake in sim.fakes:
            if name in fake.calls() and service in {"", fake.name}:
                number = 1 if fake.calls()[name] else CALLS
                fake.plans[f"{name}#{self.number}"] = [Fate(self.fate)] * number

    def took_place(self, sim: Simulation) -> bool:
        """Whether anything asked for the call, under so many keys."""
        return any((one.call, one.number) == (self.call, self.number) for one in asked(sim))


@frozen
class Asked:
    """A call that a run has asked for, under one key."""

    call: str  #: its name, behind that of its service where several services have it: `Payments.charge`
    number: int  #: of the key, among those of the call
    key: str
    undo: bool
    outer: bool  #: whether it was the first key of the call, or the last

    def disturbed(self, fate: str) -> Disturbance:
        """The same, gone wrong."""
        return Disturbance(self.call, fate, self.number)


def asked(sim: Simulation) -> Iterator[Asked]:
    """Every call and key, those of one service in the order in which it was asked."""
    named = Counter(name for fake in sim.fakes for name in fake.calls())
    for fake in sim.fakes:
        places = list(dict.fromkeys(fake.ledger.sent))
        last, numbers = Counter(name for name, _ in places), Counter[str]()
        for name, key in places:
            numbers[name] += 1
            call = name if named[name] == 1 else f"{fake.name}.{name}"
            yield Asked(call, numbers[name], key, fake.calls()[name], numbers[name] in {1, last[name]})


@frozen
class History:
    """One run: what is disturbed, and the callbacks before which the process dies."""

    disturbances: tuple[Disturbance, ...] = ()
    crashes: tuple[int, ...] = ()

    def __str__(self) -> str:
        return f"{','.join(map(str, self.disturbances))}@{','.join(map(str, self.crashes))}"

    @classmethod
    def parse(cls, text: str) -> History:
        """The history that `str` wrote."""
        what, _, numbers = text.partition("@")
        disturbances = tuple(Disturbance.parse(one) for one in what.split(",") if one)
        return cls(disturbances, tuple(int(number) for number in numbers.split(",") if number))

    def prepare(self, sim: Simulation) -> None:
        """Plan what is disturbed."""
        for one in self.disturbances:
            one.prepare(sim)


@frozen
class Seen:
    """What one run showed."""

    history: History
    versions: Sequence[object]  #: before each callback, where they were noted
    asked: Sequence[Asked]
