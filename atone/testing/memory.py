"""Noticing what a step keeps in the memory of its process, which a crash forgets and a simulation cannot."""

from __future__ import annotations

import dis
import inspect
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from operator import itemgetter
from types import CodeType
from typing import Any

from attrs import define, field

from ..storage import Codec, TooLarge, Unencodable
from .spy import Flaw

_CONTAINERS = (dict, list, set, bytearray, deque, type(os.environ))
#: What an attribute has that says something itself: anything else may be a client, and is its own business.
_PLAIN = (str, bytes, int, float, tuple, frozenset)


@define
class _Names:
    """What code speaks of, with the functions in it."""

    looked_at: set[str] = field(factory=set)  #: globals
    bound: set[str] = field(factory=set)  #: globals
    attributes: set[tuple[str, str]] = field(factory=set)  #: of what has a name outside of it

    def read(self, code: CodeType) -> _Names:
        """Take them from there."""
        told = [one for one in dis.get_instructions(code) if one.opname != "COPY"]
        for one, after in zip(told, [*told[1:], None], strict=True):
            if one.opname == "STORE_GLOBAL":
                self.bound.add(one.argval)
            elif one.opname in {"LOAD_GLOBAL", "LOAD_DEREF"}:
                self.looked_at.add(one.argval)
                if after is not None and after.opname in {"LOAD_ATTR", "STORE_ATTR"}:
                    self.attributes.add((one.argval, after.argval))
        for inner in code.co_consts:
            if isinstance(inner, CodeType):
                self.read(inner)
        return self


def _has(one: object, kinds: tuple[type, ...]) -> bool:
    return issubclass(type(one), kinds)  # without asking it, as `isinstance` does: some raise


def _state(one: Any) -> object:
    return one.copy() if _has(one, _CONTAINERS) else one


def _differ(one: object, other: object) -> bool:
    try:
        return bool(one != other)
    except Exception:  # noqa: BLE001  # what cannot be compared, as arrays cannot, and is not the same
        return True


def _attributes(one: object) -> Mapping[str, object]:
    try:
        found: Mapping[str, object] = object.__getattribute__(one, "__dict__")
    except AttributeError:
        return {}
    return found


def _places(function: Callable[..., Any]) -> Iterator[tuple[str, Mapping[str, object], str]]:
    """What a function names, and what outlives its call: how it is called, what holds it, and under which name.

    Containers, globals that it binds, and such attributes of what is there as it names. What is made when it is first
    needed is no memory: a process makes it once more.
    """
    if not inspect.isfunction(function):
        return
    names, closure, module = _Names().read(function.__code__), inspect.getclosurevars(function), function.__globals__
    for name in names.bound:
        lazy = name in names.looked_at and module.get(name) is None
        if not lazy:
            yield name, module, name
    found = {**closure.globals, **closure.nonlocals}
    for name in found.keys() - names.bound:
        if _has(found[name], _CONTAINERS):
            yield name, found, name
            continue
        held = _attributes(found[name])
        for owner, attribute in names.attributes:
            if owner == name and _has(held.get(attribute), _CONTAINERS + _PLAIN):
                yield f"{name}.{attribute}", held, attribute


@contextmanager
def sharing(given: Mapping[str, object], codec: Codec, note: Callable[[Flaw, str], None]) -> Generator[None]:
    """Notice that a function changes what it is given: its next attempt is given the same, or what is on disk."""

    def written(name: str) -> bytes | None:
        try:
            return codec.encode(given[name], name)
        except (Unencodable, TooLarge):
            return None

    before = {name: written(name) for name in given}
    try:
        yield
    finally:
        for name, was in before.items():
            if written(name) != was:
                what = "which it shares with its next attempt: make that class frozen"
                note(Flaw.MEMORY, f"changes {name!r}, {what}")


@contextmanager
def remembering(function: Callable[..., Any], note: Callable[[Flaw, str], None]) -> Generator[None]:
    """Notice that a function changes what is in the memory of its process, or of the function around it."""
    before = [
        (called, held, name, _state(held.get(name)))
        for called, held, name in sorted(_places(function), key=itemgetter(0))
    ]
    try:
        yield
    finally:
        for called, held, name, was in before:
            now = held.get(name)
            if now is not was and _differ(now, was):
                note(Flaw.MEMORY, f"changes {called!r}, which is in memory only")
