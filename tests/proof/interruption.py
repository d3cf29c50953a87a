"""SIGINT and SIGTERM as a wish that a run can look at, so that it ends in good order with what it has."""

from __future__ import annotations

import signal
from types import FrameType

from attrs import define


@define
class Interruption:
    """Whether somebody has asked the run to end. A second time ends it at once."""

    asked: bool = False

    def listen(self) -> None:
        """From now on."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask)

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        print("\nending, with what there is (again: at once)", flush=True)
        self.asked = True
        signal.signal(number, signal.SIG_DFL)
