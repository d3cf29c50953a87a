"""The child process of `Durable`: runs one function, and kills itself where it was told to."""

from __future__ import annotations

import asyncio
import atexit
import importlib.util
import inspect
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from ..storage import SqliteStore, Write
from .gate import COUNTED


def main(module_name: str, file: str, name: str, path: str, at: str, after: str) -> None:  # noqa: PLR0917
    """Load a function from a file and call it with the path of the store.

    The module has the name that it has in the test run, so that it may import others of its package.
    """
    _arm(at, float(after) if after else None)
    spec = importlib.util.spec_from_file_location(module_name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    result = getattr(module, name)(path)
    if inspect.iscoroutine(result):
        asyncio.run(result)


def _arm(at: str, after: float | None) -> None:
    """Count the commits of every store of this process, and die at the one that was chosen."""
    submit: Callable[..., None] = SqliteStore.submit
    commits = 0

    def counting(self: SqliteStore, write: Write[Any], done: Callable[[Any], None]) -> None:
        nonlocal commits
        if type(write) not in COUNTED:
            submit(self, write, done)
            return
        commits += 1
        number = commits
        if number == 1 and at:
            atexit.register(lambda: sys.stderr.write(f"after {commits} commits, and not at {at!r}\n"))
        if number == 1 and after is not None:
            threading.Timer(after, _die).start()
        if at == f"commit {number}:before":
            _die()

        def told(result: Any) -> None:
            if at == f"commit {number}:after":
                _die()
            done(result)

        submit(self, write, told)

    SqliteStore.submit = counting  # type: ignore[method-assign]  # in a process of its own, which is to die


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main(*sys.argv[1:])
