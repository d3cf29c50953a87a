"""Runs the proof, prints what it does, and writes it down in proof.json.

python -m tests.proof                                   every layer in the size of a build, and every mutant once
python -m tests.proof --share 0.1                       the same with a tenth of each layer
python -m tests.proof --hours 1                         all layers in turn with ever new seeds, until the time is over
python -m tests.proof --layer L --size N                one layer, as long as you like
python -m tests.proof --layer L --size N --seed S --index I    one case again, as a violation says
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from attrs import frozen

from .campaign import ROOT, run
from .counts import Counts
from .interruption import Interruption
from .layers import LAYERS, why_not
from .mutants import MUTANTS
from .mutants.hunt import hunt
from .report import Report
from .screen import Screen

#: A round of a soak does one part in so many of what a build does.
_PARTS = 4
_AT_ONCE = 2  #: layers
#: What a shell expects of a program that was interrupted.
_INTERRUPTED = 130


@frozen
class Proof:
    """One run of it."""

    layers: list[str]
    size: int | None  #: of each layer; `None` for that of a build
    report: Report
    interruption: Interruption
    end: float | None = None  #: monotonic; of a soak

    def build(self, share: float) -> None:
        """Every layer in its size, or a share of it."""
        self._round(share, self.report.seed)

    def soak(self) -> None:
        """Round after round with another seed, until the time is over."""
        for number in itertools.count():
            self._round(1 / _PARTS, self.report.seed + number)
            if self.is_over:
                return
            print(f"  round {number + 1}: {self.report.sum}", flush=True)

    def _round(self, share: float, seed: int) -> None:
        """Every layer once, two at a time: what one leaves of the processors while it waits, the other can use."""
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            begun = [threads.submit(self._torment, layer, self._size(layer, share), seed) for layer in self.layers]
            for done in as_completed(begun):
                if found := done.result():
                    self.report.add(*found, wanted=0 if self.is_over else self._wanted(found[0], share))

    def _size(self, layer: str, share: float) -> int:
        """How much of a layer is planned."""
        return self.size or LAYERS[layer].planned(share)

    def _wanted(self, layer: str, share: float) -> int:
        """How much of it must have been tried."""
        kind = LAYERS[layer]
        return int(self.size / (1 + kind.margin)) if self.size else int(share * kind.promised)

    def _torment(self, layer: str, size: int, seed: int) -> tuple[str, Counts, float] | None:
        """One run of one layer, as far as there is time, with what it did in how many seconds."""
        if self.is_over:
            return None
        screen = Screen(size)
        counts = run(layer, size, seed, screen.report, until=lambda _: self.is_over)
        screen.end(layer, counts)
        return layer, counts, screen.seconds

    def mutants(self) -> None:
        """Every mutant, until it is caught once."""
        for found in hunt(
            [one for one in MUTANTS.values() if one.layer in self.layers],
            self.report.seed,
            once=True,
            stop=lambda: self.is_over,
        ):
            if not self.is_over:
                print(f"{'✔' if found.caught else '✖'} mutant {found}", flush=True)
                self.report.judge(found.mutant.name, caught=found.caught > 0)

    @property
    def is_over(self) -> bool:
        """Whether it is to end."""
        return self.interruption.asked or (self.end is not None and time.monotonic() > self.end)


def main() -> int:
    """The command line; returns its exit code."""
    options = _options()
    if options.index is not None:
        return _again(options)
    seconds = 3600 * (options.hours or 0) + 60 * (options.minutes or 0)
    report = Report(options.seed if options.seed is not None else int(time.time()) if seconds else 1)
    report.complete = bool(os.environ.get("CI"))
    interruption = Interruption()
    interruption.listen()
    proof = Proof(
        list(_possible(options.layer or list(LAYERS), report)), options.size, report, interruption,
        time.monotonic() + seconds if seconds else None,
    )  # fmt: skip
    print(f"seed {report.seed}; violations are told at once, with the command that shows each again", flush=True)
    try:
        if seconds:
            proof.soak()
        else:
            proof.build(options.share)
            if not options.layer:
                proof.mutants()
    finally:
        report.interrupted = interruption.asked
        report.write(options.out)
    print(f"{report.sum}: see {options.out}")
    return 1 if report.failed else _INTERRUPTED if report.interrupted and not seconds else 0


def _again(options: argparse.Namespace) -> int:
    """One case, as a violation says."""
    counts = Counts()
    for layer in options.layer or ():
        if (reason := why_not(layer)) is not None:
            print(f"– {layer} cannot run here: it {reason}")
            continue
        counts += run(layer, options.size or LAYERS[layer].planned(), options.seed or 1, index=options.index)
    print("\n".join(counts.violations) or ("no violation" if counts.cases else "no such case: nothing was tried"))
    return bool(counts.violations) or not counts.cases


def _possible(layers: list[str], report: Report) -> Iterator[str]:
    """The layers that this machine can run; of the others it is said why not."""
    for layer in layers:
        reason = why_not(layer)
        if reason is None:
            yield layer
        else:
            report.not_run[layer] = reason
            print(f"– {layer} cannot run here: it {reason}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.proof", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layer", choices=LAYERS, action="append", help="which layers (all)")
    parser.add_argument("--size", type=int, help="how much of each (as much as a build tries)")
    parser.add_argument("--share", type=float, default=1.0, help="of what a build tries of each, when no size is given")
    parser.add_argument("--seed", type=int, help="1, or of a soak the time")
    parser.add_argument("--index", type=int, help="only the case with this number")
    parser.add_argument("--hours", type=float, help="soak so long")
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--out", type=Path, default=ROOT / "proof.json", help="where the sum is written")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
