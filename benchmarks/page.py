"""Write the figures of a run into docs/performance.md, with plots: `python -m benchmarks.page bench.json`.

No figure on that page is written by hand.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import fields

from .plot import Bar, svg
from .row import Row
from .table import grouped, number, share

PAGE = Path(__file__).parents[1] / "docs" / "performance.md"
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
#: What is shown as a picture: the case, its title and the file.
PLOTS = (
    ("throughput-64", "Orders a second, 64 in flight", "throughput-64.svg"),
    ("throughput-1000", "Orders a second, 1,000 in flight", "throughput-1000.svg"),
    ("failing-64", "Failing orders a second, 64 in flight", "failing-64.svg"),
    ("latency: p50", "One order alone, median, ms (less is better)", "latency.svg"),
)
HEAD = "| case | system | value | of the bare loop | of SQLite alone | lowest – highest |"


def load(path: Path) -> list[Row]:
    """The rows of a run."""
    names = {field.name for field in fields(Row)}
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return [Row(**{name: value for name, value in row.items() if name in names}) for row in found]


def markdown(rows: Sequence[Row], plots: Sequence[str]) -> str:
    """The table, with what it was measured on above it and how durable each system is below."""
    first = rows[0]
    durability = {row.system: row.durability for row in rows}
    return "\n".join(
        [
            f"Measured on {first.date[:10]} on {first.machine}; {first.versions}.",
            f"Medians of up to {max(row.rounds for row in rows)} rounds.",
            "",
            *(f"![{name}](performance/{name})" for name in plots),
            "",
            HEAD,
            "|---|---|---:|---:|---:|---:|",
            *map(line, grouped(rows)),
            "",
            "Durability of each system while it was measured:",
            "",
            *(f"- {system}: {what}" for system, what in durability.items()),
        ]
    )


def line(row: Row) -> str:
    """A row of the table."""
    if row.value is None:
        return f"| {row.case} | {row.system} | {row.note.replace('|', '/')} | | | |"
    between = f"{number(row.lowest)} – {number(row.highest)}" if row.rounds > 1 else ""
    ratios = f"{share(row.ratio_to_limit)} | {share(row.ratio_to_sqlite)}"
    return f"| {row.case} | {row.system} | {number(row.value)} {row.unit} | {ratios} | {between} |"


def plot(rows: Sequence[Row], folder: Path) -> list[str]:
    """Write a picture for each figure that was measured; the names of the files."""
    folder.mkdir(exist_ok=True)
    written: list[str] = []
    for case, title, name in PLOTS:
        bars = [
            Bar(row.system, row.value, number(row.value)) for row in rows if row.case == case and row.value is not None
        ]
        if bars:
            (folder / name).write_text(svg(title, bars), encoding="utf-8")
            written.append(name)
    return written


def write(rows: Sequence[Row], page: Path) -> None:
    """Replace the figures of the page, and nothing else of it."""
    plots = plot(rows, page.with_suffix(""))
    text = page.read_text(encoding="utf-8")
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    assert pattern.search(text), f"{page} has no place for figures"
    figures = f"{BEGIN}\n{markdown(rows, plots)}\n{END}"
    page.write_text(pattern.sub(lambda _: figures, text), encoding="utf-8")


def main(arguments: Sequence[str]) -> None:
    """Write the page from the file that is named."""
    path = Path(arguments[0] if arguments else "bench.json")
    write(load(path), PAGE)
    print(f"{PAGE} now has the figures of {path}")


if __name__ == "__main__":
    main(sys.argv[1:])
