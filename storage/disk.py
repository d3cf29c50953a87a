"""What several `MemoryStore`s share, as processes share a file: plain dictionaries, one write at a time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from attrs import define, evolve, field

from .lease import Claim, Release
from .records import Entry, HistoryRow, Lane, Lease, Message, Phase, Query, Record, Tombstone
from .writes import (
    Accept,
    Accepted,
    Advance,
    Create,
    Created,
    Done,
    Duplicate,
    Exists,
    Fenced,
    Finished,
    Full,
    NotFound,
    Purge,
    Purged,
    Quarantine,
    Renew,
    Stale,
    Unexpected,
    Unseen,
    Write,
)


@define
class Mail:
    """A message, with its answer once it has one."""

    key: int
    message: Message
    answer: str | None = None


@define
class Row:
    """An actor with its inbox and its history. The record holds neither messages nor damage."""

    record: Record
    inbox: dict[tuple[int, str], Mail] = field(factory=dict)
    history: list[HistoryRow] = field(factory=list)

    def unread(self) -> list[Message]:
        """Unconsumed messages, control lane first, in order of acceptance."""
        waiting = [mail.message for mail in self.inbox.values() if mail.answer is None]
        return sorted(waiting, key=lambda message: (message.lane, message.seq))


class Disk:
    """The state behind `MemoryStore`, which lives as long as this object."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.keys: dict[str, int] = {}
        self.mails: dict[int, Mail] = {}
        self.history: list[HistoryRow] = []
        self.tombstones: dict[str, Tombstone] = {}
        self.lease = Lease(epoch=0, holder=None, beat_at=0.0)
        self.commits = 0
        self._last_key = self._last_mail = self._last_history = 0
        # What a scan looks for, so that it need not look at every actor.
        self.active: set[int] = set()
        self.unbegun: set[int] = set()
        self.timers: dict[int, float] = {}
        self._apply: dict[type[Write[Any]], Callable[[Any], Any]] = {
            Renew: self._renew,
            Create: self._create,
            Accept: self._accept,
            Advance: self._advance,
            Quarantine: self._quarantine,
            Purge: self._purge,
            Claim: self._claim,
            Release: self._release,
        }

    def apply(self, write: Write[Any]) -> Any:
        """Carry a write out whole, or return why not. Raises `UnicodeEncodeError` for what is no text."""
        epoch = getattr(write, "epoch", None)
        if epoch is not None and epoch != self.lease.epoch and not isinstance(write, Release):
            return Fenced()
        self.commits += 1
        return self._apply[type(write)](write)

    def _create(self, write: Create) -> Created | Exists | Purged:
        if write.id in self.keys:
            return Exists(self.rows[self.keys[write.id]].record)
        if write.id in self.tombstones:
            return Purged(self.tombstones[write.id])
        _check(write.id, write.snapshot.status, *_texts(write.history))
        self._last_key = key = self._last_key + 1
        self.keys[write.id] = key
        record = Record(
            key=key,
            id=write.id,
            definition=write.definition,
            revision=write.revision,
            epoch=write.epoch or 0,
            created_at=write.at,
            updated_at=write.at,
            snapshot=write.snapshot,
            quarantine=None,
            input=write.input,
            parts=dict(write.parts),
        )
        self._put(Row(record), record, write.history)
        return Created(key)

    def _put(self, row: Row, record: Record, entries: tuple[Entry, ...]) -> None:
        """Write an actor's new record and its history."""
        key, now = record.key, record.snapshot
        row.record = record
        self.rows[key] = row
        for entry in entries:
            self._last_history += 1
            line = HistoryRow(self._last_history, key, record.revision, record.updated_at, entry)
            row.history.append(line)
            self.history.append(line)
        self._forget(key)
        if record.revision == 0:
            self.unbegun.add(key)
        if now.phase is Phase.ACTIVE:
            self.active.add(key)
        elif now.phase is Phase.IDLE and now.wake_at is not None:
            self.timers[key] = now.wake_at

    def _forget(self, key: int) -> None:
        self.unbegun.discard(key)
        self.active.discard(key)
        self.timers.pop(key, None)

    def _accept(self, write: Accept) -> Accepted | Duplicate | Finished | NotFound | Full | Unexpected:
        _check(write.actor, write.id, write.kind)
        key = self.keys.get(write.actor)
        if key is None:
            return Finished() if write.actor in self.tombstones else NotFound()
        row, place = self.rows[key], (int(write.lane), write.id)
        if row.record.definition in write.unexpected_by:
            return Unexpected()
        if place in row.inbox:
            mail = row.inbox[place]
            return Duplicate(key, mail.message.seq, mail.answer)
        if row.record.snapshot.phase is Phase.FINAL:
            return Finished()
        if sum(message.lane is write.lane for message in row.unread()) >= write.limit:
            return Full(write.limit)
        self._last_mail = seq = self._last_mail + 1
        mail = Mail(key, Message(seq, write.id, write.lane, write.kind, write.body, write.at))
        row.inbox[place] = self.mails[seq] = mail
        return Accepted(key, seq)

    def _advance(self, write: Advance) -> Done | Stale | Unseen:
        row = self.rows.get(write.key)
        answers = dict(write.consumed)
        if row is None or row.record.revision != write.revision - 1 or not self._waiting(row, answers):
            return Stale()
        left = sum(message.seq not in answers for message in row.unread())
        if write.waiting is not None and left != write.waiting:
            return Unseen()
        _check(write.snapshot.status, *answers.values(), *_texts(write.history))
        for seq, text in write.consumed:
            self.mails[seq].answer = text
        changed = evolve(
            row.record,
            revision=write.revision,
            epoch=write.epoch,
            updated_at=write.at,
            snapshot=write.snapshot,
            quarantine=None,
            parts={**row.record.parts, **dict(write.parts)} if write.parts else row.record.parts,
        )
        self._put(row, changed, write.history)
        return Done()

    def _waiting(self, row: Row, answers: dict[int, str]) -> bool:
        """Whether all these messages are this actor's, and wait."""
        mails = [self.mails.get(seq) for seq in answers]
        return all(mail is not None and mail.key == row.record.key and mail.answer is None for mail in mails)

    def _quarantine(self, write: Quarantine) -> Done | Stale:
        row = self.rows.get(write.key)
        if row is None or row.record.revision != write.revision - 1:
            return Stale()
        _check(write.status, write.reason, *_texts((write.entry,)))
        stopped = evolve(row.record.snapshot, status=write.status, phase=Phase.IDLE, wake_at=None)
        changed = evolve(
            row.record,
            revision=write.revision,
            epoch=write.epoch,
            updated_at=write.at,
            snapshot=stopped,
            quarantine=write.reason,
        )
        self._put(row, changed, (write.entry,))
        return Done()

    def _purge(self, write: Purge) -> int:
        records = (row.record for row in self.rows.values())
        ended = [record for record in records if record.snapshot.phase is Phase.FINAL]
        old = sorted((record for record in ended if record.updated_at < write.before), key=_age)[: write.limit]
        for record in old:
            row = self.rows.pop(record.key)
            del self.keys[record.id]
            self._forget(record.key)
            for mail in row.inbox.values():
                del self.mails[mail.message.seq]
            self.tombstones[record.id] = Tombstone(
                record.id, record.definition, record.snapshot.status, record.updated_at
            )
        if gone := {record.key for record in old}:
            self._last_history += 1
            mark = HistoryRow(self._last_history, 0, 0, write.before, Entry("PURGED", "", ""))
            self.history = [line for line in self.history if line.key not in {0, *gone}] + [mark]
        return len(old)

    def _renew(self, write: Renew) -> Done:
        self.lease = evolve(self.lease, beat_at=write.at)
        return Done()

    def _claim(self, write: Claim) -> Lease | None:
        before = self.lease
        if (before.epoch, before.beat_at) != (write.expected.epoch, write.expected.beat_at):
            return None
        died = before.epoch if before.holder else None
        self.lease = Lease(before.epoch + 1, write.holder, write.at, died)
        return self.lease

    def _release(self, write: Release) -> Done:
        if self.lease.epoch == write.epoch:
            self.lease = evolve(self.lease, holder=None, beat_at=write.at)
        return Done()

    # queries

    def history_of(self, key: int, after: int, limit: int) -> list[HistoryRow]:
        """An actor's history above a revision, which is never split."""
        lines = self.rows[key].history if key in self.rows else []
        first = bisect_right(lines, after, key=lambda line: line.revision)
        wanted = lines[first : first + max(limit, 1)]
        if not wanted:
            return []
        return lines[first : bisect_right(lines, wanted[-1].revision, key=lambda line: line.revision)]

    def tail(self, after: int, limit: int) -> list[tuple[int, str | None]]:
        """Which actors have new history; none where some were purged."""
        first = bisect_right(self.history, after, key=lambda line: line.seq)
        news = self.history[first : first + limit]
        return [(line.seq, self.rows[line.key].record.id if line.key else None) for line in news]

    def unread(self, lane: Lane, after: int, limit: int) -> list[tuple[int, int]]:
        """Unconsumed messages of all actors in one lane, in order of acceptance."""
        waiting = (
            (seq, mail.key)
            for seq, mail in self.mails.items()
            if seq > after and mail.answer is None and mail.message.lane is lane
        )
        return list(islice(waiting, limit))

    def matching(self, query: Query) -> Iterator[Record]:
        """The actors that a query asks for, in order of arrival."""
        for key, row in self.rows.items():
            record = row.record
            if (
                key > query.after_key
                and (query.status is None or record.snapshot.status in query.status)
                and (query.kind is None or record.definition.kind == query.kind)
                and (query.created_before is None or record.created_at < query.created_before)
            ):
                yield record


def _age(record: Record) -> float:
    return record.updated_at


def _texts(history: tuple[Entry, ...]) -> Iterator[str | None]:
    for entry in history:
        yield from (entry.event, entry.source, entry.target, entry.step, entry.error, entry.note, entry.begun)


def _check(*texts: str | None) -> None:
    """A lone surrogate is no text, and no file could hold it."""
    for text in texts:
        if text is not None and not text.isascii():
            text.encode()
