"""How long `import atone` takes in a new process: with its files in memory, and with all of them read from the disk.

Compiled once beforehand, as an installation does; whatever the environment says of that, the bytecode goes to a folder
of the measurement.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from ..case import Case, Setting
from ..figure import Figure

PROGRAM = "import time; began = time.perf_counter(); import {0}; print(time.perf_counter() - began)"
FILES = (
    "import sys, {0}\n"
    "for module in list(sys.modules.values()):\n"
    "    print(getattr(module, '__cached__', None) or getattr(module, '__file__', None) or '')"
)


def importing(setting: Setting) -> list[Figure]:
    """Of atone, or of what the bare loop needs."""
    modules = "atone" if setting.system == "atone" else "asyncio, aiosqlite, orjson"
    times = setting.number("times")
    python = Python(setting.folder)
    files = python.run(FILES.format(modules)).splitlines()
    warm = [float(python.run(PROGRAM.format(modules))) for _ in range(times)]
    cold: list[float] = []
    for _ in range(times):
        forget(files)
        cold.append(float(python.run(PROGRAM.format(modules))))
    return [Figure("warm", median(warm) * 1000, "ms"), Figure("cold", median(cold) * 1000, "ms")]


class Python:
    """New processes that share one folder of bytecode."""

    def __init__(self, folder: Path) -> None:
        self._environment = os.environ | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def run(self, program: str) -> str:
        """What one of them prints."""
        command = [sys.executable, "-c", program]
        return subprocess.run(command, check=True, capture_output=True, text=True, env=self._environment).stdout


def forget(files: list[str]) -> None:
    """Tell the system to drop these files from its memory; it drops what is on the disk and nobody has mapped."""
    for name in files:
        try:
            descriptor = os.open(name, os.O_RDONLY)
        except OSError:
            continue  # built in, or in an archive
        os.fsync(descriptor)  # the bytecode is new
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(descriptor)


CASES = [
    Case(
        "import",
        "import of the library in a new process, with its files in memory (warm) and on disk (cold)",
        size={"times": 5},
        quick={"times": 1},
        measures={"atone": importing, "bare": importing},
    )
]
