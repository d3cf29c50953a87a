"""A real file and a real SIGKILL: a service runs in a child process, and is killed there."""

from __future__ import annotations

import inspect
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import field, frozen

#: Seconds that a child may take.
TIMEOUT = 60.0
_POINT = re.compile(r"commit [1-9]\d*:(before|after)")


@frozen
class Durable:
    """The file of a test, and child processes that work on it and die.

    A child runs a function of a module, `serve(path)` or `async def serve(path)`, which opens its own coordinator.
    """

    path: Path
    _environment: dict[str, str] = field(factory=dict[str, str])

    def kill(self, serve: Callable[[str], Any], *, at: str | None = None, after: float | None = None) -> None:
        """Run a function in a child process and kill that process.

        `at` is a commit, `"commit 3:before"` or `"commit 3:after"` (before it reaches the disk; after, when nobody
        has been told); `after` are real seconds from the first commit. Raises `AssertionError` where the child ended
        before it could be killed, with what it said, and `ValueError` where neither says when.
        """
        if (at is None) == (after is None) or not _POINT.fullmatch(at or "commit 1:after"):
            raise ValueError(f"say when it is to die: at='commit 3:after', or after=0.5, and not {at=}, {after=}")
        child = self._run(serve, at or "", "" if after is None else str(after))
        assert child.returncode == -signal.SIGKILL, f"the child was not killed, but ended:\n{child.stderr}"

    def run(self, serve: Callable[[str], Any]) -> None:
        """Run a function in a child process to its end; raises `AssertionError`, with what it said, where it fails."""
        child = self._run(serve, "", "")
        assert child.returncode == 0, f"the child failed:\n{child.stderr}"

    def _run(self, serve: Callable[[str], Any], at: str, after: str) -> subprocess.CompletedProcess[str]:
        file, name = inspect.getsourcefile(serve), serve.__qualname__
        if file is None or not name.isidentifier():
            raise ValueError(f"{name} cannot be run in a child process: give a function of a module")
        environment = {**os.environ, **self._environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        where = [serve.__module__, file, name]
        command = [sys.executable, "-m", "atone.testing.child", *where, str(self.path), at, after]
        return subprocess.run(  # noqa: S603  # runs what the test wrote itself
            command, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
