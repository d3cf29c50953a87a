"""The recorder and saboteur of file I/O, from Python: built at run time, preloaded into worker processes."""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from attrs import frozen

KILL_BEFORE, KILL_MIDDLE, KILL_AFTER, CUT_SHORT = -1, -2, -3, -4

_SOURCE = Path(__file__).with_name("iolog.c")
_HEAD = struct.Struct("<IIQI")


@frozen
class Operation:
    """One line of the log: a change of a file, a sync, or a note (`n`) of the program."""

    kind: str
    file: str  #: its name in the watched folder
    offset: int  #: of a write; of a truncation, the new length
    data: bytes


@cache
def is_buildable() -> bool:
    """Whether this machine can compile the library."""
    try:
        build()
    except (subprocess.CalledProcessError, FileNotFoundError):
        return False
    return True


@cache
def build() -> Path:
    """The library to preload, compiled once for each run, where nobody else can put another in its place."""
    command = shutil.which("cc") or shutil.which("gcc")
    if command is None:
        raise FileNotFoundError("cc")
    folder = Path(tempfile.mkdtemp(prefix="atone-iolog-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    library = folder / "iolog.so"
    arguments = ["-O2", "-shared", "-fPIC", str(_SOURCE), "-o", str(library), "-ldl"]
    subprocess.run([command, *arguments], check=True, capture_output=True)
    return library


@cache
def _library() -> ctypes.CDLL | None:
    """The preloaded library, if this process was started with it."""
    loaded = ctypes.CDLL(None)
    return loaded if hasattr(loaded, "iolog_watch") else None


def _loaded() -> ctypes.CDLL:
    library = _library()
    assert library is not None, "this process was started without the library: see `campaign.py`"
    return library


def watch(folder: Path, log: Path | None = None) -> None:
    """Count, and with `log` record, the operations on files of a folder from now on."""
    _loaded().iolog_watch(os.fsencode(folder) + b"/", None if log is None else os.fsencode(log))


def fail(kind: str, number: int, fate: int) -> None:
    """Do something (an errno, or a constant above) to one operation."""
    _loaded().iolog_fail(ctypes.c_char(kind.encode()), ctypes.c_long(number), ctypes.c_int(fate))


def fired() -> bool:
    """Whether that operation has come."""
    return bool(_loaded().iolog_fired())


def count(kind: str) -> int:
    """How many operations of a kind there were."""
    return int(_loaded().iolog_count(ctypes.c_char(kind.encode())))


def note(text: str) -> None:
    """Put a line between the operations, if they are recorded."""
    library = _library()
    if library is not None:
        data = text.encode()
        library.iolog_note(data, len(data))


def read(log: Path) -> Iterator[Operation]:
    """What was recorded, in its order."""
    raw, names, place = log.read_bytes(), {0: ""}, 0
    while place < len(raw):
        kind, file, offset, length = _HEAD.unpack_from(raw, place)
        place += _HEAD.size
        data = raw[place : place + length]
        place += length
        if chr(kind) in "ode":
            names[file] = Path(os.fsdecode(data)).name
        yield Operation(chr(kind), names.get(file, ""), offset, data)
