"""The table of mutants in docs/proof.md: written here, and held by a test against what is planted."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..campaign import ROOT
from .hunt import Found

PAGE = ROOT / "docs" / "proof.md"
_BEGIN, _END = "<!-- mutants: written by `make mutants` -->", "<!-- /mutants -->"


def markdown(found: Sequence[Found]) -> str:
    """One row for each mutant."""
    rows = ["| mutant | what it does | layer | caught | by |", "|---|---|---|---|---|"]
    rows += [
        f"| `{one.mutant.name}` | {one.mutant.sentence} | {one.mutant.layer} | {one.caught:,} of {one.tried:,} |"
        f" {one.mutant.check if one.caught else _survived(one)} |"
        for one in found
    ]
    return "\n".join(rows) + "\n"


def _survived(found: Found) -> str:
    return f"not by {found.mutant.check}; {found.instead or 'by nothing'}"


def write(found: Sequence[Found]) -> None:
    """Put the table in its place on the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    PAGE.write_text(f"{before}{_BEGIN}\n{markdown(found)}{_END}{after}", encoding="utf-8")


def listed() -> list[tuple[str, str]]:
    """The names and sentences on the page."""
    table = PAGE.read_text(encoding="utf-8").partition(_BEGIN)[2].partition(_END)[0]
    return re.findall(r"^\| `(\w+)` \| (.+?) \|", table, re.MULTILINE)
