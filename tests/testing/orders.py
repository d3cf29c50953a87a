"""Orders as they stand on disk, made by hand: evidence for the oracle."""

from collections.abc import Sequence

from atone import Status
from atone.storage import Definition, Entry, HistoryRow, Phase, Record, Snapshot
from atone.testing import Violation
from atone.testing.evidence import Evidence
from atone.testing.oracle import judge
from tests.testing.shop import shop

RUNNING, BACK = Status.RUNNING, Status.COMPENSATING
UNDONE, DONE = Status.COMPENSATED, Status.COMPLETED

#: One line of history: event, step, attempt, status before and after, intents.
Line = tuple[str, str | None, int | None, str, str, str | None]

BEGUN: Line = ("BEGUN", None, None, RUNNING, RUNNING, "reserve/action/1")
RESERVED: Line = ("RETURNED", "reserve", 1, RUNNING, RUNNING, "charge/action/1")
DECLINED: Line = ("REFUSED", "charge", 1, RUNNING, BACK, "reserve/compensation/1")
RELEASED: Line = ("COMPENSATION_RETURNED", "reserve", 1, BACK, UNDONE, None)
CHARGED: Line = ("RETURNED", "charge", 1, RUNNING, RUNNING, "ship/action/1")
SHIPPED: Line = ("RETURNED", "ship", 1, RUNNING, DONE, None)

GOOD = [BEGUN, RESERVED, DECLINED, RELEASED]
BEST = [BEGUN, RESERVED, CHARGED, SHIPPED]


def order(
    lines: Sequence[Line],
    *,
    notes: dict[int, str] | None = None,
    errors: dict[int, str] | None = None,
    phase: Phase | None = None,
) -> tuple[Record, list[HistoryRow]]:
    """An order with that history, one line for each commit."""
    rows = [
        HistoryRow(
            seq,
            1,
            seq,
            0.0,
            Entry(event, source, target, step, attempt, (errors or {}).get(seq), (notes or {}).get(seq), begun),
        )
        for seq, (event, step, attempt, source, target, begun) in enumerate(lines, 1)
    ]
    status = lines[-1][4]
    if phase is None:
        phase = Phase.FINAL if Status(status).final else Phase.ACTIVE
    definition = Definition(shop.name, shop.version, shop.fingerprint)
    snapshot = Snapshot(status, phase, b"")
    return Record(1, "1", definition, len(lines), 1, 0.0, 0.0, snapshot, None, b""), rows


def found(lines: Sequence[Line], **options: object) -> set[str]:
    """The checks that such an order breaks."""
    return names(judge(Evidence([order(lines, **options)], [shop], exact=True)))  # type: ignore[arg-type]


def names(violations: Sequence[Violation]) -> set[str]:
    """The checks that were broken."""
    return {one.check for one in violations}
