"""Noticing what a step keeps in the memory of its process, which a crash forgets and a simulation cannot."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from .spy import Flaw

_CONTAINERS = (dict, list, set, bytearray)


def _within_reach(function: Callable[..., Any]) -> dict[str, Any]:
    """The containers that a function names, and that outlive its call."""
    if not inspect.isfunction(function):
        return {}
    found = inspect.getclosurevars(function)
    return {name: one for name, one in {**found.globals, **found.nonlocals}.items() if isinstance(one, _CONTAINERS)}


@contextmanager
def remembering(function: Callable[..., Any], note: Callable[[Flaw, str], None]) -> Generator[None]:
    """Notice that a function changes a container of its module, or of the function around it."""
    held = _within_reach(function)
    before = {name: one.copy() for name, one in held.items()}
    try:
        yield
    finally:
        for name, one in held.items():
            if one != before[name]:
                note(Flaw.MEMORY, f"changes {name!r}, which is in memory only")
