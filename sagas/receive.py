"""An awaited message as a place in a saga."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import timedelta
from types import UnionType
from typing import Any, Union, get_args, get_origin

from ..storage import Undecodable, frozen
from .errors import DefinitionError
from .inject import snake
from .retry import seconds


@frozen
class Receive:
    """A place where the order waits for a message. Made by `receive`."""

    name: str
    types: tuple[type, ...]
    declines: frozenset[str]  #: names of the types that turn the order back
    timeout: float | None  #: seconds
    when: Callable[[Any], bool] | None

    def type_named(self, kind: str | None) -> Any:
        """The awaited type with this name; raises `Undecodable` for one that no saga of ours has stored."""
        for expected in self.types:
            if expected.__name__ == kind:
                return expected
        raise Undecodable(f"a message of type {kind!r} is stored for {self.name!r}, which does not await such a one")

    def expects(self, kind: str) -> bool:
        """Whether a message of the type with this name is one of those awaited."""
        return any(kind == expected.__name__ for expected in self.types)


def receive(
    types: type | UnionType,
    /,
    *,
    decline: type | UnionType | None = None,
    timeout: timedelta | None = None,
    when: Callable[[Any], bool] | None = None,
    name: str | None = None,
) -> Receive:
    """Wait for a message of one of these types: `receive(Approve | Decline, decline=Decline)`.

    One that came early is taken at once. `decline` names the types that roll the order back with the
    message as cause; a `timeout` rolls it back with cause `DEADLINE`. `when` is asked once, with the saga's
    input, when the order gets here: on False nothing is awaited, and steps see `None` for the message.
    """
    members = _members(types)
    declines = frozenset(one.__name__ for one in _members(decline)) if decline is not None else frozenset[str]()
    unknown = declines - {member.__name__ for member in members}
    if unknown:
        msg = f"receive() declines {', '.join(sorted(unknown))} without receiving it: add it to the types"
        raise DefinitionError(msg)
    if inspect.iscoroutinefunction(when):
        msg = "receive() has a `when` that is an `async def`, which is true whatever it says: make it a plain function"
        raise DefinitionError(msg)
    limit = seconds(timeout, "receive() has a timeout")
    return Receive(name or _default_name(members), members, declines, limit, when)


def _members(types: type | UnionType) -> tuple[type, ...]:
    found: tuple[Any, ...] = get_args(types) if get_origin(types) in {Union, UnionType} else (types,)
    for member in found:
        if not isinstance(member, type) or member is type(None):
            msg = f"receive() got {member!r}: give message classes, as in receive(Approve | Decline)"
            raise DefinitionError(msg)
    if len({member.__name__ for member in found}) < len(found):
        msg = "receive() got two types of one name, which could not be told apart on disk: rename one"
        raise DefinitionError(msg)
    return found


def _default_name(members: tuple[type, ...]) -> str:
    """`Approve | Decline` becomes `approve_or_decline`."""
    return "_or_".join(snake(member.__name__) for member in members)
