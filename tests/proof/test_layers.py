"""Each layer of the proof at its smallest: it runs, it finds nothing, and it finds what was planted."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.proof import iolog
from tests.proof.campaign import ROOT, run
from tests.proof.layers import why_not

pytestmark = pytest.mark.timeout(120)

_WORKERS = 2  #: of so small a run; each takes about a second to begin


def check(layer: str) -> None:
    """Skip the test where the layer cannot run."""
    reason = why_not(layer)
    if reason is not None:
        pytest.skip(f"{layer} {reason}")


@pytest.mark.parametrize(
    ("layer", "size"),
    [
        ("scenarios", 100), ("power_loss", 500), ("io_faults", 12), ("full_disk", 1), ("kills", 10), ("takeovers", 2),
        ("hostile", 500),
    ],
)  # fmt: skip
def test_a_layer_finds_no_violation(layer: str, size: int) -> None:
    """Something was tried, and every promise held."""
    check(layer)
    counts = run(layer, size, 1, workers=_WORKERS)
    assert counts.violations == []
    assert counts.cases > 0


@pytest.mark.parametrize(
    ("layer", "size", "mutant"), [("power_loss", 500, "synchronous_normal"), ("hostile", 500, "checksum_ignored")]
)
def test_a_layer_finds_what_was_planted(layer: str, size: int, mutant: str) -> None:
    """A weaker durability loses what was acknowledged; a checksum that is not looked at lets damage in."""
    check(layer)
    assert run(layer, size, 1, mutant=mutant, workers=1, until=lambda counts: counts.caught > 0).caught > 0


def test_a_fault_that_does_not_come_is_told_and_its_life_is_judged(tmp_path: Path) -> None:
    """Nothing that was planned is left out in silence."""
    check("io_faults")
    program = (
        "import sys; from pathlib import Path; from attrs import evolve; from tests.proof import io_faults, lives\n"
        "folder = Path(sys.argv[1]); (folder / 'db').mkdir()\n"
        "rehearsal = io_faults.Rehearsal.of(folder)\n"
        "never = evolve(next(one for one in rehearsal.faults if one.kills), number=100_000)\n"
        "with lives.workplace() as place: print(io_faults.suffer(rehearsal, never, place))"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "LD_PRELOAD": str(iolog.build())}
    command = [sys.executable, "-c", program, str(tmp_path)]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "(False, [])\n"


def test_the_library_is_built_where_nobody_else_writes() -> None:
    """What is loaded into every process of the proof must be ours."""
    check("kills")
    assert stat.S_IMODE(iolog.build().parent.stat().st_mode) == stat.S_IRWXU


def test_a_layer_that_cannot_run_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never left out in silence."""
    monkeypatch.setattr("tests.proof.iolog.is_buildable", lambda: False)
    assert "C compiler" in (why_not("kills") or "")
    assert why_not("scenarios") is None
