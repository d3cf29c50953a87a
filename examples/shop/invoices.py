"""Reads a file of invoices, and lets no dirt in it become an order, or stop the reading.

Every line becomes one of three things: a sale, a cancellation or a reject with its reason. A number that
stands twice with different contents is two sales, the second with the suffix `-2`, so that no sale is
lost; the very same line a second time is a reject. Rows are put in order of time, as they came to the
shop: files are often sorted by number, which moves all cancellations to their end.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from attrs import field, frozen

from .domain import Order

N = TypeVar("N", int, float)

COLUMNS = ["InvoiceNo", "InvoiceDate", "CustomerID", "Country", "Quantity", "UnitPrice"]
NOBODY = {"", "(blank)"}
SHELVES = 20  #: the file does not say what was bought: the number decides the shelf
MOST = 10_000_000  #: no invoice has more items, or pounds per item: beyond it is a slip of the keyboard

SALE = re.compile("[0-9]{6}")
CANCELLATION = re.compile("C[0-9]{6}")
ADJUSTMENT = re.compile("A[0-9]{6}")


class NotInvoices(Exception):
    """The file as a whole is something else."""


@frozen
class Sale:
    """A line that is an order."""

    line: int
    order: Order


@frozen
class Cancellation:
    """A line that calls off the latest order of its customer."""

    line: int
    id: str
    customer: str | None
    order_id: str | None  #: `None` if no order of this customer stands before it


@frozen
class Reject:
    """A line that is neither, and why."""

    line: int
    reason: str


Row = Sale | Cancellation | Reject


@frozen
class _Fields:
    """The columns of one line, understood."""

    line: int
    text: str
    number: str
    placed_at: datetime
    customer: str | None
    country: str
    quantity: int
    price: float


class _Dirt(Exception):
    """Why a line is rejected."""


@frozen
class _Desk:
    """Turns the fields of one line into a row; remembers what earlier ones mean for later ones."""

    seen: set[str] = field(factory=set)
    times: Counter[str] = field(factory=Counter)
    latest: dict[str, str] = field(factory=dict)  #: the latest order of each customer

    def row(self, fields: _Fields) -> Row:
        if fields.text in self.seen:
            return Reject(fields.line, "the same line twice")
        self.seen.add(fields.text)
        if fields.number.startswith("C"):
            return self._cancellation(fields)
        return self._sale(fields)

    def _sale(self, fields: _Fields) -> Row:
        total_pence = round(fields.quantity * fields.price * 100)
        if fields.quantity <= 0:
            return Reject(fields.line, "a quantity of zero or less")
        if total_pence <= 0:
            return Reject(fields.line, "a price of zero or less")
        sku = f"shelf-{int(fields.number) % SHELVES:02}"
        id = self._id(fields.number)
        if fields.customer is not None:
            self.latest[fields.customer] = id
        order = Order(id, fields.customer, fields.country, sku, fields.quantity, total_pence)
        return Sale(fields.line, order)

    def _cancellation(self, fields: _Fields) -> Row:
        if fields.quantity >= 0:
            return Reject(fields.line, "a cancellation of nothing")
        order_id = self.latest.get(fields.customer) if fields.customer is not None else None
        return Cancellation(fields.line, self._id(fields.number), fields.customer, order_id)

    def _id(self, number: str) -> str:
        self.times[number] += 1
        return number if self.times[number] == 1 else f"{number}-{self.times[number]}"


def read_invoices(path: Path) -> list[Row]:
    """Return a row for every line below the heading: first the rejects, then the others in order of time.

    Each line is parsed by itself, so that a stray quotation mark cannot swallow its neighbours.

    Raises:
        NotInvoices: the heading is not that of a file of invoices.
    """
    readable: list[_Fields] = []
    rejects: list[Row] = []
    for line, text in enumerate(_lines(path), start=2):
        try:
            readable.append(_parse(line, text))
        except _Dirt as dirt:
            rejects.append(Reject(line, str(dirt)))
    desk = _Desk()
    return [*rejects, *map(desk.row, sorted(readable, key=lambda fields: fields.placed_at))]


def _lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig", errors="replace", newline="\n") as lines:
        heading = next(lines, "").strip()
        if heading.split(",") != COLUMNS:
            raise NotInvoices(f"{path} should begin with the line {','.join(COLUMNS)}, not with {heading[:80]!r}")
        yield from map(str.strip, lines)


def _parse(line: int, text: str) -> _Fields:
    number, date, customer, country, quantity, price = _columns(text)
    if ADJUSTMENT.fullmatch(number):
        raise _Dirt("an adjustment of the accounts")
    if not SALE.fullmatch(number) and not CANCELLATION.fullmatch(number):
        raise _Dirt("an unknown kind of number")
    return _Fields(
        line=line,
        text=text,
        number=number,
        placed_at=_date(date),
        customer=None if customer in NOBODY else customer,
        country=country,
        quantity=_number(quantity, int),
        price=_number(price, float),
    )


def _columns(text: str) -> list[str]:
    try:
        [columns] = csv.reader([text or ","])
    except csv.Error as error:
        raise _Dirt("not a line of CSV") from error
    if len(columns) != len(COLUMNS):
        raise _Dirt("columns missing or too many")
    return columns


def _date(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%m/%d/%Y %H:%M").replace(tzinfo=UTC)
    except ValueError as error:
        raise _Dirt("an unreadable date") from error


def _number(text: str, kind: Callable[[str], N]) -> N:
    try:
        number = kind(text)
    except ValueError as error:
        raise _Dirt("an unreadable number") from error
    if not abs(number) <= MOST:  # so that "nan" is caught as well
        raise _Dirt("an unbelievable number")
    return number
