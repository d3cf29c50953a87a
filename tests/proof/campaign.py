"""Runs the layers of the proof, and prints counts as it goes.

python -m tests.proof.campaign                                every layer, in the size of a build
python -m tests.proof.campaign --layer power_loss --size N    one of them, as long as you like
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import cast

from attrs import asdict

from . import iolog
from .counts import Counts, Layer
from .mutants import MUTANTS

#: what a build tries of each layer
SIZES = {"power_loss": 50_000, "io_faults": 2_400, "full_disk": 10, "kills": 450, "takeovers": 100, "hostile": 20_000,
         "swarm": 300_000, "exhaustive": 50_000, "machines": 1_000}  # fmt: skip
_ROOT = Path(__file__).parents[2]

Report = Callable[[str, Counts], None]


def run(
    layer: str, size: int, seed: int, report: Report, *, index: int | None = None, mutant: str | None = None
) -> Counts:
    """Try `size` cases of a layer (or the one at `index`) and return what was done.

    `report` hears of progress; with a `mutant`, there should be violations.
    """
    total = Counts()
    processes = cast("Layer", import_module(f".{layer}", __package__)).WORKERS if index is None else 1
    tail = [] if mutant is None else [mutant]
    shares = [(number, processes) if index is None else (index, sys.maxsize) for number in range(processes)]
    workers = [_start([layer, *map(str, (size, seed, *share)), *tail]) for share in shares]
    with selectors.DefaultSelector() as selector:
        for worker in workers:
            assert worker.stdout is not None
            selector.register(worker.stdout, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                line = key.fileobj.readline()  # type: ignore[union-attr]
                if line:
                    total += Counts(**json.loads(line))
                    report(layer, total)
                else:
                    selector.unregister(key.fileobj)
                    key.fileobj.close()  # type: ignore[union-attr]
    for worker in workers:
        if worker.wait() != 0:
            total.violations.append(f"a worker of {layer} ended with {worker.returncode}")
    return total


def _start(arguments: list[str]) -> subprocess.Popen[str]:
    environment = os.environ | {"LD_PRELOAD": str(iolog.build()), "PYTHONPATH": str(_ROOT)}
    command = [sys.executable, "-m", "tests.proof.worker", *arguments]
    return subprocess.Popen(command, env=environment, cwd=_ROOT, stdout=subprocess.PIPE, text=True)


def is_possible() -> bool:
    """Whether this machine has what the layers need: Linux, and a C compiler."""
    return sys.platform == "linux" and iolog.compiler() is not None


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.campaign", description=__doc__)
    parser.add_argument("--layer", choices=SIZES, action="append", help="which layers (all)")
    parser.add_argument("--size", type=int, help="how many cases of each (as many as a build tries)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--index", type=int, help="only the case with this number")
    parser.add_argument("--mutant", choices=MUTANTS, help="plant a fault, which should be found")
    options = parser.parse_args()
    if not is_possible():
        sys.exit("this needs Linux and a C compiler")
    total = Counts()
    for layer in options.layer or SIZES:
        total += run(
            layer, options.size or SIZES[layer], options.seed, _printer(), index=options.index, mutant=options.mutant
        )
    print("\n".join([json.dumps(asdict(total), indent=2)]))
    sys.exit(bool(total.violations))


def _printer() -> Report:
    """Prints a line each second, and the violations as they come."""
    began, printed, told = time.monotonic(), 0.0, 0

    def report(layer: str, counts: Counts) -> None:
        nonlocal printed, told
        for violation in counts.violations[told:]:
            print(violation)
        told = len(counts.violations)
        if time.monotonic() - printed >= 1:
            printed = time.monotonic()
            print(f"{layer}: {counts.done:,} in {printed - began:.0f} s, {told} violations", flush=True)

    return report


if __name__ == "__main__":
    main()
