"""The SQL of `schema.sql`, by name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from sqlite3 import complete_statement
from types import MappingProxyType

_MARK = "-- name: "


def parse(text: str) -> Mapping[str, str]:
    """Split a file of named blocks; what stands before the first name belongs to no block."""
    blocks = (block.partition("\n") for block in ("\n" + text).split("\n" + _MARK)[1:])
    return MappingProxyType({name.strip(): sql.strip() for name, _, sql in blocks})


def split(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit the transaction it runs in."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if complete_statement(statement):
            yield statement
            statement = ""


@cache
def for_rows(name: str, count: int) -> str:
    """A statement for one row of `values`, made one for many.

    Python holds its lock between the rows of `executemany` and gives it away inside each, so that a busy event
    loop and a writing thread hand it to and fro a thousand times a commit. One statement for many rows runs
    without the lock from its first row to its last.
    """
    row = _row(name)
    return STATEMENTS[name].replace(row, ", ".join([row] * count))


@cache
def width_of(name: str) -> int:
    """How many values a row of such a statement takes."""
    return _row(name).count("?")


def _row(name: str) -> str:
    """The one row of `values` in a statement."""
    (row,) = re.findall(r"(?<=values )\([^()]*\)", STATEMENTS[name])
    return str(row)


# By its path, and not by `importlib.resources`: that brings archives, compression and temporary folders along, and
# makes a tenth of the whole import.
STATEMENTS = parse(Path(__file__).with_name("schema.sql").read_text(encoding="utf-8"))
