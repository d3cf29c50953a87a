"""How the world misbehaves: decided by a seed, and by nothing else.

Each decision is a hash of the seed, the idempotency key and how often that key was called. So it does not
depend on the order in which tasks happen to run, and the same seed gives the same trouble again.
"""

from __future__ import annotations

from enum import StrEnum
from hashlib import blake2b

from attrs import Attribute, field, frozen


class Whim(StrEnum):
    """What can become of one call."""

    FINE = "fine"
    SLOW = "slow"  #: done and answered, after a while
    REFUSED = "refused"  #: refused at the door, with no effect
    LOST_REQUEST = "lost_request"  #: never arrives; the caller gets an error
    LOST_ANSWER = "lost_answer"  #: done, but the caller gets an error
    DOWN = "down"  #: the first few calls under a key find nobody there
    LATE = "late"  #: the first few calls under a key hang, and arrive when nobody waits for them any more


def _is_rate(_instance: object, attribute: Attribute[float], rate: float) -> None:
    if not 0 <= rate <= 1:
        raise ValueError(f"the rate of {attribute.name} is {rate}: give a share between 0 and 1")


@frozen
class Rates:
    """How often each kind of trouble comes: shares of all calls, for `down` and `late` of all keys."""

    slow: float = field(default=0.03, validator=_is_rate)
    refused: float = field(default=0.01, validator=_is_rate)
    lost_request: float = field(default=0.01, validator=_is_rate)
    lost_answer: float = field(default=0.01, validator=_is_rate)
    down: float = field(default=0.005, validator=_is_rate)
    late: float = field(default=0.005, validator=_is_rate)


@frozen
class Mischief:
    """Decides what becomes of a call."""

    seed: int
    rates: Rates

    def whim(self, key: str, call: int) -> Whim:
        """Say what becomes of the call with this number (from 1) under this key."""
        for whim, rate in ((Whim.DOWN, self.rates.down), (Whim.LATE, self.rates.late)):
            if self.draw(whim, key) < rate and call <= self._spell(whim, key):
                return whim
        draw = self.draw("call", key, call)
        for whim, rate in self._single():
            if draw < rate:
                return whim
            draw -= rate
        return Whim.FINE

    def refuses(self, key: str) -> bool:
        """Say whether all calls under this key are refused: a verdict on the matter, not on the moment."""
        return self.draw("verdict", key) < self.rates.refused

    def draw(self, *what: object) -> float:
        """Return a number in [0, 1) that depends on the seed and on `what` alone."""
        digest = blake2b(repr((self.seed, *map(str, what))).encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64

    def _single(self) -> tuple[tuple[Whim, float], ...]:
        return (
            (Whim.SLOW, self.rates.slow),
            (Whim.REFUSED, self.rates.refused),
            (Whim.LOST_REQUEST, self.rates.lost_request),
            (Whim.LOST_ANSWER, self.rates.lost_answer),
        )

    def _spell(self, whim: Whim, key: str) -> int:
        """Return how many calls such a spell lasts: 2 to 4, so that it may outlast the retries or not."""
        return 2 + int(3 * self.draw("spell", whim, key))
