"""Bells: who waits for news of an order is woken, once for each time that there is some."""

import pytest

from atone.sagas.feed import Feed

pytestmark = pytest.mark.anyio


async def test_news_before_the_wait_is_not_missed() -> None:
    """And is told once, however often it rang."""
    feed = Feed()
    with feed.subscribe("a") as bell:
        feed.publish("a", 1)
        feed.publish("a", 2)
        await bell.wait()
        assert bell.news == 2
        assert not bell.wait().done()


async def test_the_failure_of_the_engine_ends_a_wait() -> None:
    """One that has begun, and the next one."""
    feed = Feed()
    with feed.subscribe("a") as early, feed.subscribe("a", only_end=True) as late:
        waiting = early.wait()
        feed.fail(LookupError("gone"))
        for wait in (waiting, late.wait()):
            with pytest.raises(LookupError, match="gone"):
                await wait
