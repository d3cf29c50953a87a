"""A system that is measured: how durable it is, and in which Python it runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from attrs import frozen

from . import child
from .case import Measure, Setting
from .figure import Figure

ROOT = Path(__file__).parents[1]


class Unable(Exception):
    """The system cannot be measured here; it says why."""


@frozen
class System:
    """One of those that are compared."""

    name: str
    durability: str
    python: str = sys.executable
    environment: Mapping[str, str] = {}
    unable: str | None = None  #: why it cannot be measured

    def measure(self, measure: Measure, setting: Setting, *, patience: float) -> list[Figure]:
        """Measure in a process of its own, which may take so many seconds; raises `Unable`."""
        if self.unable is not None:
            raise Unable(self.unable)
        command = [self.python, "-m", "benchmarks.child", measure.__module__, measure.__name__, self.name]
        with subprocess.Popen(
            [*command, str(setting.folder), json.dumps(dict(setting.size))],
            cwd=ROOT, env={**_environment(), **self.environment}, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            try:
                output, errors = process.communicate(timeout=patience)
            except subprocess.TimeoutExpired:
                raise Unable(f"took longer than {patience:.0f} s") from None
            finally:
                _end(process)
        figures = child.read(output)
        if figures is None:
            raise Unable(_last_words(errors) or f"ended with {process.returncode}")
        return figures


def _environment() -> dict[str, str]:
    """That of this process, but imports keep their bytecode, as they do in production."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _end(process: subprocess.Popen[str]) -> None:
    """Whatever it has started ends with it."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def _last_words(errors: str) -> str:
    """The line that says what went wrong: of several, the first, which led to the others."""
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    told = [line for line in lines if re.match(r"[\w.]*Error: ", line)]
    return (told[:1] or lines[-1:] or [""])[0][:200]
