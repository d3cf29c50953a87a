import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

import orjson
import pytest
from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st

from atone.storage import Codec, TooLarge, Undecodable, Unencodable, checksum
from atone.storage.codec import make_converter


class Size(StrEnum):
    SMALL = "small"
    LARGE = "large"


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True)
class Line:
    sku: str
    price: Decimal
    size: Size


@frozen
class Order:
    id: UUID
    at: datetime
    day: date
    hour: time
    colour: Colour
    lines: tuple[Line, ...]
    notes: dict[str, str]
    weight: float | None = None


lines = st.builds(Line, st.text(), st.decimals(allow_nan=False, allow_infinity=False), st.sampled_from(Size))
orders = st.builds(
    Order,
    st.uuids(),
    st.datetimes(timezones=st.just(UTC)),
    st.dates(),
    st.times(),
    st.sampled_from(Colour),
    st.lists(lines, max_size=3).map(tuple),
    st.dictionaries(st.text(), st.text(), max_size=3),
    st.none() | st.floats(allow_nan=False, allow_infinity=False),
)
codec = Codec()
anything: Any = Any


@given(orders)
def test_what_was_encoded_is_decoded_equal(order: Order) -> None:
    """Attrs classes and dataclasses of the usual values come back as they went."""
    assert codec.decode(codec.encode(order, "the input"), Order) == order


@given(orders)
def test_a_value_on_its_way_in_comes_with_what_it_will_be_read_as(order: Order) -> None:
    """The bytes are those that would be stored, and the value is that of the bytes."""
    assert codec.round_trip(order, Order, "the input") == (codec.encode(order, "the input"), order)


@given(st.recursive(st.none() | st.booleans() | st.text() | st.floats() | st.integers(), st.lists))
def test_whatever_is_encoded_can_be_decoded(value: Any) -> None:
    """A value is refused at the door or comes back: what JSON cannot hold never goes in."""
    try:
        body = codec.encode(value, "the input")
    except Unencodable:
        return
    assert codec.decode(body, anything) == value


@given(st.binary(max_size=50))
def test_damaged_bytes_raise_nothing_but_undecodable(body: bytes) -> None:
    """Whatever stands on the disk, the answer is a value or `Undecodable`."""
    for class_ in (Order, Line, int, dict[str, Order]):
        with suppress(Undecodable):
            codec.decode(body, class_)


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1: {2: object()}},
        "\ud800",
        2**70,
        float("nan"),
        [float("inf")],
        {"a": {"b": (float("nan"),)}},
    ],
)
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    """The error names the class and the remedy, and never the value."""
    with pytest.raises(Unencodable, match="the result of class"):
        codec.encode(value, "the result")


@frozen
class Bill:
    cents: int = 0
    rate: float | None = 1.0
    payer: str = ""
    paid: bool = False
    by_month: dict[int, int] = field(factory=dict)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cents", 19.99),
        ("cents", "019"),
        ("rate", 2**60 + 1),
        ("payer", None),
        ("payer", True),
        ("paid", "false"),
        ("paid", None),
        ("by_month", {1: 0.5}),
    ],
)
def test_a_value_that_its_type_would_change_is_refused(name: str, value: Any) -> None:
    """A person who typed 19.99 for cents hears of it, and is not charged 19."""
    wrong: dict[str, Any] = {name: value}
    with pytest.raises(Undecodable, match=name):
        codec.round_trip(Bill(**wrong), Bill, "the input")


def test_a_value_that_says_the_same_in_another_type_comes_as_its_own() -> None:
    """A whole number is a float as well, and the keys of a mapping are texts in JSON."""
    anything: dict[str, Any] = {"cents": 19.0, "rate": 2, "paid": 1, "by_month": {1: 5}}
    _, bill = codec.round_trip(Bill(**anything), Bill, "the input")
    assert (bill.cents, bill.rate, bill.paid, bill.by_month) == (19, 2.0, True, {1: 5})
    assert [type(one) for one in (bill.cents, bill.rate, bill.paid)] == [int, float, bool]


def test_endless_value_is_refused() -> None:
    """Recursion without end is an error like any other."""
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(Unencodable):
        codec.encode(endless, "the input")
    with pytest.raises(Undecodable):
        codec.decode(b"[" * 100_000, list)


def test_null_beside_numbers_is_no_reason_to_refuse() -> None:
    """Only a number that would silently become null is refused, not the null itself."""
    back: Any = codec.decode(codec.encode({"a": [None, 1.5, ("null",)]}, "it"), anything)
    assert back == {"a": [None, 1.5, ["null"]]}


def test_payload_over_the_limit_is_refused_with_its_size() -> None:
    """The limit counts the bytes that would be stored."""
    small = Codec(limit=10)
    assert small.encode("x" * 8, "it") == b'"xxxxxxxx"'
    with pytest.raises(TooLarge) as caught:
        small.encode("x" * 9, "the input")
    assert (caught.value.what, caught.value.size, caught.value.limit) == ("the input", 11, 10)


def test_errors_show_paths_and_never_payload() -> None:
    """Fields are named, values and the keys of mappings are not, nor is the cause shown."""
    secret = "4111-1111"  # noqa: S105 - a card number, to be sought in the errors
    order = Order(UUID(int=1), datetime(2026, 1, 1, tzinfo=UTC), date(2026, 1, 1), time(), Colour.RED, (), {})
    plain = json.loads(codec.encode(order, "it"))
    plain["lines"] = [{"sku": "a", "price": secret, "size": secret}]
    plain["id"] = secret
    with pytest.raises(Undecodable) as caught:
        codec.decode(json.dumps(plain).encode(), Order)
    text = str(caught.value)
    assert secret not in text
    assert "Order" in text
    assert ".id" in text
    assert ".lines[0].price" in text
    assert caught.value.__suppress_context__
    with pytest.raises(Undecodable, match=r"^the input does not fit the class Order \(.*\.id\)") as caught:
        codec.round_trip({**plain, "lines": []}, Order, "the input")
    assert secret not in str(caught.value)
    with pytest.raises(Undecodable) as caught:
        codec.decode(json.dumps({secret: "x", f"a.b] {secret}": "y"}).encode(), dict[str, int])
    assert secret not in str(caught.value)


@given(st.binary(), st.integers(0, 2**40))
def test_checksum_notices_bytes_and_revisions(body: bytes, revision: int) -> None:
    """One flipped bit and one step of the revision both show."""
    right = checksum(revision, body)
    assert checksum(revision + 1, body) == right + 1
    if body:
        flipped = bytes([body[0] ^ 1]) + body[1:]
        assert checksum(revision, flipped) != right


def test_json_that_a_converter_wrote_itself_is_checked_and_brought_into_our_form() -> None:
    """Its length decides where a result is kept, and must be the same when it is read back."""
    converter = make_converter()
    converter.register_unstructure_hook(Decimal, lambda number: orjson.Fragment(str(number)))
    codec = Codec(converter)

    assert b"[1000000000.0]" == codec.encode([Decimal("1E+9")], "it")
    with pytest.raises(Unencodable):
        codec.encode([Decimal("Infinity")], "it")
