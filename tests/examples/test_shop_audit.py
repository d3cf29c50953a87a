from contextlib import closing
from pathlib import Path

import pytest

from examples.shop.audit import Ending, Told, audit, late_requests
from examples.shop.domain import Order
from examples.shop.ledger import Kind, Ledger, Refused

ORDER = Order("1", "17850", "France", "shelf", 2, 500)
COMPLETED = [Ending("1", "COMPLETED")]
COMPENSATED = [Ending("1", "COMPENSATED")]


class Books:
    """A ledger with the marks of one order in it, and of what went wrong with it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with closing(self._open().db) as db:
            db.execute("insert into stock values ('shelf', 10, 10)")

    def _open(self) -> Ledger:
        return Ledger(self.path)

    def forward(self, *kinds: Kind, key: str = "", total: int = ORDER.total_pence) -> None:
        ledger = self._open()
        with closing(ledger.db):
            for kind in kinds:
                if kind is Kind.RESERVE:
                    ledger.enter(f"{kind}{key}", kind, ORDER.id, ORDER.quantity, ORDER.sku)
                else:
                    ledger.enter(f"{kind}{key}", kind, ORDER.id, total if kind is Kind.CHARGE else 1)

    def back(self, *kinds: Kind) -> None:
        ledger = self._open()
        undone = {Kind.RELEASE: Kind.RESERVE, Kind.REFUND: Kind.CHARGE}
        with closing(ledger.db):
            for kind in kinds:
                ledger.undo(kind, undone[kind], kind, ORDER.id)

    def run(self, statement: str) -> None:
        with closing(self._open().db) as db:
            db.execute(statement)

    def audit(self, endings: list[Ending], told: Told | None = None) -> list[str]:
        return audit(self.path, [ORDER], endings, told or Told())


WHOLE_WAY = (Kind.RESERVE, Kind.CHARGE, Kind.SHIP, Kind.CONFIRM)


@pytest.fixture
def books(tmp_path: Path) -> Books:
    """Books with nothing in them but a full shelf."""
    return Books(tmp_path / "ledger.db")


def test_a_completed_order_is_fine(books: Books) -> None:
    """Each of its effects once, and nothing taken back."""
    books.forward(*WHOLE_WAY)

    assert books.audit(COMPLETED) == []


def test_a_compensated_order_is_fine(books: Books) -> None:
    """Everything taken back, and nothing shipped."""
    books.forward(Kind.RESERVE, Kind.CHARGE)
    books.back(Kind.REFUND, Kind.RELEASE)

    assert books.audit(COMPENSATED) == []


def test_an_order_that_was_undone_before_it_began_is_fine(books: Books) -> None:
    """A refund of nothing is no refund."""
    books.back(Kind.RELEASE)

    assert books.audit(COMPENSATED) == []


def test_a_parked_order_with_a_reason_is_fine(books: Books) -> None:
    """It waits for a person, and says why."""
    assert books.audit([Ending("1", "PARKED", "IN_DOUBT")]) == []


def test_a_double_charge_is_found(books: Books) -> None:
    """Two keys for one charge are two charges."""
    books.forward(*WHOLE_WAY)
    books.forward(Kind.CHARGE, key="-again")

    assert books.audit(COMPLETED) == ["order 1 is completed, but its charge was done 2 times"]


def test_a_wrong_amount_is_found(books: Books) -> None:
    """The customer pays what the invoice says."""
    books.forward(*WHOLE_WAY, total=499)

    assert books.audit(COMPLETED) == ["order 1 cost 500 pence, but 499 were charged"]


def test_a_refund_of_a_completed_order_is_found(books: Books) -> None:
    """Goods for nothing are a loss."""
    books.forward(*WHOLE_WAY)
    books.back(Kind.REFUND)

    assert books.audit(COMPLETED) == ["order 1 is completed, but a refund was made"]


def test_a_missing_shipment_is_found(books: Books) -> None:
    """Paid, but never sent."""
    books.forward(Kind.RESERVE, Kind.CHARGE, Kind.CONFIRM)

    assert books.audit(COMPLETED) == ["order 1 is completed, but its ship was done 0 times"]


def test_a_charge_of_a_compensated_order_is_found(books: Books) -> None:
    """The charge that came after its refund, where no tombstone stopped it."""
    books.forward(Kind.RESERVE, Kind.CHARGE)
    books.back(Kind.RELEASE)

    assert books.audit(COMPENSATED) == ["order 1 is compensated, but 500 of its charge remain"]


def test_a_reservation_of_a_compensated_order_is_found(books: Books) -> None:
    """Goods kept for nobody."""
    books.forward(Kind.RESERVE)

    assert books.audit(COMPENSATED) == ["order 1 is compensated, but 2 of its reserve remain"]


def test_a_shipment_of_a_compensated_order_is_found(books: Books) -> None:
    """Undone, but on its way."""
    books.forward(Kind.SHIP)

    assert books.audit(COMPENSATED) == ["order 1 is compensated, but its ship was done"]


def test_stock_that_did_not_come_back_is_found(books: Books) -> None:
    """The release stands in the book, but the shelf has fewer items."""
    books.forward(Kind.RESERVE)
    books.back(Kind.RELEASE)
    books.run("update stock set on_hand = 8")

    assert books.audit(COMPENSATED) == ["shelf holds 8 items, but should hold 10"]


def test_a_lost_order_is_found(books: Books) -> None:
    """It was accepted, and the coordinator knows nothing of it."""
    assert books.audit([], Told(accepted={"1"})) == ["order 1 was accepted and is lost"]


def test_an_order_that_was_never_accepted_is_found(books: Books) -> None:
    """It stands in the file, and nobody took it."""
    assert books.audit([]) == ["order 1 was never accepted"]


def test_orders_that_nobody_placed_are_found(books: Books) -> None:
    """Neither the coordinator nor the books may know an order that does not stand in the file."""
    books.forward(*WHOLE_WAY)
    books.run("update entry set order_id = '2' where kind = 'charge'")

    assert books.audit([*COMPLETED, Ending("3", "COMPLETED")]) == [
        "order 3 exists, but nobody placed it",
        "order 1 is completed, but its charge was done 0 times",
        "the books name order 2, which nobody placed",
    ]


@pytest.mark.parametrize("status", ["RUNNING", "WAITING", "COMPENSATING", "SUSPENDED", "ABANDONED", "PARKED"])
def test_an_order_in_between_is_found(books: Books, status: str) -> None:
    """In the end an order is completed, compensated, or parked with a reason."""
    assert books.audit([Ending("1", status)]) == [f"order 1 did not come to an end: it is {status}"]


@pytest.mark.parametrize("what", ["cancel", "decline"])
def test_a_broken_word_is_found(books: Books, what: str) -> None:
    """Who was told that an order is stopped must not get it."""
    books.forward(*WHOLE_WAY)
    told = Told(cancelled={"1"}) if what == "cancel" else Told(declined={"1"})

    assert books.audit(COMPLETED, told) == [f"order 1 is completed, although its {what} was accepted"]


def test_late_requests_are_counted(books: Books) -> None:
    """The tombstones that were needed."""
    books.back(Kind.REFUND)
    with pytest.raises(Refused):
        books.forward(Kind.CHARGE)

    assert late_requests(books.path) == 1
