"""Processes that live for one piece of work: forked, watched, signalled, and always waited for."""

from __future__ import annotations

import logging
import os
import select
import shutil
import signal
import tempfile
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from attrs import define

#: Seconds after which a life counts as stuck.
PATIENCE = 60.0

DONE, REFUSED, BROKEN = 0, 3, 9  #: exit codes: all well; a typed error of the store; anything else
KILLED = -signal.SIGKILL
STUCK = 256


@define(eq=False)
class Life:
    """A child process."""

    pid: int
    _code: int | None = None

    def wait(self, seconds: float = PATIENCE) -> int:
        """Its exit code, a signal as a negative number; one that does not end in time is killed and `STUCK`."""
        if self._code is None:
            ended = self.has_ended(seconds)
            if not ended:
                os.kill(self.pid, signal.SIGKILL)
            _, status = os.waitpid(self.pid, 0)
            self._code = os.waitstatus_to_exitcode(status) if ended else STUCK
        return self._code

    def has_ended(self, seconds: float = 0.0) -> bool:
        """Whether it ends within some seconds."""
        if self._code is not None:
            return True
        watcher = os.pidfd_open(self.pid)
        try:
            return bool(select.select([watcher], [], [], seconds)[0])
        finally:
            os.close(watcher)

    def signal(self, number: int) -> None:
        """Send it a signal, if it is still there. It cannot be anybody else: it was not waited for yet."""
        if self._code is None:
            os.kill(self.pid, number)


def begin(work: Callable[[], object], folder: Path) -> Life:
    """Begin a life; what it logs, and how it broke, is written into the folder.

    SIGTERM waits until the life asks for it with `heed`: it never meets one that is not ready.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    pid = os.fork()
    if pid:
        heed()
        return Life(pid)
    code = BROKEN
    try:
        logging.basicConfig(filename=folder / "log", force=True, format=f"%(asctime)s {os.getpid()} %(message)s")
        work()
        code = DONE
    except BaseException as error:
        code = REFUSED if _is_refusal(error) else BROKEN
        with (folder / "errors").open("a") as file:
            traceback.print_exception(error, file=file)
    finally:
        os._exit(code)


def heed() -> None:
    """From now on SIGTERM is heard."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _is_refusal(error: BaseException) -> bool:
    from atone import StoreError

    return isinstance(error, StoreError)


def errors(folder: Path) -> str:
    """The last line of what broke, for people."""
    path = folder / "errors"
    return path.read_text().strip().rsplit("\n", 1)[-1] if path.exists() else "it said nothing"


@contextmanager
def workplace() -> Generator[Path]:
    """A folder for one case, in memory where that is possible."""
    memory = Path("/dev/shm")
    base = str(memory) if os.access(memory, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="atone-proof-", dir=base))
    try:
        (folder / "db").mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
