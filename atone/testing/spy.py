"""Noticing what a step takes from the real world: clocks, chance, sockets, threads."""

from __future__ import annotations

import _thread
import datetime as dt
import os
import random
import re
import socket
import sys
import time
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import StrEnum
from types import FrameType
from typing import Any


class Flaw(StrEnum):
    """What can be wrong with a step."""

    MISSING_COMPENSATION = "missing compensation"
    NOT_IDEMPOTENT = "not idempotent"
    KEY_VARIES = "key varies"
    NEEDS_ACTION = "compensation needs its action"
    SWALLOWS = "swallows an error"
    LINGERS = "goes on after its timeout"
    PROBE = "probe is wrong"
    RAISES = "raises"
    RESULT = "result is not kept"
    MEMORY = "state in memory"
    WAITS = "waits for ever"
    UNAWAITED = "not awaited"
    BLOCKING = "blocks the event loop"
    CLOCK = "real clock"
    CHANCE = "real chance"
    NETWORK = "real network"
    THREAD = "real thread"


_CALLS: list[tuple[Any, Flaw, str]] = [
    (time.time, Flaw.CLOCK, "reads time.time()"),
    (time.time_ns, Flaw.CLOCK, "reads time.time_ns()"),
    (random.random, Flaw.CHANCE, "uses the module random"),
    (random.getrandbits, Flaw.CHANCE, "uses the module random"),
    (os.urandom, Flaw.CHANCE, "uses os.urandom, secrets or uuid4"),
    (socket.getaddrinfo, Flaw.NETWORK, "looks up a real host"),
    (_thread.start_new_thread, Flaw.THREAD, "starts a real thread"),
    (getattr(_thread, "start_joinable_thread", None), Flaw.THREAD, "starts a real thread"),
]


_BLIND = (
    "a profiler is at work, and what steps take from the real world is not noticed: "
    "clocks, chance, sockets, threads and blocking calls. Rehearse without it"
)


def _judge(function: Any, *, is_async: bool) -> tuple[Flaw, str] | None:
    """What a call of a function written in C says about a step."""
    if function is time.sleep:
        return (Flaw.BLOCKING, "calls time.sleep()") if is_async else None
    for known, flaw, words in _CALLS:
        if function == known:
            return flaw, words
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", "")
    if isinstance(owner, type) and issubclass(owner, dt.date) and name in {"now", "utcnow", "today"}:
        return Flaw.CLOCK, f"reads {owner.__name__}.{name}()"
    if isinstance(owner, socket.socket) and name in {"connect", "connect_ex", "bind"}:
        return Flaw.NETWORK, "opens a real socket"
    return None


def _culprit(frame: FrameType | None) -> str | None:
    """Where the user's code is in the stack of a call; `None` where it is nobody's business but the library's."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        top = module.partition(".")[0]
        if top in {"logging", "asyncio", "anyio"} or module.startswith("atone."):
            return None
        if top not in sys.stdlib_module_names or top == "__main__":
            return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"  # noqa: PTH119  # text, no path
        frame = frame.f_back
    return None


@contextmanager
def spying(note: Callable[[Flaw, str], None], *, is_async: bool) -> Generator[None]:
    """Notice calls of clocks, chance, sockets and threads by the step that runs."""

    def look(frame: FrameType, event: str, function: Any) -> None:
        if event != "c_call":
            return
        judged = _judge(function, is_async=is_async)
        where = _culprit(frame) if judged is not None else None
        if judged is not None and where is not None:
            note(judged[0], f"{judged[1]} at {where}")

    if sys.getprofile() is not None:  # a profiler is at work, and there is room for one only
        warnings.warn(_BLIND, RuntimeWarning, stacklevel=3)
        yield
        return
    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(None)


@contextmanager
def awaiting(note: Callable[[Flaw, str], None]) -> Generator[None]:
    """Notice coroutines that the step made and did not await; other warnings are passed on."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for one in caught:
        found = re.match(r"coroutine '(.*)' was never awaited", str(one.message))
        if found is not None:
            note(Flaw.UNAWAITED, f"does not await {found[1]}()")
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno, source=one.source)
