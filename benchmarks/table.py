"""The table that a run prints."""

from __future__ import annotations

from collections.abc import Sequence

from .row import Row

HEAD = ("case", "system", "value", "", "of bare loop", "of SQLite", "lowest – highest", "durability")


def number(value: float | None) -> str:
    """Three digits that count, and no more."""
    if value is None:
        return "–"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def share(ratio: float | None) -> str:
    """A ratio to a reference."""
    return "–" if ratio is None else f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.4f}"


def cells(row: Row) -> tuple[str, ...]:
    """A row as text."""
    if row.value is None:
        return (row.case, row.system, "–", "", "–", "–", row.note, row.durability)
    between = f"{number(row.lowest)} – {number(row.highest)}" if row.rounds > 1 else ""
    ratios = (share(row.ratio_to_limit), share(row.ratio_to_sqlite))
    return (row.case, row.system, number(row.value), row.unit, *ratios, between, row.durability)


def table(rows: Sequence[Row]) -> str:
    """All rows, those of a case together, with columns as wide as they need to be."""
    lines = [HEAD, *map(cells, grouped(rows))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    right = {2, 4, 5}
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def grouped(rows: Sequence[Row]) -> list[Row]:
    """In the order of the cases as they first come, references first as they come."""
    order = {case: place for place, case in reversed(list(enumerate(row.case for row in rows)))}
    return sorted(rows, key=lambda row: order[row.case])
