"""A request that waited when its order was set aside is decided all the same."""

from typing import Any

import pytest

from atone import AnswerPending, CancelAnswer, Status, VerbAnswer, receive
from atone.storage import Advance, Quarantine
from atone.storage.errors import WriteRefused
from tests.manual_runtime import settle
from tests.sagas.harness import Life, later
from tests.sagas.world import Approve, World, effect, line_of

pytestmark = pytest.mark.anyio
SAGA = line_of(effect("reserve"), receive(Approve), effect("charge"))


class Disk:
    """Refuses whatever moves an order on, until it is told not to, or an order was set aside."""

    def __init__(self, life: Life, *, mends_itself: bool) -> None:
        self.refuses = True
        self._mends_itself = mends_itself
        self._submit = life.store.submit
        life.store.submit = self.submit  # type: ignore[method-assign]
        life.coordinator._access.supervisor.submit = self.submit  # type: ignore[union-attr]

    def submit(self, write: Any, done: Any) -> None:
        if self.refuses and isinstance(write, Advance):
            done(WriteRefused("the disk", "too big"))
            return
        self._submit(write, done)
        if isinstance(write, Quarantine) and self._mends_itself:
            self.refuses = False


async def test_a_cancel_that_waits_at_an_order_set_aside_is_decided() -> None:
    """What made it crash may be over: it is taken up once more for those who have asked."""
    async with Life([SAGA], World()) as life:
        handle = await life.start()
        await life.reach(Status.WAITING)
        Disk(life, mends_itself=True)
        answer = later(handle.cancel("no", by="me"))
        await life.clock.advance(60)
        assert answer.result() is CancelAnswer.ACCEPTED


async def test_a_cancel_that_waits_at_an_order_set_aside_is_decided_when_it_is_repeated() -> None:
    """It crashed at that, too; then it waits until somebody asks again."""
    async with Life([SAGA], World()) as life:
        handle = await life.start()
        await life.reach(Status.WAITING)
        disk = Disk(life, mends_itself=False)
        first = later(handle.cancel("no", by="me", id="c"))
        await life.clock.advance(60)
        assert isinstance(first.exception(), AnswerPending)
        assert await life.status() is Status.PARKED
        disk.refuses = False
        second = later(handle.cancel("no", by="me", id="c"))
        await settle()
        await life.clock.advance(60)
        assert second.result() is CancelAnswer.ACCEPTED


async def test_a_cancel_at_an_order_set_aside_for_a_second_time_is_decided() -> None:
    """It had gone on in between: that it was taken up once for those who asked does not count for ever."""
    async with Life([SAGA], World()) as life:
        handle = await life.start()
        await life.reach(Status.WAITING)
        disk = Disk(life, mends_itself=True)
        later(handle.suspend(by="me", why="?"))
        await life.clock.advance(60)
        seen = await life.reach(Status.PARKED)
        assert await handle.retry(seen.park.number, by="me", why="mended") is VerbAnswer.ACCEPTED
        assert await handle.resume(by="me", why="mended") is VerbAnswer.ACCEPTED
        await life.reach(Status.WAITING)
        disk.refuses = True
        answer = later(handle.cancel("no", by="me"))
        await life.clock.advance(60)
        assert answer.result() is CancelAnswer.ACCEPTED
