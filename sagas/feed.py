"""Waking those who wait for news of an order, in this process.

Nothing is buffered: a subscriber is only told that there is news, and reads for itself what it has not seen. A slow
one simply reads more at a time. Subscribe first and read then, and no news can slip through in between.
"""

from __future__ import annotations

import asyncio
from typing import Self

from attrs import define, field


@define(eq=False)
class Subscription:
    """One subscriber's bell, for the length of a `with` block."""

    _feed: Feed
    _id: str
    only_end: bool  #: whether nothing but the end of the order matters
    news: object = None  #: what came with the latest news, if anything did
    failure: Exception | None = None
    _rung: bool = False
    _waiter: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        self._feed.subscribers.setdefault(self._id, []).append(self)
        return self

    def __exit__(self, *_error: object) -> None:
        subscribers = self._feed.subscribers[self._id]
        subscribers.remove(self)
        if not subscribers:
            del self._feed.subscribers[self._id]

    async def wait(self) -> None:
        """Wait for news since the last wait; raises when the engine failed."""
        if not self._rung:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        self._rung = False
        if self.failure is not None:
            raise self.failure

    def ring(self, news: object) -> None:
        """Tell that there is news."""
        self.news, self._rung = news, True
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


@define(eq=False)
class Feed:
    """The subscribers of each order."""

    subscribers: dict[str, list[Subscription]] = field(factory=dict)

    def subscribe(self, id: str, *, only_end: bool = False) -> Subscription:
        """Be told of news of an order."""
        return Subscription(self, id, only_end)

    def wanted(self, id: str, *, end: bool) -> bool:
        """Whether anybody wants to be told of this news of an order."""
        subscribers = self.subscribers.get(id, ())
        if end:
            return bool(subscribers)
        return any([not one.only_end for one in subscribers])  # noqa: C419  # at every transition: a generator is slow

    def publish(self, id: str, news: object = None, *, end: bool = True) -> None:
        """Tell the subscribers of an order; `end` is whether this may be its end."""
        for subscription in self.subscribers.get(id, ()):
            if end or not subscription.only_end:
                subscription.ring(news)

    def publish_all(self) -> None:
        """Tell everybody to look again."""
        for id in list(self.subscribers):
            self.publish(id)

    def fail(self, failure: Exception) -> None:
        """Tell everybody that there will be no more news."""
        for subscribers in self.subscribers.values():
            for subscription in subscribers:
                subscription.failure = failure
                subscription.ring(None)
