"""What must hold of answers by the time when they were given; each check yields the order and what it found instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from attrs import define, field

from ..storage import Accept, Accepted, Advance, Create, Created, Lane, Phase
from .evidence import Evidence, Promise
from .journal import Committed
from .trail import Trail

Found = Iterator[tuple[str | None, str]]

#: Answers to requests that are decided, and so stand in history.
_DECIDED = {"ACCEPTED", "ALREADY_CANCELLING", "TOO_LATE", "STALE", "NOT_APPLICABLE"}
#: Answers to messages that are on disk.
_KEPT = {"ACCEPTED", "DUPLICATE"}


@define
class Diary:
    """When what came to the disk, in events of the journal."""

    created: dict[str, int] = field(factory=dict)
    ended: dict[str, int] = field(factory=dict)
    accepted: dict[tuple[str, str], int] = field(factory=dict)  #: messages of the data lane
    waiting: dict[int, tuple[str, str]] = field(factory=dict)  #: those that nothing has consumed yet
    decided: dict[tuple[str, str, str], int] = field(factory=dict)  #: an order, a request and its first such answer

    @classmethod
    def of(cls, evidence: Evidence) -> Diary:
        """What the journal of a simulation says."""
        diary, ids = cls(), dict[int, str]()
        for place, event in enumerate(evidence.journal.events):
            if not isinstance(event, Committed):
                continue
            write, result = event
            if type(write) is Accept and write.lane is Lane.DATA and type(result) is Accepted:
                diary.accepted.setdefault((write.actor, write.id), place)
                diary.waiting[result.seq] = (write.actor, write.id)
            elif type(write) is Create and type(result) is Created:
                ids[result.key] = write.id
                diary.created[write.id] = place
                diary._moved(write.id, write, place)
            elif type(write) is Advance:
                diary._moved(ids[write.key], write, place)
                for seq, _ in write.consumed:
                    diary.waiting.pop(seq, None)
        return diary

    def _moved(self, id: str, write: Create | Advance, place: int) -> None:
        if write.snapshot.phase is Phase.FINAL:
            self.ended.setdefault(id, place)
        for entry in write.history:
            if entry.note is not None:
                self.decided.setdefault((id, entry.event, entry.note.partition(";")[0]), place)


def given_early(evidence: Evidence) -> Found:
    """Answers that were given before the disk bore them out, in the order of the journal."""
    timed = [one for one in evidence.promises if one.told is not None]
    diary = Diary.of(evidence) if timed else Diary()
    for promise in timed:
        order, answer, told = promise.order, promise.answer, promise.told or 0
        since: int | None = -1
        if promise.what == "start" and not answer:
            since = diary.created.get(order)
        elif promise.what == "send":
            since = diary.accepted.get((order, promise.id)) if answer in _KEPT else -1
        elif answer in _DECIDED:
            since = diary.decided.get((order, promise.what.upper(), answer))
        if since is None or since >= told:
            yield (
                order,
                f"{promise.what} {promise.id} was answered {answer}, and that was not on disk".replace("  ", " "),
            )


def vanished(evidence: Evidence) -> Found:
    """Messages that were accepted, were consumed by nothing, and do not wait any more."""
    if not any(one.what == "send" and one.told is not None for one in evidence.promises):
        return
    for order, id in Diary.of(evidence).waiting.values():
        trail = evidence.trails.get(order)
        if trail is not None and id not in {message.id for message in trail.record.messages}:
            yield order, f"message {id} was accepted, and neither waits nor was consumed"


def untrue(evidence: Evidence) -> Found:
    """Answers that say of the order what was not so."""
    diary = Diary.of(evidence) if any(one.told is not None for one in evidence.promises) else Diary()
    started: set[str] = set()
    for promise in evidence.promises:
        order, words = promise.order, f"{promise.what} was answered {promise.answer}"
        trail = evidence.trails.get(order)
        if promise.what == "start":
            started.add(order)
        elif promise.answer == "ALREADY_FINISHED" and not _had_ended(promise, diary, trail):
            yield order, f"{words}, and the order had not ended"
        elif promise.answer == "NOT_FOUND" and _was_there(promise, diary, started):
            yield order, f"{words}, and the order was there"
        elif promise.answer == "NEVER_EXPECTED" and _expected(promise, trail):
            yield order, f"{words}, and its saga receives {promise.kind}"


def _had_ended(promise: Promise, diary: Diary, trail: Trail | None) -> bool:
    if promise.told is not None:
        return diary.ended.get(promise.order, promise.told) < promise.told
    return trail is None or trail.final  # of one that was purged there is no trail


def _was_there(promise: Promise, diary: Diary, started: set[str]) -> bool:
    if promise.told is not None:
        return diary.created.get(promise.order, promise.asked) < promise.asked
    return promise.order in started


def _expected(promise: Promise, trail: Trail | None) -> bool:
    return trail is not None and trail.saga is not None and trail.saga.receives(promise.kind)


def undecided(evidence: Evidence) -> Found:
    """Requests that were answered, and history does not say so; each stands there for itself."""
    asked = {
        (one.order, one.what, one.answer, one.id or place) for place, one in enumerate(evidence.promises)
        if one.what not in {"start", "send"} and one.answer in _DECIDED and one.order in evidence.trails
    }  # fmt: skip
    for (order, what, answer), number in Counter(one[:3] for one in asked).items():
        rows = evidence.trails[order].events(what.upper())
        if sum((row.entry.note or "").partition(";")[0] == answer for row in rows) < number:
            yield order, f"{what} was answered {answer}, and history does not say so"
