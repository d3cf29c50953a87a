"""Opening a file in which bytes have gone bad."""

import sqlite3
from pathlib import Path

import pytest

from atone import Coordinator, Saga, SqliteStore, Status, receive
from tests.sagas.world import Approve, Order

pytestmark = pytest.mark.anyio


async def test_a_status_that_is_no_text_keeps_nobody_else_from_being_served(tmp_path: Path) -> None:
    """The file opens, and the order beside the damaged one goes on."""
    saga, path = Saga("quiet", input=Order, steps=[receive(Approve)]), tmp_path / "orders.db"
    async with Coordinator(SqliteStore(path), sagas=[saga]) as door:
        for id in ("bad", "good"):
            await door.start(saga, Order(), id=id)
        while sum((await door.count(status=Status.WAITING)).values()) < 2:
            pass
    with sqlite3.connect(path) as connection:
        connection.execute("update actors set status = cast(x'fffe' as text) where id = 'bad'")
    connection.close()
    async with Coordinator(SqliteStore(path), sagas=[saga]) as door:
        await door.order("good").send(Approve())
        assert (await door.order("good").outcome()).status is Status.COMPLETED
