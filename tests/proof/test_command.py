"""The command behind `make proof` and `make soak`: what it writes, and that it can be interrupted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.proof.campaign import ROOT
from tests.proof.counts import Counts
from tests.proof.report import Report

pytestmark = pytest.mark.timeout(120)

_KEYS = {
    "histories", "crash_points", "swarm", "images", "io_faults", "kills", "takeovers", "hostile_rows",
    "mutants_planted", "mutants_caught", "violations", "versions", "seed", "seconds", "not_run", "interrupted",
}  # fmt: skip


def begin(out: Path, *arguments: str) -> subprocess.Popen[str]:
    """The command on one simulated layer, which runs on any machine."""
    command = [sys.executable, "-m", "tests.proof", "--layer", "scenarios", "--out", str(out), *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_run_is_written_down(tmp_path: Path) -> None:
    """With everything that a reader of proof.json looks for."""
    run = begin(tmp_path / "proof.json", "--size", "10")
    told, _ = run.communicate()
    written = json.loads((tmp_path / "proof.json").read_text())
    assert run.returncode == 0
    assert "10 histories" in told
    assert written.keys() >= _KEYS
    assert (written["histories"], written["violations"], written["interrupted"]) == (10, [], False)


def test_a_soak_that_is_interrupted_writes_what_it_has(tmp_path: Path) -> None:
    """An hour need not be waited for."""
    run = begin(tmp_path / "proof.json", "--hours", "1", "--size", "10")
    assert run.stdout is not None
    while "histories" not in run.stdout.readline():
        pass
    run.send_signal(signal.SIGINT)
    run.communicate()
    written = json.loads((tmp_path / "proof.json").read_text())
    assert run.returncode == 0
    assert written["histories"] >= 10
    assert written["interrupted"] is True


@pytest.mark.parametrize("complete", [True, False])
def test_a_layer_that_could_not_run_fails_continuous_integration(complete: bool) -> None:
    """Elsewhere it is told, and the others count."""
    report = Report(1, not_run={"full_disk": "needs root"}, complete=complete)
    assert report.failed is complete
    assert "full_disk could not run" in report.sum


def test_a_layer_that_tries_less_than_was_wanted_fails_the_run() -> None:
    """Nothing found is no news where nothing was looked for; of what was cut short, nothing was wanted."""
    report = Report(1)
    report.add("takeovers", Counts(takeovers=100), 1.0, wanted=100)
    report.add("kills", Counts(kills=10), 1.0)
    assert not report.failed
    report.add("hostile", Counts(hostile_rows=19_999), 1.0, wanted=20_000)
    assert report.failed
    assert "too few hostile: 19,999 of 20,000" in report.sum
