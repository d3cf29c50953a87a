"""One batch of writes, one transaction: all together if they can be, otherwise each on its own savepoint."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from attrs import evolve

from .changes import Changes, Refused
from .failure import is_of_one_row, of_one_row
from .lease import Release
from .statements import STATEMENTS
from .writes import Advance, Fenced, Write


class Applier:
    """Applies batches on the connection's thread. What it returns is certain; what it raises is not."""

    def __init__(self, path: str, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._changes = Changes(connection)

    def commit(self, writes: Sequence[Write[Any]]) -> list[Any]:
        """The result of each write, once all of them are on disk."""
        try:
            return self._transaction(self._together, writes)
        except Exception as error:
            if not isinstance(error, Refused) and not is_of_one_row(error):
                raise
        return self._transaction(self._apart, writes)

    def _transaction(
        self, apply: Callable[[Sequence[Write[Any]]], list[Any]], writes: Sequence[Write[Any]]
    ) -> list[Any]:
        self._connection.execute("begin immediate")
        try:
            results = apply(writes)
            self._connection.execute("commit")
        except BaseException:
            self._changes.forget()
            if self._connection.in_transaction:
                self._connection.execute("rollback")
            raise
        return results

    def _together(self, writes: Sequence[Write[Any]]) -> list[Any]:
        """Kind by kind, with one call of SQLite for many rows; raises if any write needs a closer look."""
        results: list[Any] = [None] * len(writes)
        for kind, places in self._sorted(writes, results).items():
            chosen = [writes[place] for place in places]
            for place, result in zip(places, self._changes.by_kind[kind](chosen), strict=True):
                results[place] = result
        return results

    def _apart(self, writes: Sequence[Write[Any]]) -> list[Any]:
        """One by one, each with its own exact result; they still share the commit."""
        results: list[Any] = [None] * len(writes)
        for kind, places in self._sorted(writes, results).items():
            for place in places:
                write = writes[place]
                if isinstance(write, Advance) and write.in_place:
                    write = evolve(write, in_place=False)  # what the actor knows may be wrong, and is no guard
                results[place] = self._alone(self._changes.by_kind[kind], write)
        return results

    def _alone(self, apply: Callable[[Any], list[Any]], write: Write[Any]) -> Any:
        execute = self._connection.execute
        execute("savepoint alone")
        try:
            (result,) = apply([write])
        except Exception as error:
            if isinstance(error, Refused):
                result = error.answer
            elif is_of_one_row(error):
                result = of_one_row(self._path, error)
            else:
                raise
            self._changes.forget()
            execute("rollback to alone")
        execute("release alone")
        return result

    def _sorted(self, writes: Sequence[Write[Any]], results: list[Any]) -> dict[type[Write[Any]], list[int]]:
        """The places of the writes by kind, in the order of application. Another epoch is answered here."""
        (epoch,) = self._connection.execute(STATEMENTS["epoch"]).fetchone()
        places: dict[type[Write[Any]], list[int]] = {kind: [] for kind in self._changes.by_kind}
        for place, write in enumerate(writes):
            if getattr(write, "epoch", None) in (None, epoch) or type(write) is Release:
                places[type(write)].append(place)
            else:
                results[place] = Fenced()
        return {kind: chosen for kind, chosen in places.items() if chosen}
