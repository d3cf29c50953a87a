"""A request that waited when its order was set aside is decided once somebody asks for it again."""

from typing import Any

import pytest

from atone import AnswerPending, CancelAnswer, Status, receive
from atone.storage import Advance
from atone.storage.errors import WriteRefused
from tests.manual_runtime import settle
from tests.sagas.harness import Life, later
from tests.sagas.world import Approve, World, effect, line_of

pytestmark = pytest.mark.anyio


async def test_a_cancel_that_waits_at_an_order_set_aside_is_decided_when_it_is_repeated() -> None:
    """The rows of the order are refused until it is set aside; afterwards they would be taken."""
    saga = line_of(effect("reserve"), receive(Approve), effect("charge"))
    async with Life([saga], World()) as life:
        handle = await life.start()
        await life.reach(Status.WAITING)
        submit, refusing = life.store.submit, True

        def refuse(write: Any, done: Any) -> None:
            if refusing and isinstance(write, Advance):
                done(WriteRefused("the disk", "too big"))
            else:
                submit(write, done)

        life.store.submit = refuse  # type: ignore[method-assign]
        life.coordinator._access.supervisor.submit = refuse  # type: ignore[union-attr]
        first = later(handle.cancel("no", by="me", id="c"))
        await life.clock.advance(60)
        assert isinstance(first.exception(), AnswerPending)
        assert await life.status() is Status.PARKED
        refusing = False
        second = later(handle.cancel("no", by="me", id="c"))
        await settle()
        await life.clock.advance(60)
        assert second.result() is CancelAnswer.ACCEPTED
