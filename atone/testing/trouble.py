"""What is wrong with the simulated disk."""

from __future__ import annotations

from attrs import define, field

from ..storage import DiskFailed, DiskFull, StoreUnavailable

_NAME = "the simulated disk"


@define(eq=False)
class Trouble:
    """Commits that fail, with or without reaching the disk, and a disk that is full."""

    full: bool = False
    failing: list[bool] = field(factory=list)  #: of the next commits that fail: whether they are on disk all the same

    def next_commit(self) -> tuple[StoreUnavailable | None, bool]:
        """What the next commit is answered, if not its result; and whether it is on disk."""
        if self.full:
            return self.refusal(), False
        if self.failing:
            return DiskFailed(_NAME, "a commit was to fail"), self.failing.pop(0)
        return None, True

    def refusal(self) -> StoreUnavailable | None:
        """What any write is answered that needs room; `None` where there is room."""
        return DiskFull(_NAME, "it was filled") if self.full else None
