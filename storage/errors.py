"""Every error of this library has one root, says what happened to what, and what to do."""

from __future__ import annotations


class AtoneError(Exception):
    """Base class of every error that atone raises."""


class StoreError(AtoneError):
    """The store could not do what was asked of it."""


class StoreUnavailable(StoreError):
    """The store is busy, sick or closed; nothing is lost, and it recovers by itself.

    Whether the write that met this error is on disk is *unknown*: repeat the call
    with the same id, which is safe, once the store answers again.
    """


class WriteRefused(StoreError):
    """One write could not be carried out, and certainly nothing of it was; others are not affected."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path!r} refused one write, and nothing of it was done ({reason}): correct the value")
        self.path = path


class StoreClosed(StoreUnavailable):
    """The store was used before it was opened or after it was closed."""

    def __init__(self, path: str) -> None:
        super().__init__(f"the store {path!r} is not open: use it inside its coordinator's `async with` block")
        self.path = path


class StoreBusy(StoreUnavailable):
    """Another process held SQLite's write lock for too long. Nothing was written."""

    def __init__(self, path: str, holder: str, seconds: float) -> None:
        super().__init__(
            f"{path!r} was locked by another process for {seconds:.0f} s; the coordinator on it is {holder}: "
            "if that process is stopped or hangs inside a transaction, resume or end it"
        )
        self.path = path
        self.holder = holder
        self.seconds = seconds


class DiskFull(StoreUnavailable):
    """There is no room for the next transaction; work goes on when there is room again."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"no room to write {path!r} ({reason}): free space on that disk, and work goes on by itself")
        self.path = path


class DiskFailed(StoreUnavailable):
    """Reading or writing the file failed; the outcome of the transaction is unknown."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"input or output on {path!r} failed ({reason}): check the disk and its mount")
        self.path = path


class StoreCorrupt(StoreUnavailable):
    """SQLite found its own file damaged."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"{path!r} is damaged ({reason}): stop the service, keep a copy of the file, "
            "and restore a backup or run SQLite's `.recover` on the copy"
        )
        self.path = path


class NotAStore(StoreError):
    """The file is no SQLite database, or one that belongs to something else."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path!r} is not a store of atone ({reason}): give the path of a new or an atone file")
        self.path = path


class ReadOnlyStore(StoreError):
    """The file or its folder cannot be written by this process."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(
            f"{path!r} cannot be written ({reason}): give this process the right to write the file and its folder"
        )
        self.path = path


class NewerSchema(StoreError):
    """A newer release wrote the file; this one would not understand it, and touches nothing."""

    def __init__(self, path: str, found: int, known: int) -> None:
        super().__init__(
            f"{path!r} has schema version {found}, and this release of atone knows {known}: "
            "install the newer release of atone that last used the file"
        )
        self.path = path
        self.found = found
        self.known = known


class OlderSchema(StoreError):
    """An older release wrote the file, and it is only to be looked at; nothing is brought up to date."""

    def __init__(self, path: str, found: int, known: int) -> None:
        super().__init__(
            f"{path!r} has schema version {found}, and this release of atone reads {known}: audit it with the release "
            "that wrote it, or a copy that a coordinator of this release has opened once"
        )
        self.path = path
        self.found = found
        self.known = known


class UnsafeStore(StoreError):
    """SQLite refused the durability that every promise rests on."""

    def __init__(self, path: str, setting: str, wanted: str, found: str) -> None:
        super().__init__(
            f"{path!r} runs with {setting}={found} where {wanted} is needed: "
            "keep the file on a local disk that supports SQLite's write-ahead log"
        )
        self.path = path


class Unencodable(AtoneError):
    """A value cannot be turned into JSON; it was not accepted and nothing changed."""


class Undecodable(AtoneError):
    """Bytes are damaged or do not fit the class they should become.

    Stored ones are left as they are; a value that was to be stored is not.
    """


class TooLarge(AtoneError):
    """A payload is over the limit; it was not accepted and nothing changed."""

    def __init__(self, what: str, size: int, limit: int) -> None:
        super().__init__(f"{what} takes {size:,} bytes, and the limit is {limit:,}: store it elsewhere and pass its id")
        self.what = what
        self.size = size
        self.limit = limit


class InvalidId(AtoneError):
    """An id is empty, too long, or holds characters that cannot be stored faithfully."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"the {what} is no usable id ({reason}): use 1 to 200 printable characters")
        self.what = what
