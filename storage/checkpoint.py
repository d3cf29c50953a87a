"""Moving committed pages from the write-ahead log into the database file, when its owner chooses."""

from __future__ import annotations

import logging
import sqlite3

from .statements import STATEMENTS

_LOG = logging.getLogger(__name__)

#: after about so many pages in the log: enough to be rare, few enough to take some 20 ms
_PAGES = 1000
#: a log of this size was kept from shrinking by a reader that never ends, or by a failure
_LARGE = 64 * 1024 * 1024
#: a commit writes some pages whatever its size, and about one more for each write and each 4 KiB
_PAGES_OF_A_COMMIT = 4
_PAGE = 4096


class Checkpointer:
    """Counts what is written, and checkpoints while its store owns the lease.

    A failure is never fatal, since the log holds everything; it is logged and counted.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._pages = 0
        self._warned = 0
        self._forgotten = False  #: whether the file may lack pages that SQLite counts as moved
        self.epoch: int | None = None  #: of the lease that its store holds
        self.failures = 0

    def count(self, writes: int, size: int) -> None:
        """Take note of a commit of `size` bytes of payload. What that makes in pages is an estimate."""
        self._pages += _PAGES_OF_A_COMMIT + writes + size // _PAGE

    def run(self, connection: sqlite3.Connection, *, due: int = _PAGES) -> None:
        """Checkpoint, if that is due and the lease is still ours."""
        if self.epoch is None or self._pages < due:
            return
        try:
            if connection.execute(STATEMENTS["epoch"]).fetchone() == (self.epoch,):
                self._checkpoint(connection)
        except sqlite3.Error as error:
            self._pages = 0
            self.failures += 1
            _LOG.warning("a checkpoint of %r failed (%s): its log grows until one succeeds", self._path, error)

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        if self._forgotten:
            self._write_anew(connection)
        try:
            # Passive: it waits for nobody, and leaves what a reader still needs for the next time.
            _, pages, moved = connection.execute("pragma wal_checkpoint(passive)").fetchone()
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_IOERR_FSYNC:
                self._forgotten = True
                self._write_anew(connection)  # now: whoever closes the file last makes a checkpoint without being asked
            raise
        self._pages = 0
        (size,) = connection.execute("pragma page_size").fetchone()
        kept = (pages - moved) * size
        if kept < _LARGE:
            self._warned = 0
        elif kept >= 2 * self._warned:
            self._warned = kept
            _LOG.warning("the log of %r keeps %d MiB: a reader holds it back", self._path, kept >> 20)

    def _write_anew(self, connection: sqlite3.Connection) -> None:
        """Put every page into the log once more.

        A checkpoint that a reader held back has moved pages without a sync, and SQLite counts them as moved. When the
        sync of the next one fails, a system forgets what it could not write (Rebello et al., "Can Applications Recover
        from fsync Failures?", 2020), and the one behind that would give up a log that alone still had these pages.
        """
        connection.execute("vacuum")
        self._forgotten = False
