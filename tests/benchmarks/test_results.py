from __future__ import annotations

import json
from pathlib import Path

from benchmarks import __main__, page
from benchmarks.figure import Figure
from benchmarks.plot import Bar, svg
from benchmarks.row import Results, Row
from benchmarks.table import table

STAMP = {"versions": "Python 3", "machine": "2 cores", "date": "2030-01-01T00:00:00+00:00"}
KEYS = {"system", "case", "value", "unit", "durability", "ratio_to_limit", "versions", "machine", "date"}


def rows() -> list[Row]:
    """Two rounds of two systems and both references; one system cannot be measured, another fails once."""
    results = Results(dict.fromkeys(("bare", "sqlite", "atone", "peer", "absent"), "synced"))
    for place, (bare, alone, atone) in enumerate([(1000, 4000, 600), (2000, 8000, 800)]):
        for system, value in (("bare", bare), ("sqlite", alone), ("atone", atone)):
            results.add(place, "throughput-64", system, Figure("", value, "orders/s"))
    results.add(1, "throughput-64", "peer", Figure("", 60, "orders/s"))
    results.fail("throughput-64", "peer", "took longer than 60 s")
    results.fail("throughput-64", "absent", "cannot be made ready: no such package")
    return results.rows(STAMP)


def row(system: str) -> Row:
    """That of one system."""
    (found,) = (one for one in rows() if one.system == system)
    return found


def test_a_row_has_the_medians_and_both_references() -> None:
    """Value and references are medians, the ratio is the median of those within a round."""
    found = row("atone")
    assert (found.value, found.limit, found.sqlite) == (700, 1500, 6000)
    assert (found.ratio_to_limit, found.ratio_to_sqlite) == (0.5, 0.125)
    assert (found.lowest, found.highest, found.rounds) == (600, 800, 2)


def test_a_system_that_failed_once_keeps_its_other_rounds() -> None:
    """The rows say what went wrong, beside the rounds that went well, compared with the same rounds."""
    found = row("peer")
    assert (found.value, found.rounds, found.note) == (60, 1, "took longer than 60 s")
    assert found.ratio_to_limit == 60 / 2000


def test_a_system_that_cannot_be_measured_is_a_row_that_says_so() -> None:
    """It has no value, and the reason."""
    found = row("absent")
    assert found.value is None
    assert found.note == "cannot be made ready: no such package"


def test_the_file_is_a_list_of_rows_with_all_that_is_known(tmp_path: Path) -> None:
    """Another program can read it, and so can the page."""
    out = tmp_path / "bench.json"
    __main__.write(rows(), out)
    written = json.loads(out.read_text(encoding="utf-8"))
    assert len(written) == 5
    assert all(one.keys() >= KEYS for one in written)
    assert page.load(out) == rows()


def test_the_table_shows_every_row_below_its_head() -> None:
    """Those that could not be measured too, with the reason."""
    head, *lines = table(rows()).splitlines()
    assert "of bare loop" in head
    assert len(lines) == 5
    assert any("atone" in line and " 700  orders/s" in line and "0.50" in line for line in lines)
    assert any("absent" in line and "no such package" in line for line in lines)


def test_the_page_gets_its_figures_and_keeps_its_words(tmp_path: Path) -> None:
    """Writing it twice changes nothing more."""
    text = f"# Words\n\n{page.BEGIN}\nold\n{page.END}\n\nmore words\n"
    target = tmp_path / "performance.md"
    target.write_text(text, encoding="utf-8")
    page.write(rows(), target)
    first = target.read_text(encoding="utf-8")
    page.write(rows(), target)
    assert target.read_text(encoding="utf-8") == first
    assert first.startswith("# Words\n")
    assert first.endswith("more words\n")
    assert "| throughput-64 | atone | 700 orders/s | 0.50 | 0.12 |" in first
    assert "old" not in first
    assert "atone" in (tmp_path / "performance" / "throughput-64.svg").read_text(encoding="utf-8")


def test_a_longer_bar_is_a_larger_value() -> None:
    """The axis is logarithmic: ten times as much is as far again; names are escaped."""
    picture = svg("a < b", [Bar("one", 10, "10"), Bar("two", 100, "100"), Bar("three", 1000, "1,000")])
    widths = [int(line.split('width="')[1].split('"')[0]) for line in picture.splitlines() if "<rect x=" in line]
    assert widths[0] < widths[1] < widths[2]
    assert abs((widths[1] - widths[0]) - (widths[2] - widths[1])) <= 1
    assert "a &lt; b" in picture
