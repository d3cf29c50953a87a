"""The processes that share the cases of a layer. Started by `campaign.py`, with the library preloaded.

    python -m tests.proof.worker LAYER SIZE SEED FIRST STEP WORKERS [MUTANT]

It gets ready once, and forks WORKERS, of which each does every STEP-th case, from FIRST and the numbers behind it on.
They print what they have done since they last printed, as one line of JSON, every half second and with each violation.
"""

from __future__ import annotations

import gc
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import partial
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import cast

from . import days, lives
from .counts import UNFORESEEN, Case, Counts, Layer
from .layers import LAYERS
from .mutants import MUTANTS

_EVERY = 0.5  #: seconds
_LEAVING: list[bool] = []  #: whether somebody has asked this process to end
_WORKERS: list[int] = []  #: the processes that this one has forked
_MOST = 5  #: violations of one case that are told
_LONGEST = 500  #: characters of each: a pipe takes 4096 bytes at once


def work(name: str, size: int, seed: int, first: int, step: int, workers: int, *, check: str) -> bool:
    """Do every case from `first` on, `step` apart, in each worker; whether all of them came to their end.

    Cases count as `caught` by the check of this name; with an empty name, by any.
    """
    layer = cast("Layer", import_module(f".{name}", __package__))
    cases = math.ceil(size / layer.PER_CASE)
    with lives.workplace() as folder:
        try:
            case = _prepared(layer, seed, cases, folder, real=not LAYERS[name].simulated)
        except Exception as error:
            violation = f"{UNFORESEEN}: the workload does not come to its end by itself, {error!r:.300}"
            _say(Counts(cases=1, violations=[violation]))
            return True
        again = f"python -m tests.proof --layer {name} --size {size} --seed {seed} --index"
        shares = [range(number, cases, step) for number in range(first, first + workers)]
        _WORKERS.extend(_begin(partial(_share, case, share, again, check)) for share in shares)
        # None is reaped before all have ended: a number that `_leave` signals is never somebody else's.
        ends = [os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT) for pid in _WORKERS]
        while _WORKERS:
            os.waitpid(_WORKERS.pop(), 0)
        return all(end is not None and end.si_status == 0 for end in ends)


def _begin(work: Callable[[], None]) -> int:
    """Begin a worker; its process."""
    pid = os.fork()
    if not pid:
        _WORKERS.clear()
        code = 1
        try:
            work()
            code = 0
        finally:
            if code:
                traceback.print_exc()
            os._exit(code)
    return pid


def _share(case: Case, indices: Iterable[int], again: str, check: str) -> None:
    """Do these cases, as far as there is time."""
    counts, said = Counts(), time.monotonic()
    for index in indices:
        if _LEAVING:
            break
        counts += _tried(case, index, f"{again} {index}", check)
        if counts.violations or time.monotonic() - said > _EVERY:
            _say(counts)
            counts, said = Counts(), time.monotonic()
    _say(counts)


def _say(counts: Counts) -> None:
    """One line, by one write, so short that it never runs into that of another worker."""
    os.write(sys.stdout.fileno(), f"{counts.to_json()}\n".encode())


def _prepared(layer: Layer, seed: int, cases: int, folder: Path, *, real: bool) -> Case:
    if real:
        with lives.workplace() as rehearsal:
            days.two_days(rehearsal)  # so that a fork inherits all that is only made when it is first used
    case = layer.prepare(seed, cases, folder)
    gc.freeze()  # what is inherited need not be copied
    gc.set_threshold(10_000, 20, 20)  # a case is short, and lets go of everything at its end
    return case


def _tried(case: Case, index: int, again: str, check: str) -> Counts:
    try:
        counts = case(index)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        counts = Counts(violations=[f"{UNFORESEEN}: {error!r:.300} at {place.filename}:{place.lineno}"])
    names = {text.split(": ")[0] for text in counts.violations}
    counts.cases, counts.caught = 1, int(check in names if check else bool(names - {UNFORESEEN}))
    counts.violations = [f"{text[:_LONGEST]} | {again}" for text in counts.violations[:_MOST]]
    return counts


def _leave(number: int, _frame: FrameType | None) -> None:
    """End the case under way, and begin no other."""
    _LEAVING.append(True)
    for pid in _WORKERS:
        os.kill(pid, number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _leave)
    layer, numbers, mutant = sys.argv[1], map(int, sys.argv[2:7]), sys.argv[7:]
    planted = MUTANTS[mutant[0]] if mutant else None
    with planted.plant() if planted else nullcontext():
        sys.exit(0 if work(layer, *numbers, check=planted.check if planted else "") else 1)
