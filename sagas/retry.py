"""How often and how soon something is tried again."""

from __future__ import annotations

from datetime import timedelta

from attrs import field, validators

from ..storage import frozen
from .errors import DefinitionError

#: Seconds: a thousand years. What is longer leaves the calendar, and could not be stored as a time.
LONGEST = 1000 * 366 * 86_400.0

#: What is counted is stored, and must be a number that JSON holds.
MOST_ATTEMPTS = 10**9

#: What can be multiplied with a float: a `Decimal` cannot, and no order that has to try again should find that out.
_NUMBER = validators.instance_of((int, float))


def seconds(time: object, what: str) -> float | None:
    """A time that a definition gives; raises `DefinitionError` for one that is none, or not above zero."""
    if time is None:
        return None
    if not isinstance(time, timedelta) or not timedelta(0) < time <= timedelta(seconds=LONGEST):
        msg = f"{what} of {time!s}: give a timedelta above zero, up to a thousand years"
        raise DefinitionError(msg)
    return time.total_seconds()


@frozen(kw_only=True)
class Retry:
    """How often a step, a probe or a compensation is tried, and how long to wait in between.

    `attempts` counts the first try as well. The wait before try *n + 1* is `first * factor ** (n - 1)`
    seconds, at most `longest`, and shortened by a random part of up to `jitter` of itself, so that orders
    which failed together do not come back together.
    """

    attempts: int = field(
        default=3, validator=[validators.instance_of(int), validators.ge(1), validators.le(MOST_ATTEMPTS)]
    )
    first: float = field(default=0.1, validator=[_NUMBER, validators.ge(0), validators.le(LONGEST)])  #: seconds
    factor: float = field(default=2.0, validator=[_NUMBER, validators.ge(1), validators.le(LONGEST)])
    longest: float = field(default=60.0, validator=[_NUMBER, validators.ge(0), validators.le(LONGEST)])  #: seconds
    jitter: float = field(default=0.2, validator=[_NUMBER, validators.ge(0), validators.le(1)])

    def delay(self, tries: int, luck: float) -> float:
        """Seconds to wait after `tries` failed tries; `luck` from 0 up to 1 draws the jitter."""
        try:
            wait = min(self.first * float(self.factor) ** max(tries - 1, 0), self.longest)
        except OverflowError:  # a power that no float holds
            wait = self.longest if self.first else 0.0
        return wait * (1 - self.jitter * luck)


BEFORE_PIVOT = Retry(attempts=3)
#: What must not be given up lightly: steps after the pivot, and every compensation.
UNTIL_DONE = Retry(attempts=20)
PROBING = Retry(attempts=5)
