"""Each layer of the proof at its smallest: it runs, it finds nothing, and it finds what was planted."""

from __future__ import annotations

import pytest

from tests.proof.campaign import is_possible, run
from tests.proof.counts import Counts

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(not is_possible(), reason="needs Linux and a C compiler"),
]


def ignore(_layer: str, _counts: Counts) -> None:
    """Nobody watches."""


@pytest.mark.parametrize(
    ("layer", "size"),
    [("power_loss", 500), ("io_faults", 24), ("full_disk", 1), ("kills", 6), ("takeovers", 2), ("hostile", 200)],
)
def test_a_layer_finds_no_violation(layer: str, size: int) -> None:
    """Something was tried, and every promise held."""
    counts = run(layer, size, 1, ignore)
    assert counts.violations == []
    assert counts.done > 0


@pytest.mark.parametrize(
    ("layer", "size", "mutant"),
    [("power_loss", 500, "normal"), ("hostile", 200, "no_checksum")],
)
def test_a_layer_finds_what_was_planted(layer: str, size: int, mutant: str) -> None:
    """A weaker durability loses what was acknowledged; a checksum that is not looked at lets damage in."""
    assert run(layer, size, 1, ignore, mutant=mutant).violations
