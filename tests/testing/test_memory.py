"""What a step keeps in its process, which a crash forgets, and what is no such thing."""

import logging
import os
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field as entry
from typing import Any

import pytest
from attrs import define, field

from atone import Saga, StepContext, step
from atone.testing import Flaw, rehearse
from tests.testing.shop import Order
from tests.testing.test_rehearsal import flaws

_count = 0
_receipt: str | None = None
_client: object | None = None
_settings: dict[str, int] = {"cents": 1}
_LAST = deque[str]()
_LOG = logging.getLogger("shop")


@dataclass
class Books:
    """Somebody's object in a module."""

    paid: dict[str, bool] = entry(default_factory=dict)
    number: int = 0
    connection: object = None

    def look_up(self, order: str) -> object:
        """Keep what it needs, which is its own business."""
        self.number += 1
        self.connection = self.connection or object()
        return self.paid.get(order)


class Desk:
    """A class that counts."""

    served = 0


_BOOKS = Books()


async def counts(order: Order) -> None:
    """Bind a global."""
    global _count  # noqa: PLW0603
    _count += 1


async def counts_within(order: Order) -> None:
    """The same, in a function of its own."""

    def count() -> None:
        global _count  # noqa: PLW0603
        _count += 1

    count()


async def remembers(order: Order, ctx: StepContext) -> None:
    """Keep what only another step can want."""
    global _receipt  # noqa: PLW0603
    _receipt = ctx.key


async def books(order: Order, ctx: StepContext) -> None:
    """Write in an object."""
    _BOOKS.paid[ctx.order_id] = True


async def numbers(order: Order) -> None:
    """Set an attribute."""
    _BOOKS.number += 1


async def serves(order: Order) -> None:
    """Set one of a class."""
    Desk.served += 1


async def appends(order: Order, ctx: StepContext) -> None:
    """Keep the last few."""
    _LAST.append(ctx.order_id)


async def exports(order: Order, ctx: StepContext) -> None:
    """Tell its children."""
    os.environ["SHOP_PAID"] = "" if "SHOP_PAID" not in os.environ else f"{os.environ['SHOP_PAID']}+"


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins with nothing."""
    module = sys.modules[__name__]
    for name, value in {"_count": 0, "_receipt": None, "_client": None, "_settings": {"cents": 1}}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(module, "_BOOKS", Books())
    monkeypatch.setattr(Desk, "served", 0)
    monkeypatch.setenv("SHOP_PAID", "")
    monkeypatch.delenv("SHOP_PAID")
    _LAST.clear()


@pytest.mark.parametrize(
    ("act", "name"),
    [
        (counts, "_count"),
        (counts_within, "_count"),
        (remembers, "_receipt"),
        (books, "_BOOKS.paid"),
        (numbers, "_BOOKS.number"),
        (serves, "Desk.served"),
        (appends, "_LAST"),
        (exports, "os.environ"),
    ],
)
def test_what_is_in_memory_only_is_named(act: Callable[..., Any], name: str) -> None:
    """Whichever way the step keeps it."""
    assert flaws(act, None, pivot=True) == {Flaw.MEMORY: f"step 'pay' changes {name!r}, which is in memory only"}


@define
class Basket:
    """An input that is not frozen."""

    cents: int = 1000
    items: list[str] = field(factory=list)


async def discounts(basket: Basket) -> None:
    """Take something off: of what the next attempt is given."""
    basket.cents -= 100


async def packs(basket: Basket) -> None:
    """The same, deeper within."""
    basket.items.append("wrapping")


async def weighs(basket: Basket) -> int:
    """Change a list of its own."""
    items = list(basket.items)
    items.append("wrapping")
    return len(items)


@pytest.mark.parametrize(("act", "changes"), [(discounts, True), (packs, True), (weighs, False)])
def test_a_step_that_changes_what_it_is_given_is_named(act: Callable[..., Any], changes: bool) -> None:
    """Its next attempt is given the changed one, or the old one when the process has started anew meanwhile."""
    saga = Saga("basket", input=Basket, steps=[step(pivot=True)(act)])
    found = {one.check: one.detail for one in rehearse(saga, Basket())}
    what = f"step {act.__name__!r} changes 'basket', which it shares with its next attempt: make that class frozen"
    assert found == ({Flaw.MEMORY: what} if changes else {})


async def connects(order: Order) -> None:
    """Make a client when it is first needed: the next process makes another."""
    global _client  # noqa: PLW0603
    if _client is None:
        _client = object()


async def connects_its_books(order: Order) -> None:
    """The same, in an object."""
    if _BOOKS.connection is None:
        _BOOKS.connection = object()


async def reads_again(order: Order) -> None:
    """Bind what is equal to what was there."""
    global _settings  # noqa: PLW0603
    _settings = dict(_settings)


async def looks_up(order: Order, ctx: StepContext) -> None:
    """What an object does inside is its own business."""
    _LOG.debug("order of %s, %s", order.cents, _BOOKS.look_up(ctx.order_id))


class Proxy:
    """Stands for something that is not there now, as frameworks have it."""

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Nothing to be asked."""
        raise RuntimeError("no request is under way")


_REQUEST = Proxy()


async def passes_on(order: Order) -> None:
    """Name what must not be asked."""
    assert _REQUEST is not None


@pytest.mark.parametrize("act", [connects, connects_its_books, reads_again, looks_up, passes_on])
def test_what_a_process_makes_again_is_no_memory(act: Callable[..., Any]) -> None:
    """No caches, no clients, and nothing that a step does not touch itself."""
    assert flaws(act, None, pivot=True) == {}
