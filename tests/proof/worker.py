"""One of the processes that share the cases of a layer. Started by `campaign.py`, with the library preloaded.

    python -m tests.proof.worker LAYER SIZE SEED FIRST STEP [MUTANT]

It prints what it has done since it last printed, as one line of JSON, every half second and with each violation.
"""

from __future__ import annotations

import gc
import math
import signal
import sys
import time
import traceback
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import cast

from . import days, lives
from .counts import Case, Counts, Layer
from .layers import LAYERS
from .mutants import MUTANTS

_EVERY = 0.5  #: seconds
_LEAVING: list[bool] = []  #: whether somebody has asked this process to end
_MOST = 5  #: violations of one case that are told


def work(name: str, size: int, seed: int, first: int, step: int) -> None:
    """Do every case from `first` on, `step` apart."""
    layer = cast("Layer", import_module(f".{name}", __package__))
    cases = math.ceil(size / layer.PER_CASE)
    with lives.workplace() as folder:
        try:
            case = _prepared(layer, seed, cases, folder, real=not LAYERS[name].simulated)
        except Exception as error:
            violation = f"L1 an end: the workload does not come to its end by itself, {error!r:.300}"
            print(Counts(cases=1, caught=1, violations=[violation]).to_json(), flush=True)
            return
        counts, said = Counts(), time.monotonic()
        for index in range(first, cases, step):
            if _LEAVING:
                break
            again = f"python -m tests.proof --layer {name} --size {size} --seed {seed} --index {index}"
            counts += _tried(case, index, again)
            if counts.violations or time.monotonic() - said > _EVERY:
                print(counts.to_json(), flush=True)
                counts, said = Counts(), time.monotonic()
        print(counts.to_json(), flush=True)


def _prepared(layer: Layer, seed: int, cases: int, folder: Path, *, real: bool) -> Case:
    if real:
        with lives.workplace() as rehearsal:
            days.two_days(rehearsal)  # so that a fork inherits all that is only made when it is first used
    case = layer.prepare(seed, cases, folder)
    gc.freeze()  # what is inherited need not be copied
    return case


def _tried(case: Case, index: int, again: str) -> Counts:
    try:
        counts = case(index)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        counts = Counts(violations=[f"not foreseen: {error!r:.300} at {place.filename}:{place.lineno}"])
    counts.cases, counts.caught = 1, int(bool(counts.violations))
    counts.violations = [f"{text} | {again}" for text in counts.violations[:_MOST]]
    return counts


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End the case under way, and begin no other."""
    _LEAVING.append(True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _leave)
    layer, numbers, mutant = sys.argv[1], map(int, sys.argv[2:6]), sys.argv[6:]
    with MUTANTS[mutant[0]].plant() if mutant else nullcontext():
        work(layer, *numbers)
