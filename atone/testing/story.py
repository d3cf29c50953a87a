"""A failure as a story: who did what, side by side in virtual time, and what was wrong with it."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from attrs import evolve, frozen

from ..storage import HistoryRow
from .evidence import Violation
from .world import Moment

#: Characters of a lane, and of the whole.
LANE, WIDTH = 30, 118
#: Lines of a story before its middle is left out.
LENGTH = 120


@frozen
class Story:
    """What happened in one run."""

    moments: tuple[Moment, ...] = ()
    lanes: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()
    again: str = ""  #: the command that does it again

    def __str__(self) -> str:
        parts = [f"✖ {violation}" for violation in self.violations]
        parts += [self.table()] if self.moments else []
        if self.again:
            parts.append(f"again: {self.again}")
        return "\n\n".join(parts)

    def again_by(self, command: str) -> Story:
        """The same story with the command that does it again."""
        return evolve(self, again=command)

    def table(self) -> str:
        """The lanes, one line for each thing that happened."""
        width = max(12, min(LANE, (WIDTH - 12) // max(len(self.lanes), 1) - 2))
        lines = ["  ".join(["time".rjust(10), *(name[:width].ljust(width) for name in self.lanes)]).rstrip()]
        for moment in self.moments:
            for part, text in enumerate(textwrap.wrap(moment.text, width) or [""]):
                cells = [text if lane == moment.lane else "" for lane in self.lanes]
                time = _time(moment.at) if part == 0 else ""
                lines.append("  ".join([time.rjust(10), *(cell.ljust(width) for cell in cells)]).rstrip())
        if len(lines) > LENGTH:
            left_out = f"  … {len(lines) - LENGTH} lines …"
            lines = [*lines[: LENGTH // 2], left_out, *lines[-LENGTH // 2 :]]
        return "\n".join(lines)


class SagaFailure(AssertionError):
    """A saga, or the engine, broke a promise. Its text is the story of how."""

    def __init__(self, story: Story, violations: Sequence[Violation] = (), *, error: object = None) -> None:
        super().__init__(
            f"{len(violations)} violation(s)" if violations else f"{error or 'a check of the test failed'}"
        )
        self.story = story
        self.violations = tuple(violations)

    def __str__(self) -> str:
        return f"{self.args[0]}\n\n{self.story}\n"  # written when it is read: a search meets many, and shows one


def tell(
    moments: Sequence[Moment],
    histories: Mapping[str, Sequence[HistoryRow]],
    written: Mapping[tuple[int, int], int],
    violations: Sequence[Violation],
    epoch: float,
) -> Story:
    """Put what participants, processes and clients noted beside the histories of the orders.

    All in the order in which it happened, which no clock tells: `written` has, by key and revision of an order, how
    many moments there were when it came to the disk.
    """
    placed = [((place, 1, 0), moment) for place, moment in enumerate(moments)]
    for id, rows in histories.items():
        for row in rows:
            place = (written.get((row.key, row.revision), len(moments)), 0, row.seq)
            placed.append((place, Moment(row.at - epoch, f"order {id}", _words(row))))
    told = [moment for _, moment in sorted(placed)]
    order = ["client", "process", *(f"order {id}" for id in histories)]
    lanes = [lane for lane in order if any(moment.lane == lane for moment in told)]
    lanes += sorted({moment.lane for moment in told} - set(lanes))
    return Story(tuple(told), tuple(lanes), tuple(violations))


def _words(row: HistoryRow) -> str:
    entry = row.entry
    what = " ".join(filter(None, [entry.event, entry.step, f"#{entry.attempt}" if entry.attempt else None]))
    if entry.begun:
        what += f" → {', '.join(entry.begun.split())}"
    if entry.target != entry.source and entry.source:
        what += f" [{entry.target}]"
    return what


def _time(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds < 1000 else f"{seconds / 3600:.2f} h"  # noqa: PLR2004  # readable
