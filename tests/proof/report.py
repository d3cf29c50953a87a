"""The sum of a proof, as `proof.json`: what was tried, with what, for how long, and what did not hold."""

from __future__ import annotations

import json
import platform
import sqlite3
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from attrs import asdict, define, field

from .counts import Counts
from .layers import LAYERS

_ROOT = Path(__file__).parents[2]
_BESIDES = {"cases", "caught"}  #: what only the mutants are judged by


@define
class Report:
    """Everything that a run has done so far."""

    seed: int
    counts: Counts = field(factory=Counts)
    layers: dict[str, int] = field(factory=dict)  #: what each layer did, in its own unit
    seconds: dict[str, float] = field(factory=dict)  #: by layer
    not_run: dict[str, str] = field(factory=dict)  #: layers that this machine cannot run, and why
    short: list[str] = field(factory=list)  #: layers that came to their end and tried too little
    mutants_planted: int = 0
    mutants_caught: int = 0
    survivors: list[str] = field(factory=list)  #: mutants that nothing caught
    interrupted: bool = False
    complete: bool = False  #: whether every layer must have run

    def add(self, layer: str, counts: Counts, seconds: float, *, wanted: int = 0) -> None:
        """A layer has run; to its end, where it is said how much of it was `wanted`."""
        self.counts += counts
        done = getattr(counts, LAYERS[layer].unit)
        if done < wanted:
            self.short.append(f"{layer}: {done:,} of {wanted:,}")
        self.layers[layer] = self.layers.get(layer, 0) + done
        self.seconds[layer] = round(self.seconds.get(layer, 0.0) + seconds, 1)

    def judge(self, mutant: str, *, caught: bool) -> None:
        """A mutant was planted."""
        self.mutants_planted += 1
        self.mutants_caught += caught
        if not caught:
            self.survivors.append(mutant)

    @property
    def failed(self) -> bool:
        """Whether anything is not as it should be: on a machine of continuous integration, every layer runs."""
        return bool(self.counts.violations or self.survivors or self.short or (self.complete and self.not_run))

    @property
    def sum(self) -> str:
        """All of it in one line."""
        counts = [(name.replace("_", " "), value) for name, value in asdict(self.counts).items() if value]
        parts = [f"{value:,} {name}" for name, value in counts if isinstance(value, int) and name not in _BESIDES]
        if self.mutants_planted:
            parts.append(f"{self.mutants_caught} of {self.mutants_planted} mutants caught")
        parts += [f"too few {one}" for one in self.short]
        parts += [f"{layer} could not run" for layer in self.not_run]
        return ", ".join([*parts, f"{len(self.counts.violations)} violations"])

    def write(self, path: Path) -> None:
        """Write it, whole or not at all."""
        counts = {name: value for name, value in asdict(self.counts).items() if name not in _BESIDES}
        document = {
            **counts,
            "swarm": self.layers.get("swarm", 0),
            "mutants_planted": self.mutants_planted,
            "mutants_caught": self.mutants_caught,
            "mutants_survived": self.survivors,
            "not_run": self.not_run,
            "short": self.short,
            "interrupted": self.interrupted,
            "seed": self.seed,
            "layers": self.layers,
            "seconds": self.seconds,
            "versions": versions(),
        }
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        fresh.replace(path)


def versions() -> dict[str, str]:
    """What was proven, and on what."""
    try:
        release = version("atone")
    except PackageNotFoundError:
        release = "not installed"
    return {
        "atone": release,
        "commit": _commit(),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "executable": sys.executable,
    }


def _commit() -> str:
    """The commit of this checkout, where it is one."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=_ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()
