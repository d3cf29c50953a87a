"""One measurement in a process of its own: `python -m benchmarks.child MODULE FUNCTION SYSTEM FOLDER SIZE`.

It runs in the environment of the system that is measured, and prints its figures in the last line.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import traceback
from importlib import import_module
from pathlib import Path

from .case import Setting
from .figure import Figure

MARK = "FIGURES "


def measure(arguments: list[str]) -> list[Figure]:
    """Carry out what the command line says."""
    module, function, system, folder, size = arguments
    measured = getattr(import_module(module), function)
    setting = Setting(system, Path(folder), json.loads(size))
    if "tuned" in setting.size:
        tune()
    figures: list[Figure] = measured(setting)
    return figures


def tune() -> None:
    """What docs/performance.md advises for a busy host: Python's garbage collector looks at what lives less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 1_000)


def read(output: str) -> list[Figure] | None:
    """The figures that a child has printed; `None` where it came to nothing."""
    for line in reversed(output.splitlines()):
        if line.startswith(MARK):
            return [Figure(**one) for one in json.loads(line.removeprefix(MARK))]
    return None


if __name__ == "__main__":
    # Some measurements, and some peers, leave threads behind that would keep the process alive.
    try:
        found = measure(sys.argv[1:])
    except Exception:  # noqa: BLE001  # whatever it was is said in its row
        traceback.print_exc()
        os._exit(1)
    print(MARK + json.dumps([figure.as_dict() for figure in found]), flush=True)
    os._exit(0)
