"""Waking those who wait for news of an order, in this process.

Nothing is buffered: a subscriber is only told that there is news, and reads for itself what it has not seen. A slow
one simply reads more at a time. Subscribe first and read then, and no news can slip through in between.
"""

from __future__ import annotations

import asyncio
from typing import Self

from attrs import define, field


@define(eq=False, repr=False)
class Subscription:
    """One subscriber's bell, for the length of a `with` block."""

    _table: dict[str, list[Subscription]]
    _id: str
    news: object = None  #: what came with the latest news, if anything did
    answers: tuple[tuple[int, str], ...] = ()  #: messages that were answered with the latest news
    failure: Exception | None = None
    _rung: bool = False
    _waiter: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        self._table.setdefault(self._id, []).append(self)
        return self

    def __exit__(self, *_error: object) -> None:
        subscribers = self._table[self._id]
        subscribers.remove(self)
        if not subscribers:
            del self._table[self._id]

    def wait(self) -> asyncio.Future[None]:
        """Done as soon as there is news since the last wait; raises when the engine failed."""
        self._waiter = asyncio.get_running_loop().create_future()
        if self._rung:
            self._wake(self._waiter)
        return self._waiter

    def ring(self, news: object, answers: tuple[tuple[int, str], ...] = ()) -> None:
        """Tell that there is news."""
        self.news, self.answers, self._rung = news, answers, True
        if self._waiter is not None and not self._waiter.done():
            self._wake(self._waiter)

    def _wake(self, waiter: asyncio.Future[None]) -> None:
        self._rung = False
        if self.failure is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(self.failure)


@define(eq=False, repr=False)
class Feed:
    """The subscribers of each order. Most want to know its end and no more: they are not asked at each transition."""

    watched: dict[str, list[Subscription]] = field(factory=dict)  #: of all news, by order
    _ends: dict[str, list[Subscription]] = field(factory=dict)

    def subscribe(self, id: str, *, only_end: bool = False) -> Subscription:
        """Be told of news of an order."""
        return Subscription(self._ends if only_end else self.watched, id)

    def __bool__(self) -> bool:
        return bool(self.watched or self._ends)

    def awaits(self, id: str) -> bool:
        """Whether anybody wants to be told of the end of an order."""
        return id in self._ends or id in self.watched

    def publish(
        self, id: str, news: object = None, *, end: bool = True, answers: tuple[tuple[int, str], ...] = ()
    ) -> None:
        """Tell the subscribers of an order; `end` is whether this may be its end."""
        for subscription in (*self.watched.get(id, ()), *(self._ends.get(id, ()) if end else ())):
            subscription.ring(news, answers)

    def publish_all(self) -> None:
        """Tell everybody to look again."""
        for subscription in self._everybody():
            subscription.ring(None)

    def fail(self, failure: Exception) -> None:
        """Tell everybody that there will be no more news."""
        for subscription in self._everybody():
            subscription.failure = failure
            subscription.ring(None)

    def _everybody(self) -> list[Subscription]:
        return [one for table in (self.watched, self._ends) for subscribers in table.values() for one in subscribers]
