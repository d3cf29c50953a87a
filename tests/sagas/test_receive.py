from datetime import timedelta
from typing import Any, Optional, Union

import pytest
from attrs import frozen

from atone import DefinitionError, receive
from tests.sagas.shapes import Approve, Decline


@frozen
class SecondLook:
    pass


def test_a_place_is_named_after_its_types() -> None:
    """`SecondLook | Approve` becomes `second_look_or_approve`, unless a name is given."""
    assert "second_look_or_approve" == receive(SecondLook | Approve).name
    assert "verdict" == receive(SecondLook, name="verdict").name


@pytest.mark.parametrize("types", [Approve | Decline, Union[Approve, Decline]])  # noqa: UP007
def test_any_of_its_types_is_expected(types: Any) -> None:
    """By name, since that is what stands on disk."""
    place = receive(types, decline=Decline, timeout=timedelta(minutes=1))

    assert place.expects("Approve")
    assert place.expects("Decline")
    assert not place.expects("SecondLook")
    assert {"Decline"} == place.declines
    assert 60.0 == place.timeout


def test_a_type_that_declines_has_to_be_received() -> None:
    """Otherwise it could never decline anything."""
    with pytest.raises(DefinitionError, match="declines Decline without receiving it: add it to the types"):
        receive(Approve, decline=Decline)


@pytest.mark.parametrize("types", [Optional[Approve], "Approve", 3, list[int]])  # noqa: UP045
def test_only_classes_can_be_received(types: Any) -> None:
    """A message is told by the name of its class."""
    with pytest.raises(DefinitionError, match="give message classes"):
        receive(types)


def test_two_types_of_one_name_are_refused() -> None:
    """They could not be told apart on disk."""
    other = type("Approve", (), {})

    with pytest.raises(DefinitionError, match=r"two types of one name.*rename one"):
        receive(Approve | other)


@pytest.mark.parametrize("timeout", [timedelta(0), timedelta(seconds=-1), timedelta.max])
def test_a_timeout_is_above_zero(timeout: timedelta) -> None:
    """A wait that is over before it begins is a mistake."""
    with pytest.raises(DefinitionError, match=r"timeout.*above zero"):
        receive(Approve, timeout=timeout)


def test_a_predicate_is_a_plain_function() -> None:
    """What an `async def` returns is true, whatever it says."""

    async def never(_: object) -> bool:
        return False

    with pytest.raises(DefinitionError, match="async def"):
        receive(Approve, when=never)  # type: ignore[arg-type]
