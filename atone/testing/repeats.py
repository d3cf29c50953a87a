"""What must hold of attempts beside and behind one another; each check yields what it found instead."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from ..sagas import Status
from ..storage import HistoryRow
from .trail import Intent, Trail

_DONE = {"RETURNED", "PROBE_HAPPENED"}
_REFUSED = {"REFUSED", "PROBE_NEVER_WILL_HAPPEN"}
#: What ends an attempt, whatever its kind: history gives no more than its number.
_CUT_OFF = {"INTERRUPTED", "LATE"}
_PREFIXES = {"action": "", "probe": "PROBE_", "compensation": "COMPENSATION_"}
_ENDS = {
    "action": {"RETURNED", "REFUSED", "IN_DOUBT"},
    "probe": {
        f"PROBE_{one}"
        for one in ("HAPPENED", "REFUSED", "IN_DOUBT", "INTERRUPTED", "DID_NOT_HAPPEN", "NEVER_WILL_HAPPEN",
                    "STILL_UNKNOWN")
    },
    "compensation": {f"COMPENSATION_{one}" for one in ("RETURNED", "REFUSED", "IN_DOUBT", "INTERRUPTED")},
}  # fmt: skip


def at_once(trail: Trail) -> Iterator[str]:
    """Attempts of a step that began beside another, and compensations that began beside the way forward."""
    running: dict[str, Intent] = {}
    for row, after in zip_longest(trail.rows, trail.rows[1:]):
        its = running.get(row.entry.step or "")
        if its is not None and _ends(row, its):
            del running[its.step]
        for intent in trail.begun(row):
            undoes = intent.work == "compensation"
            for other in running.values():
                if other.step == intent.step or (undoes and other.work != "compensation"):
                    yield f"{intent} was begun, and {other} had no end"
            running[intent.step] = intent
        whole = after is None or after.revision != row.revision  #: lines of one decision tell of one end
        if running and whole and Status(row.entry.target).final:
            yield f"the order ended as {row.entry.target}, and {', '.join(map(str, running.values()))} had no end"
            return


def _ends(row: HistoryRow, intent: Intent) -> bool:
    entry = row.entry
    return entry.attempt == intent.number and (entry.event in _CUT_OFF or entry.event in _ENDS[intent.work])


def once_more(trail: Trail) -> Iterator[str]:
    """Steps that were sent or undone again although their last word was spoken."""
    last: dict[tuple[str | None, str], str] = {}  #: of a step, by kind of work
    parked: str | None = None
    for row in trail.rows:
        event, step = row.entry.event, row.entry.step
        if event in _DONE or event in _REFUSED:
            last[step, "action"] = event
        elif event == "COMPENSATION_RETURNED":
            last[step, "compensation"] = event
        elif event == "PARKED":
            parked = step
        elif event in {"RESOLVE", "SKIP"} and trail.agreed(row):
            last[parked, "action"] = last[parked, "compensation"] = event
        elif event == "RETRY" and trail.agreed(row) and last.get((parked, "action")) in _REFUSED:
            del last[parked, "action"]
        for intent in trail.begun(row):
            word = last.get((intent.step, intent.work))
            if word is not None:
                yield f"{intent} was begun after {word}"
