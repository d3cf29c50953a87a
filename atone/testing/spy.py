"""Noticing what a step takes from the real world: clocks, chance, sockets, threads, processes."""

from __future__ import annotations

import _thread
import datetime as dt
import dis
import os
import random
import re
import socket
import subprocess
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import Context
from enum import StrEnum
from functools import partial
from types import BuiltinFunctionType, FrameType
from typing import Any


class Flaw(StrEnum):
    """What can be wrong with a step."""

    MISSING_COMPENSATION = "missing compensation"
    NOT_IDEMPOTENT = "not idempotent"
    KEY_VARIES = "key varies"
    REQUEST_VARIES = "request varies"
    NEEDS_ACTION = "compensation needs its action"
    SWALLOWS = "swallows an error"
    LINGERS = "goes on after its timeout"
    PROBE = "probe is wrong"
    RAISES = "raises"
    RESULT = "result is not kept"
    MEMORY = "state in memory"
    WAITS = "waits for ever"
    UNAWAITED = "not awaited"
    TIMEOUT = "takes too long"
    BLOCKING = "blocks the event loop"
    SLEEP = "real sleep"
    CLOCK = "real clock"
    CHANCE = "real chance"
    NETWORK = "real network"
    THREAD = "real thread"
    PROCESS = "real process"


def _calls(*said: tuple[Flaw, str, list[Any]]) -> dict[Any, tuple[Flaw, str]]:
    return {function: (flaw, words) for flaw, words, functions in said for function in functions if function}


def _of(module: Any, *names: str) -> list[Any]:
    """The functions of these names, as far as this system has them."""
    return [getattr(module, name, None) for name in names]


_CALLS = _calls(
    (Flaw.CLOCK, "reads time.time()", [time.time]),
    (Flaw.CLOCK, "reads time.time_ns()", [time.time_ns]),
    (Flaw.CHANCE, "uses the module random", [random.random, random.getrandbits]),
    (Flaw.CHANCE, "uses os.urandom, secrets or uuid4", [os.urandom]),
    (Flaw.CHANCE, "uses uuid1", _of(uuid, "_generate_time_safe")),
    (Flaw.NETWORK, "looks up a real host", [socket.getaddrinfo]),
    (Flaw.THREAD, "starts a real thread", _of(_thread, "start_new_thread", "start_joinable_thread")),
    (Flaw.PROCESS, "starts a real process", _of(subprocess, "_fork_exec")),
    (Flaw.PROCESS, "starts a real process", _of(os, "fork", "forkpty", "system", "posix_spawn", "posix_spawnp")),
)
#: What reads the clock where it is not given a time, with the number of arguments that it has then.
_DATES = {time.localtime: 0, time.gmtime: 0, time.ctime: 0, time.asctime: 0, time.strftime: 1}
#: Where a simulated loop runs what would have a thread of its own.
_THREADED = ("atone.testing.loop", "in_thread")


_BLIND = (
    "a profiler is at work, and what steps take from the real world is not noticed: "
    "clocks, chance, sockets, threads, processes and blocking calls. Rehearse without it"
)


def _judge(function: Any, frame: FrameType) -> tuple[Flaw, str] | None:
    """What a call of a function written in C says about a step."""
    if function in _CALLS:
        return _CALLS[function]
    if function is time.sleep:
        return Flaw.BLOCKING, "calls time.sleep()"
    if function in _DATES:
        return (Flaw.CLOCK, f"reads time.{function.__name__}()") if _given(frame) == _DATES[function] else None
    owner = getattr(function, "__self__", None)
    name = getattr(function, "__name__", "")
    if isinstance(owner, type) and issubclass(owner, dt.date) and name in {"now", "utcnow", "today"}:
        return Flaw.CLOCK, f"reads {owner.__name__}.{name}()"
    if isinstance(owner, socket.socket) and name in {"connect", "connect_ex", "bind"}:
        return Flaw.NETWORK, "opens a real socket"
    return None


def _given(frame: FrameType) -> int | None:
    """How many arguments the call has that a frame is about to make; `None` where only the call itself knows."""
    code, place = frame.f_code.co_code, frame.f_lasti
    return code[place + 1] if dis.opname[code[place]] in {"CALL", "PRECALL", "CALL_KW"} else None


def _culprit(frame: FrameType | None) -> str | None:
    """Where the user's code is in the stack of a call; `None` where it is nobody's business but the library's."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        top = module.partition(".")[0]
        if _begins_thread(frame):
            return "in a thread"  # which was given a function of the standard library
        if top in {"logging", "asyncio", "anyio"} or module.startswith("atone."):
            return None
        if top not in sys.stdlib_module_names or top == "__main__":
            return f"at {os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"  # noqa: PTH119  # text, no path
        frame = frame.f_back
    return None


def _threaded(frame: FrameType | None) -> bool:
    """Whether a call is made in what would be a thread."""
    while frame is not None:
        if _begins_thread(frame):
            return True
        frame = frame.f_back
    return False


def _begins_thread(frame: FrameType) -> bool:
    return (frame.f_globals.get("__name__"), frame.f_code.co_name) == _THREADED


def _handed_over(frame: FrameType) -> Any:
    """The function that is about to run in what would be a thread, out of what asyncio has put around it."""
    function = frame.f_locals["func"]
    while isinstance(function, partial):
        within = isinstance(getattr(function.func, "__self__", None), Context)
        function = function.args[0] if within else function.func
    return function


@contextmanager
def spying(note: Callable[[Flaw, str], None], *, is_async: bool) -> Generator[None]:
    """Notice calls of clocks, chance, sockets, threads and processes by the step that runs."""

    def look(frame: FrameType, event: str, function: Any) -> None:
        if event == "call" and _begins_thread(frame):
            function = _handed_over(frame)  # which is called by what is written in C, and seen nowhere else
            if not isinstance(function, BuiltinFunctionType):
                return
        elif event != "c_call":
            return
        judged = _judge(function, frame)
        where = _culprit(frame) if judged is not None else None
        if judged is None or where is None:
            return
        flaw, words = judged
        if flaw is Flaw.BLOCKING and (not is_async or _threaded(frame)):
            flaw = Flaw.SLEEP
        note(flaw, f"{words} {where}")

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
