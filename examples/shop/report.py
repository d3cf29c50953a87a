"""What a person sees while the shop works and in the end, and what a program gets."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from .campaign import Findings, OnProgress
from .invoices import Cancellation, Reject, Row, Sale

SHOWN = 10  #: discrepancies and parked orders that the table's reader gets to see; the JSON has them all


@contextmanager
def progress(console: Console) -> Generator[OnProgress]:
    """Show progress: a bar on a terminal, a line per tenth elsewhere."""
    if not console.is_terminal:
        yield _Lines(console).show
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("rows", total=None)
        yield lambda ended, of: bar.update(task, completed=ended, total=of)


class _Lines:
    def __init__(self, console: Console) -> None:
        self._console = console
        self._tenths = 0

    def show(self, ended: int, of: int) -> None:
        tenths = 10 * ended // of
        if tenths > self._tenths:
            self._tenths = tenths
            self._console.print(f"{ended} of {of} rows")


def as_json(findings: Findings) -> dict[str, Any]:
    """Return the findings as plain data."""
    rejects = [row for row in findings.rows if isinstance(row, Reject)]
    lines: defaultdict[str, list[int]] = defaultdict(list)
    for reject in rejects:
        lines[reject.reason].append(reject.line)
    return {
        "rows": len(findings.rows),
        "rejected_rows": len(rejects),
        "rejected_lines": lines,
        "repeated_numbers": sum(map(_is_repeated, findings.rows)),
        "orders": len(findings.endings),
        "statuses": Counter(ending.status for ending in findings.endings),
        "parked": {ending.order_id: ending.why for ending in findings.endings if ending.status == "PARKED"},
        "cancels": _cancels(findings),
        "approvals": findings.approvals,
        "late_requests_refused": findings.late_requests,
        "kills": findings.kills,
        "resume_seconds": [round(seconds, 3) for seconds in findings.resume_seconds],
        "seconds": round(findings.seconds, 3),
        "orders_per_second": round(len(findings.endings) / findings.seconds, 1),
        "discrepancies": findings.discrepancies,
    }


def print_summary(console: Console, findings: Findings) -> None:
    """Print the findings as a table, and what is wrong below it."""
    facts = as_json(findings)
    table = Table(title="A shop's orders", show_header=False)
    table.add_row("rows read", str(facts["rows"]))
    table.add_row("  with a number seen before", str(facts["repeated_numbers"]))
    table.add_row("  rejected", str(facts["rejected_rows"]))
    for reason, lines in facts["rejected_lines"].items():
        table.add_row(f"    {reason}", str(len(lines)))
    table.add_row("orders", f"{facts['orders']}: {_counts(facts['statuses'])}")
    table.add_row("cancellations", _counts(facts["cancels"]))
    table.add_row("approvals", _counts(facts["approvals"]))
    table.add_row("late requests refused", str(facts["late_requests_refused"]))
    table.add_row("kills", str(facts["kills"]))
    if facts["resume_seconds"]:
        table.add_row("  resumed after", ", ".join(f"{seconds:.2f} s" for seconds in facts["resume_seconds"]))
    table.add_row("orders a second", f"{facts['orders_per_second']} ({facts['seconds']:.1f} s in all)")
    table.add_row("discrepancies", str(len(findings.discrepancies)))
    console.print(table)
    for order_id, why in list(facts["parked"].items())[:SHOWN]:
        console.print(f"order {order_id} is parked: {why}", markup=False, soft_wrap=True)
    for discrepancy in findings.discrepancies[:SHOWN]:
        console.print(discrepancy, style="red", markup=False, soft_wrap=True)


def _cancels(findings: Findings) -> Counter[str]:
    nobody = sum(isinstance(row, Cancellation) and row.order_id is None for row in findings.rows)
    return Counter(findings.cancels.values()) + Counter(NO_ORDER=nobody)


def _is_repeated(row: Row) -> bool:
    match row:
        case Sale():
            return "-" in row.order.id
        case Cancellation():
            return "-" in row.id
        case Reject():
            return False


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "none"
