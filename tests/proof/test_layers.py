"""Each layer of the proof at its smallest: it runs, it finds nothing, and it finds what was planted."""

from __future__ import annotations

import pytest

from tests.proof.campaign import run
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


def test_a_layer_that_cannot_run_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is never left out in silence."""
    monkeypatch.setattr("tests.proof.iolog.is_buildable", lambda: False)
    assert "C compiler" in (why_not("kills") or "")
    assert why_not("scenarios") is None
