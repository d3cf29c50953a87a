"""A real file, a real child process, a real SIGKILL."""

import asyncio
import importlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from atone import Coordinator, Saga, SqliteStore, Status, StepContext, step
from atone.testing import Durable, verify


@frozen
class Order:
    number: int = 1


class Book:
    """A participant with keys and tombstones, in a file of its own: it outlives every process."""

    def __init__(self, path: str) -> None:
        self._book = sqlite3.connect(path + ".book", isolation_level=None)
        self._book.execute("create table if not exists entry (key text primary key, closed int not null)")

    def enter(self, key: str) -> str:
        """Once for each key."""
        self._book.execute("insert into entry values (?, 0) on conflict do nothing", (key,))
        return key

    def strike(self, key: str) -> None:
        """For ever."""
        self._book.execute("insert into entry values (?, 1) on conflict do update set closed = 1", (key,))

    def open(self) -> int:
        """How many entries stand."""
        count: int = self._book.execute("select count(*) from entry where not closed").fetchone()[0]
        return count

    def close(self) -> None:
        """Let go of the file."""
        self._book.close()


@step
async def first(order: Order, book: Book, ctx: StepContext) -> str:
    """One entry."""
    return book.enter(ctx.key)


@first.compensation
async def not_first(order: Order, book: Book, ctx: StepContext) -> None:
    """Strike it."""
    book.strike(ctx.action_key)


@step(pivot=True)
async def second(order: Order, book: Book, ctx: StepContext) -> str:
    """Another entry."""
    return book.enter(ctx.key)


saga = Saga("pair", input=Order, steps=[first, second])


async def serve(path: str) -> None:
    """Run one order; what the child does."""
    book = Book(path)
    async with Coordinator(SqliteStore(path), sagas=[saga], provide=[book]) as coordinator:
        outcome = await (await coordinator.start(saga, Order(), id="1")).outcome(timeout=30)
        assert outcome.status is Status.COMPLETED
    book.close()


async def wait(path: str) -> None:
    """Never end."""
    async with Coordinator(SqliteStore(path), sagas=[saga], provide=[Book(path)]) as coordinator:
        await coordinator.start(saga, Order(), id="1")
        await asyncio.sleep(3600)


@pytest.fixture
def durable(tmp_path: Path) -> Durable:
    """As the plugin makes it."""
    return Durable(tmp_path / "orders.db")


@pytest.mark.parametrize("at", ["commit 1:before", "commit 1:after", "commit 2:after", "commit 3:after"])
async def test_a_process_that_is_really_killed_is_recovered(durable: Durable, at: str) -> None:
    """The next one goes on from the file, every effect stands once, and the file is sound."""
    durable.kill(serve, at=at)
    await serve(str(durable.path))
    assert await verify(durable.path, sagas=[saga]) == []
    book = Book(str(durable.path))
    assert book.open() == 2
    book.close()


def test_a_process_can_be_killed_at_some_instant(durable: Durable) -> None:
    """So many seconds after its first commit."""
    durable.kill(wait, after=0.05)
    durable.run(serve)


def test_a_child_that_ends_before_it_is_killed_fails_the_test(durable: Durable) -> None:
    """A test that kills nobody proves nothing."""
    with pytest.raises(AssertionError, match="not killed, but ended:\nafter 3 commits, and not at 'commit 99:before'"):
        durable.kill(serve, at="commit 99:before")


@pytest.mark.parametrize("when", [{}, {"at": "comit 3:after"}, {"at": "charge:after_effect"}, {"at": "", "after": 1.0}])
def test_a_kill_that_would_never_come_is_refused_at_once(durable: Durable, when: dict[str, Any]) -> None:
    """Rather than after a minute, in which a service had served in vain."""
    with pytest.raises(ValueError, match="say when it is to die"):
        durable.kill(serve, **when)


def test_a_child_that_fails_is_quoted(durable: Durable) -> None:
    """With its traceback."""
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        durable.run(broken)


def broken(path: str) -> None:
    """Fails."""
    raise ZeroDivisionError(path)


def test_a_function_inside_a_function_cannot_be_a_child(durable: Durable) -> None:
    """Another process could not find it."""
    with pytest.raises(ValueError, match="function of a module"):
        durable.run(lambda _path: None)


async def test_the_function_may_be_in_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose modules import each other by relative names, as those of many test folders do."""
    package = tmp_path / "orders_of_a_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "shop.py").write_text("from pathlib import Path\n\nwrite = Path.touch\n")
    (package / "served.py").write_text(
        "from pathlib import Path\n\nfrom .shop import write\n\n\ndef serve(path):\n    write(Path(path))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    durable = Durable(tmp_path / "orders.db")
    durable.run(importlib.import_module("orders_of_a_package.served").serve)
    assert durable.path.exists()
