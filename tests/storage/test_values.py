"""Values show themselves as attrs would show them."""

from __future__ import annotations

from attrs import field

from atone.storage import frozen, plain


@frozen
class Paid:
    cents: int
    by: str = "alice"
    card: str = field(default="4111", repr=False)


def test_a_value_shows_itself_as_attrs_would_write_it() -> None:
    """Its class without the function around it, and its fields but for those that are hidden."""

    @plain
    class Moved:
        cents: int

    assert repr([Paid(500), Moved(7)]) == "[Paid(cents=500, by='alice'), Moved(cents=7)]"


def test_a_value_that_holds_itself_can_be_shown() -> None:
    """It ends with dots."""

    @frozen
    class Box:
        inside: list[object]

    box = Box([])
    box.inside.append(box)
    assert repr(box) == "Box(inside=[...])"


def test_what_a_class_says_of_itself_stays() -> None:
    """Its own `__repr__` is not replaced."""

    @frozen(kw_only=True)
    class Secret:
        text: str

        def __repr__(self) -> str:
            return "Secret(…)"

    assert repr(Secret(text="x")) == "Secret(…)"


def test_a_value_that_is_being_made_can_be_shown() -> None:
    """What an error says of it must not raise another one; and a field is written as it asks for."""

    @frozen
    class Half:
        cents: int = field(repr=lambda cents: f"{cents} ct")
        receipt: str = field(init=False)

    assert repr(Half(7)) == "Half(cents=7 ct, receipt=NOTHING)"
