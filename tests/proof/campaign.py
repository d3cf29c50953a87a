"""Runs one layer of the proof in several processes, and adds up what they report."""

from __future__ import annotations

import json
import math
import os
import selectors
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
from .counts import Counts, Layer
from .layers import LAYERS

ROOT = Path(__file__).parents[2]
_LOOK = 0.2  #: seconds between two looks at whether it is enough
_LEAVE = 10.0  #: seconds that a worker gets to end its case and clean up behind itself

Report = Callable[[str, Counts], object]
Worker: TypeAlias = "subprocess.Popen[str]"


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
    shares = [(number, processes) if index is None else (index, sys.maxsize) for number in range(processes)]
    tail = [] if mutant is None else [mutant]
    with _started([[layer, *map(str, (size, seed, *share)), *tail] for share in shares]) as started:
        for line in _lines(started):
            if line:
                total += Counts(**json.loads(line))
                report(layer, total)
            if until(total):
                return total
        for worker in started:
            if worker.wait() != 0:
                total.violations.append(f"the proof itself: a worker of {layer} ended with {worker.returncode}")
    return total


def _workers(layer: str, size: int) -> int:
    """As many as the layer says, and no more than there are cases."""
    module = cast("Layer", import_module(f".{layer}", __package__))
    return min(module.WORKERS, math.ceil(size / module.PER_CASE))


@contextmanager
def _started(all_arguments: Sequence[Sequence[str]]) -> Generator[list[Worker]]:
    """Workers at work; when it is enough, none of them and nothing that they began is left behind."""
    workers = [_start(arguments) for arguments in all_arguments]
    try:
        yield workers
    finally:
        for worker in workers:
            _end(worker)


def _start(arguments: Sequence[str]) -> Worker:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    if not LAYERS[arguments[0]].simulated:
        environment["LD_PRELOAD"] = str(iolog.build())
    command = [sys.executable, "-m", "tests.proof.worker", *arguments]
    return subprocess.Popen(
        command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


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


def _lines(workers: Sequence[Worker]) -> Generator[str]:
    """What any of them prints, and an empty line now and then."""
    with selectors.DefaultSelector() as selector:
        for worker in workers:
            selector.register(worker.stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
        while selector.get_map():
            for key, _ in selector.select(_LOOK):
                line = key.fileobj.readline()  # type: ignore[union-attr]
                if line:
                    yield line
                else:
                    selector.unregister(key.fileobj)
            yield ""
