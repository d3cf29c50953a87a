"""Which process this is, and whether another one still lives."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from .records import Holder

_PROC = Path("/proc")
_STARTED = 19  # of the fields behind the name; `man proc` counts from the first and calls it 22


def this_process(instance: str) -> Holder:
    """Name this process, so that another can find out whether it is gone."""
    state = _state(os.getpid())
    return Holder(
        instance=instance,
        machine=_machine(),
        boot=_boot(),
        namespace=_namespace(),
        pid=os.getpid(),
        started=state[1] if state else "",
    )


def is_gone(holder: Holder) -> bool | None:
    """True for a process that is certainly dead, False for a living one, `None` where that cannot be told."""
    here = this_process(holder.instance)
    if not holder.machine or holder.machine != here.machine or not holder.boot or not here.boot:
        return None
    if holder.boot != here.boot:
        return True
    if not here.namespace or holder.namespace != here.namespace or not holder.started:
        return None
    state = _state(holder.pid)
    if state is None:  # no such process, or one that /proc hides from us
        return None if _exists(holder.pid) else True
    return state[0] in "ZX" or state[1] != holder.started


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _machine() -> str:
    return _text(Path("/etc/machine-id")) or _text(Path("/var/lib/dbus/machine-id")) or socket.gethostname()


def _boot() -> str:
    return _text(_PROC / "sys/kernel/random/boot_id")


def _namespace() -> str:
    try:
        return str((_PROC / "self/ns/pid").readlink())
    except OSError:
        return ""


def _state(pid: int) -> tuple[str, str] | None:
    """A process's state letter and its start in clock ticks since boot; `None` if it cannot be seen."""
    # The name in brackets may hold anything, brackets and blanks too; what follows the last bracket is safe.
    fields = _text(_PROC / str(pid) / "stat").rpartition(")")[2].split()
    return (fields[0], fields[_STARTED]) if len(fields) > _STARTED else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
