"""Runs one layer of the proof in several processes, and adds up what they report."""

from __future__ import annotations

import json
import math
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TypeAlias, cast

from . import iolog
from .counts import BROKEN, Counts, Layer
from .layers import LAYERS

ROOT = Path(__file__).parents[2]
_LOOK = 0.2  #: seconds between two looks at whether it is enough
_LEAVE = 10.0  #: seconds that a worker gets to end its case and clean up behind itself

Report = Callable[[str, Counts], object]
Worker: TypeAlias = "subprocess.Popen[bytes]"


def run(
    layer: str,
    size: int,
    seed: int,
    report: Report = lambda _layer, _counts: None,
    *,
    index: int | None = None,
    mutant: str | None = None,
    workers: int | None = None,
    until: Callable[[Counts], bool] = lambda _counts: False,
) -> Counts:
    """Try `size` of what a layer counts (or the case at `index`) and return what was done.

    `report` hears of progress; with a `mutant`, there should be violations. It ends early when it is enough: `until`.
    """
    total = Counts()
    processes = workers or (1 if index is not None else _workers(layer, size))
    share = (0, processes) if index is None else (index, sys.maxsize)
    tail = [] if mutant is None else [mutant]
    with _started([layer, *map(str, (size, seed, *share, processes)), *tail]) as started:
        for line in _lines(started):
            if line:
                total += Counts(**json.loads(line))
                report(layer, total)
            if until(total):
                return total
        if started.wait() != 0:
            total.violations.append(f"{BROKEN}: a worker of {layer} ended with {started.returncode}")
    return total


def _workers(layer: str, size: int) -> int:
    """As many as the layer says, and no more than there are cases."""
    module = cast("Layer", import_module(f".{layer}", __package__))
    return min(module.WORKERS, math.ceil(size / module.PER_CASE))


@contextmanager
def _started(arguments: Sequence[str]) -> Generator[Worker]:
    """Workers at work; when it is enough, none of them and nothing that they began is left behind."""
    worker = _start(arguments)
    try:
        yield worker
    finally:
        _end(worker)


def _start(arguments: Sequence[str]) -> Worker:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    if not LAYERS[arguments[0]].simulated:
        environment["LD_PRELOAD"] = str(iolog.build())
    command = [sys.executable, "-m", "tests.proof.worker", *arguments]
    return subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True)


def _end(worker: Worker) -> None:
    """End a worker with all that it has begun. They are a group, ours until it is waited for."""
    if worker.returncode is None:
        os.kill(worker.pid, signal.SIGTERM)
        deadline = time.monotonic() + _LEAVE
        while os.waitid(os.P_PID, worker.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            if time.monotonic() > deadline:
                break
            time.sleep(0.01)
        os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()
    if worker.stdout is not None:
        worker.stdout.close()


def _lines(worker: Worker) -> Generator[bytes]:
    """What it prints, and an empty line now and then."""
    assert worker.stdout is not None
    begun = b""
    while True:
        if select.select([worker.stdout], [], [], _LOOK)[0]:
            more = os.read(worker.stdout.fileno(), 65536)
            if not more:
                return
            *lines, begun = (begun + more).split(b"\n")
            yield from lines
        yield b""
