"""A store in memory that fails, or whose process dies, at a commit that a test chooses."""

import asyncio
from collections.abc import Callable
from typing import Literal, TypeVar

from atone import MemoryStore, StoreError, StoreUnavailable
from atone.storage import Disk, Renew, Write
from atone.storage.lease import Claim, Release

R = TypeVar("R")
When = Literal["before", "after"]


class FaultyMemory(MemoryStore):
    """One process's store. Only transitions and messages count as commits, and the lease does not."""

    dead = False  #: the process is gone: nothing is written, nobody is answered
    sick = False  #: until `recover`
    broken = False  #: whether `recover` fails as well
    writes = 0
    fail_at: tuple[int, When] | None = None
    die_at: tuple[int, When] | None = None
    died: Callable[[], None]

    def submit(self, write: Write[R], done: Callable[[R | StoreError], None]) -> None:
        """Write, or do what was chosen for this commit."""
        if self.dead:
            return
        if self.sick or (self.broken and not isinstance(write, Release)):
            asyncio.get_running_loop().call_soon(done, self.trouble())
            return
        counts = type(write) not in {Renew, Claim, Release}
        self.writes += counts
        if not counts:
            super().submit(write, done)
        elif self.die_at is not None and self.die_at[0] == self.writes:
            self._die(write, self.die_at[1])
        elif self.fail_at is not None and self.fail_at[0] == self.writes:
            self._fail(write, done, self.fail_at[1])
        else:
            super().submit(write, lambda result: None if self.dead else done(result))

    def _die(self, write: Write[R], when: When) -> None:
        if when == "after":
            super().submit(write, lambda _: None)
        self.dead = True
        self.died()

    def _fail(self, write: Write[R], done: Callable[[R | StoreError], None], when: When) -> None:
        self.sick = True
        if when == "after":
            super().submit(write, lambda _: done(self.trouble()))
        else:
            asyncio.get_running_loop().call_soon(done, self.trouble())

    def trouble(self) -> StoreUnavailable:
        """What a sick store says."""
        self.sick = True
        return StoreUnavailable("the disk is in trouble")

    async def recover(self) -> None:
        """Become well, unless the trouble lasts."""
        if self.broken:
            raise self.trouble()
        self.sick = False
        await super().recover()

    def _opened(self) -> Disk:
        if self.sick:
            raise self.trouble()
        return super()._opened()
