"""What went wrong in SQLite, as an error of ours that says what to do about it."""

from __future__ import annotations

import errno
import sqlite3

from .errors import (
    DiskFailed,
    DiskFull,
    NotAStore,
    ReadOnlyStore,
    StoreBusy,
    StoreCorrupt,
    StoreError,
    StoreUnavailable,
    WriteRefused,
)

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_READ_ONLY = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_AUTH, sqlite3.SQLITE_PERM}
_OF_ONE_ROW = {
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_RANGE,
}


def _code(error: BaseException) -> int | None:
    """SQLite's primary result code; `None` for an error that Python raised before SQLite saw anything."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_busy(error: BaseException) -> bool:
    """Whether another connection held a lock."""
    return _code(error) in _BUSY


def is_of_one_row(error: BaseException) -> bool:
    """Whether the error lies in the row that was to be written, and says nothing about the database."""
    code = _code(error)
    return not isinstance(error, MemoryError) if code is None else code in _OF_ONE_ROW


def translate(path: str, error: BaseException, *, holder: str = "unknown", waited: float = 0.0) -> StoreError:
    """The error to raise instead of `error`."""
    if isinstance(error, StoreError):
        return error
    if isinstance(error, OSError):
        return _of_the_system(path, error)
    code, reason = _code(error), f"{error}"
    name = getattr(error, "sqlite_errorname", None)
    if name:
        reason += f", {name}"
    if code in _BUSY:
        return StoreBusy(path, holder, waited)
    if code == sqlite3.SQLITE_FULL:
        return DiskFull(path, reason)
    if code == sqlite3.SQLITE_IOERR:
        return DiskFailed(path, reason)
    if code == sqlite3.SQLITE_CORRUPT:
        return StoreCorrupt(path, reason)
    if code == sqlite3.SQLITE_NOTADB:
        return NotAStore(path, reason)
    if code in _READ_ONLY:
        return ReadOnlyStore(path, reason)
    return StoreUnavailable(f"{path!r} failed ({type(error).__name__}: {reason}): it is opened again by itself")


def of_one_row(path: str, error: BaseException) -> WriteRefused:
    """The error of a single write that SQLite refused; nothing of it is on disk."""
    # The text of the error is left out where it may hold the value: a payload never goes into a log.
    reason = f"{error}" if isinstance(error, sqlite3.Error) else type(error).__name__
    return WriteRefused(path, reason)


def _of_the_system(path: str, error: OSError) -> StoreError:
    reason = error.strerror or type(error).__name__
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(path, reason)
    if error.errno == errno.EISDIR:
        return NotAStore(path, reason)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR):
        return ReadOnlyStore(path, reason)
    return DiskFailed(path, reason)
