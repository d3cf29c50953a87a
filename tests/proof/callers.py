"""Callers who pass whatever they like, in every field of the public face.

Each call is answered, or refused by a typed error; of what was refused nothing is kept; what was accepted is stored as
it was given, and no text of theirs ever becomes the name of a file.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

from attrs import define

from atone import AtoneError, Coordinator, Handle, InvalidId, TooLarge, Unencodable, WrongInput

from .shop import Approve, Manner, Order, Receipt, proof_saga

_HUGE = "x" * (10 * 1024 * 1024)
_TEXTS = (
    "", " ", "\0", "a\0b", "'", '"', "'; drop table actors; --", "../../etc/passwd", "/etc/passwd", "..", "C:\\con",
    "%00%s{}", "\ud800", "a\udfff", "x" * 201, "ü" * 200, "\u202eevil", "<script>alert(1)</script>", "\n", "\U0001f4a9",
    _HUGE, None, 5, b"bytes", float("nan"), ["list"],
)  # fmt: skip
#: the errors that say that nothing was accepted
_NOTHING_KEPT = (InvalidId, TooLarge, Unencodable, WrongInput)

_FIELDS = 15
#: how many calls a caller makes
CALLS = len(_TEXTS) * _FIELDS

Call = Callable[[], Awaitable[object]]


@define
class Caller:
    """Makes hostile calls, one by one."""

    coordinator: Coordinator
    path: Path
    made: int = 0

    async def torment(self) -> list[str]:
        """Pass every value in every field; what went wrong."""
        files = {file.name for file in self.path.parent.iterdir()}
        wrong: list[str] = []
        for value in _TEXTS:
            handle = await self._victim()
            for field, call in self._calls(handle, cast("Any", value)):
                self.made += 1
                wrong += [f"X2 typed errors: {value!r:.40} as {field}, {text}" for text in await self._made(call)]
            wrong += await self._faithful(cast("Any", value))
        stray = {file.name for file in self.path.parent.iterdir()} - files
        return wrong + [f"X3 no paths: a file that nobody made, {name}" for name in stray]

    async def _victim(self) -> Handle:
        id = f"approved-victim-{self.made}"
        return await self.coordinator.start(proof_saga, Order(id, Manner.APPROVED), id=id)

    def _calls(self, handle: Handle, value: Any) -> Iterator[tuple[str, Call]]:
        order, start = self.coordinator.order, self.coordinator.start
        yield "the id of an order", lambda: start(proof_saga, Order("x", Manner.APPROVED), id=value)
        yield "the input", lambda: start(proof_saga, value, id=f"input-{self.made}")
        letter = Order(f"approved-letter-{self.made}", Manner.APPROVED, value)
        yield "a field of the input", lambda: start(proof_saga, letter, id=letter.id)
        yield "the id of no order", lambda: order(value).status()
        yield "the receiver of a message", lambda: order(value).send(Approve("x"))
        yield "a message", lambda: handle.send(value)
        yield "the id of a message", lambda: handle.send(Receipt("never expected"), id=value)
        yield "a reason to suspend", lambda: handle.suspend(by="x", why=value)
        yield "a person who resumes", lambda: handle.resume(by=value, why="x")
        yield "the number of a park", lambda: handle.retry(value, by="x", why="x")
        yield "a result", lambda: handle.resolve(1, value, by="x", why="x")
        yield "a field of a result", lambda: handle.resolve(1, Receipt(value), by="x", why="x")
        yield "a field of a message", lambda: handle.send(Approve(value), id=f"field-{self.made}")
        yield "the id of a cancel", lambda: handle.cancel("x", by="x", id=value)
        yield "the reason of a cancel", lambda: handle.cancel(value, by="x", id=f"reason-{self.made}")

    async def _made(self, call: Call) -> list[str]:
        before = self._kept()
        try:
            await call()
        except _NOTHING_KEPT:
            return [] if self._kept() == before else ["it was refused, and something of it was kept"]
        except AtoneError:
            return []
        except Exception as error:
            return [f"it raised {error!r:.200}"]
        return []

    async def _faithful(self, value: Any) -> list[str]:
        """What was accepted as an id is found again under it."""
        try:
            status = await self.coordinator.order(value).status()
        except AtoneError:
            return []
        return [] if status.id == value else [f"X2 typed errors: {value!r:.40} was stored as {status.id!r:.40}"]

    def _kept(self) -> tuple[int, int]:
        with closing(sqlite3.connect(self.path)) as db:
            found: tuple[int, int] = db.execute(
                "select (select count(*) from actors), (select count(*) from inbox)"
            ).fetchone()
            return found
