"""Messages on their way into inboxes: all at once, and one by one those that something is odd about."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from .records import Definition
from .statements import STATEMENTS, width_of
from .values import frozen
from .writes import Accept, Accepted, Duplicate, Finished, Full, NotFound, Unexpected

Answer = Accepted | Duplicate | Finished | NotFound | Full | Unexpected


@frozen
class _Standing:
    """What has to be known of an actor before it is sent something."""

    key: int
    live: bool
    definition: Definition


@frozen
class Inbox:
    """The inboxes of all actors, within a transaction of somebody else's."""

    connection: sqlite3.Connection
    put: Callable[[str, list[Any]], int]  #: carries out a statement for many rows, and says how many came of it

    def accept(self, writes: Sequence[Accept]) -> list[Answer]:
        """The answer to each of them."""
        if len(writes) == 1:
            return [self._accept_one(writes[0])]
        standing = self._standing([write.actor for write in writes])
        waiting = self._waiting({one.key for one in standing.values()})
        execute = self.connection.execute
        last = execute(STATEMENTS["last_message"]).fetchone()
        seq = before = last[0] if last else 0
        answers: list[Answer | None] = []
        rows: list[Any] = []
        for write in writes:
            actor, lane = standing.get(write.actor), int(write.lane)
            if actor is None or not _plain(write, actor, waiting[actor.key, lane]):
                answers.append(None)
                continue
            seq += 1
            waiting[actor.key, lane] += 1
            rows += (seq, actor.key, lane, write.id, write.kind, write.body, write.at)
            answers.append(Accepted(actor.key, seq))
        # An id that was used before leaves its number unused.
        if self.put("accept", rows) * width_of("accept") != len(rows):
            new = {row[0] for row in execute(STATEMENTS["accepted_after"], {"seq": before})}
            answers = [one if isinstance(one, Accepted) and one.seq in new else None for one in answers]
        return [answer or self._accept_one(write) for answer, write in zip(answers, writes, strict=True)]

    def _standing(self, ids: Sequence[str]) -> dict[str, _Standing]:
        found = self.connection.execute(STATEMENTS["standing"], {"ids": orjson.dumps(ids).decode()})
        return {id: _Standing(key, phase > 0, Definition(*definition)) for id, key, phase, *definition in found}

    def _waiting(self, keys: set[int]) -> Counter[tuple[int, int]]:
        """How many messages wait for these actors, by lane."""
        found = self.connection.execute(STATEMENTS["waiting_in_lanes"], {"keys": orjson.dumps(list(keys)).decode()})
        return Counter({(key, lane): number for key, lane, number in found})

    def _accept_one(self, write: Accept) -> Answer:
        execute = self.connection.execute
        actor = self._standing([write.actor]).get(write.actor)
        if actor is None:
            buried = execute(STATEMENTS["tombstone"], {"id": write.actor}).fetchone()
            return NotFound() if buried is None else Finished()
        if actor.definition in write.unexpected_by:
            return Unexpected()
        parameters = {"key": actor.key, "lane": int(write.lane), "id": write.id}
        before = execute(STATEMENTS["accepted_before"], parameters).fetchone()
        if before is not None:
            return Duplicate(actor.key, *before)
        if not actor.live:
            return Finished()
        if self._waiting({actor.key})[actor.key, int(write.lane)] >= write.limit:
            return Full(write.limit)
        last = execute(STATEMENTS["last_message"]).fetchone()
        seq = last[0] + 1 if last else 1
        self.put("accept", [seq, actor.key, int(write.lane), write.id, write.kind, write.body, write.at])
        return Accepted(actor.key, seq)


def _plain(write: Accept, actor: _Standing, waiting: int) -> bool:
    """Whether nothing but an id that was used before can stand in the way."""
    return actor.live and waiting < write.limit and actor.definition not in write.unexpected_by
