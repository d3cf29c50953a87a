"""Waking those who wait for news of an order, in this process.

Nothing is buffered: a subscriber is only told that there is news, and reads for itself what it has not seen. A slow
one simply reads more at a time. Subscribe first and read then, and no news can slip through in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define, field


@define(eq=False)
class Subscription:
    """One subscriber's bell."""

    _bell: asyncio.Event = field(factory=asyncio.Event)
    news: object = None  #: what came with the latest news, if anything did
    failure: Exception | None = None

    async def wait(self) -> None:
        """Wait for news since the last wait; raises when the engine failed."""
        await self._bell.wait()
        self._bell.clear()
        if self.failure is not None:
            raise self.failure

    def ring(self, news: object) -> None:
        """Tell that there is news."""
        self.news = news
        self._bell.set()


@define(eq=False)
class Feed:
    """The subscribers of each order."""

    _subscribers: dict[str, list[Subscription]] = field(factory=dict)

    def __bool__(self) -> bool:
        return bool(self._subscribers)

    def wanted(self, id: str) -> bool:
        """Whether anybody subscribes to an order."""
        return id in self._subscribers

    @contextmanager
    def subscribe(self, id: str) -> Iterator[Subscription]:
        """Be told of news of an order, for the length of a `with` block."""
        subscription = Subscription()
        subscribers = self._subscribers.setdefault(id, [])
        subscribers.append(subscription)
        try:
            yield subscription
        finally:
            subscribers.remove(subscription)
            if not subscribers:
                del self._subscribers[id]

    def publish(self, id: str, news: object = None) -> None:
        """Tell the subscribers of an order."""
        for subscription in self._subscribers.get(id, ()):
            subscription.ring(news)

    def publish_all(self) -> None:
        """Tell everybody to look again."""
        for id in list(self._subscribers):
            self.publish(id)

    def fail(self, failure: Exception) -> None:
        """Tell everybody that there will be no more news."""
        for subscribers in self._subscribers.values():
            for subscription in subscribers:
                subscription.failure = failure
                subscription.ring(None)
