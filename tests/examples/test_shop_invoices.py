from collections import Counter
from pathlib import Path

import pytest

from examples.shop.invoices import COLUMNS, Cancellation, NotInvoices, Reject, Row, Sale, read_invoices
from examples.shop.make_sample import ROWS, SEED, make_sample
from examples.shop.settings import SAMPLE


def read(tmp_path: Path, *lines: str) -> list[Row]:
    """Return what a file with these lines is read as."""
    path = tmp_path / "invoices.csv"
    path.write_text("\n".join([",".join(COLUMNS), *lines]) + "\n", encoding="utf-8")
    return read_invoices(path)


def test_a_sale_becomes_an_order(tmp_path: Path) -> None:
    """The invoice's number is the order's id, and its total is in whole pence."""
    [sale] = read(tmp_path, '536365,12/1/2010 8:26,17850,"Korea, Republic of",40,3.91')

    assert isinstance(sale, Sale)
    assert sale.line == 2
    assert sale.order.id == "536365"
    assert sale.order.customer == "17850"
    assert sale.order.country == "Korea, Republic of"
    assert sale.order.total_pence == 15640


def test_an_unknown_customer_is_a_guest(tmp_path: Path) -> None:
    """A sale to nobody in particular is an order all the same."""
    [sale] = read(tmp_path, "536365,12/1/2010 8:26,(blank),United Kingdom,40,3.91")

    assert isinstance(sale, Sale)
    assert sale.order.customer is None


def test_a_cancellation_names_the_latest_order_of_its_customer(tmp_path: Path) -> None:
    """Only sales that stand before it, and only those of the same customer, are considered."""
    rows = read(
        tmp_path,
        "C500000,12/1/2010 8:26,1,France,-1,1",
        "500001,12/1/2010 8:26,1,France,1,1",
        "500002,12/1/2010 8:26,1,France,1,1",
        "500003,12/1/2010 8:26,2,France,1,1",
        "C500004,12/1/2010 8:26,1,France,-1,1",
        "C500005,12/1/2010 8:26,(blank),France,-1,1",
        "500006,12/1/2010 8:26,1,France,1,1",
    )

    cancelled = {row.id: row.order_id for row in rows if isinstance(row, Cancellation)}
    assert cancelled == {"C500000": None, "C500004": "500002", "C500005": None}


def test_rows_come_in_order_of_time(tmp_path: Path) -> None:
    """In a file sorted by number, a cancellation stands after its sale and before the next."""
    rows = read(
        tmp_path,
        "500001,12/1/2010 8:26,1,France,1,1",
        "500002,1/2/2011 8:26,1,France,1,1",
        "C500003,12/9/2010 17:00,1,France,-1,1",
    )

    assert [row.line for row in rows] == [2, 4, 3]
    assert rows[1] == Cancellation(4, "C500003", "1", "500001")


def test_a_number_that_stands_twice_is_two_orders(tmp_path: Path) -> None:
    """Neither of two invoices with one number and two times is lost."""
    rows = read(tmp_path, "536591,12/1/2010 16:57,14606,France,81,2.78", "536591,12/1/2010 16:58,14606,France,12,3.89")

    assert [row.order.id for row in rows if isinstance(row, Sale)] == ["536591", "536591-2"]


def test_the_same_line_twice_is_one_order(tmp_path: Path) -> None:
    """A line repeated to the letter is a slip, and is reported."""
    line = "536591,12/1/2010 16:57,14606,France,81,2.78"

    assert read(tmp_path, line, line)[1] == Reject(3, "the same line twice")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "columns missing or too many"),
        ("536365,12/1/2010 8:26,17850,France,40", "columns missing or too many"),
        ("536365,12/1/2010 8:26,17850,France,40,3.91,0", "columns missing or too many"),
        ('536365,12/1/2010 8:26,17850,"France,40,3.91', "columns missing or too many"),
        ("536365,13/13/2010 8:26,17850,France,40,3.91", "an unreadable date"),
        ("536365,yesterday,17850,France,40,3.91", "an unreadable date"),
        ("536365,12/1/2010 8:26,17850,France,many,3.91", "an unreadable number"),
        ("536365,12/1/2010 8:26,17850,France,1.5,3.91", "an unreadable number"),
        ("536365,12/1/2010 8:26,17850,France,40,", "an unreadable number"),
        ("536365,12/1/2010 8:26,17850,France,40,nan", "an unbelievable number"),
        ("536365,12/1/2010 8:26,17850,France,40,inf", "an unbelievable number"),
        ("536365,12/1/2010 8:26,17850,France,1" + "0" * 400 + ",3.91", "an unbelievable number"),
        ("536365,12/1/2010 8:26,17850,France,0,3.91", "a quantity of zero or less"),
        ("536365,12/1/2010 8:26,17850,France,-40,3.91", "a quantity of zero or less"),
        ("536365,12/1/2010 8:26,17850,France,40,0", "a price of zero or less"),
        ("536365,12/1/2010 8:26,17850,France,40,-3.91", "a price of zero or less"),
        ("A563185,12/1/2010 8:26,(blank),France,1,-11062.06", "an adjustment of the accounts"),
        ("C536379,12/1/2010 8:26,17850,France,1,27.5", "a cancellation of nothing"),
        ("X536379,12/1/2010 8:26,17850,France,1,27.5", "an unknown kind of number"),
    ],
)
def test_dirt_is_reported_and_harms_no_other_line(tmp_path: Path, line: str, reason: str) -> None:
    """A bad line becomes a reject with its reason; the lines around it are read."""
    good = "500001,12/1/2010 8:26,1,France,1,1"
    rows = read(tmp_path, good, line, good.replace("500001", "500002"))

    assert [row for row in rows if isinstance(row, Reject)] == [Reject(3, reason)]
    assert [row.line for row in rows if isinstance(row, Sale)] == [2, 4]


def test_bytes_that_are_no_text_are_dirt(tmp_path: Path) -> None:
    """A byte that is not UTF-8 harms at most its own line."""
    path = tmp_path / "invoices.csv"
    path.write_bytes(",".join(COLUMNS).encode() + b"\n\xff\x00\xfe\n500001,12/1/2010 8:26,1,France,1,1\n")

    assert [type(row) for row in read_invoices(path)] == [Reject, Sale]


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    """A file without the heading of invoices is named as what it is not."""
    path = tmp_path / "poem.csv"
    path.write_text("Shall I compare thee\n", encoding="utf-8")

    with pytest.raises(NotInvoices, match="InvoiceNo,InvoiceDate"):
        read_invoices(path)


def test_the_sample_is_what_its_program_makes() -> None:
    """The file in the project was made by the program beside it."""
    assert SAMPLE.read_text(encoding="utf-8") == make_sample(ROWS, SEED)


def test_the_sample_has_every_kind_of_row() -> None:
    """The sample has all the dirt that the reader knows, and cancellations of both sorts."""
    rows = read_invoices(SAMPLE)
    kinds = Counter(type(row) for row in rows)
    cancellations = [row for row in rows if isinstance(row, Cancellation)]

    assert len(rows) == ROWS
    assert kinds[Sale] > 700
    assert {row.order_id is None for row in cancellations} == {True, False}
    assert any(row.order.id.endswith("-2") for row in rows if isinstance(row, Sale))
    assert any(row.order.customer is None for row in rows if isinstance(row, Sale))
    assert len({row.reason for row in rows if isinstance(row, Reject)}) == 10
