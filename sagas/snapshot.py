"""A progress as bytes, and back. Written at every transition, so it is compact and made by hand.

A slot is a list in the order of the fields below, as far as there is something to say; one that was never touched is
`null`. What is empty in the rest is left out: these bytes are most of what goes to the disk. Results come first. They
are encoded already and are put in as they are; those over `INLINE` bytes are kept in a row of their own, written once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import orjson

from ..storage import Record, Undecodable
from .progress import (
    UNTOUCHED,
    CauseKind,
    Counts,
    Failure,
    Park,
    ParkReason,
    Progress,
    Reason,
    Slot,
    Status,
    StepStatus,
    Work,
)

FORMAT = 1
#: Bytes: a larger result has a row of its own.
INLINE = 1024

#: What steps returned and messages said, encoded; one for each slot.
Results = tuple[bytes | None, ...]


def restore(record: Record, slots: int) -> tuple[Progress, Results]:
    """The progress of an order on disk, with its quarantine as a park, and its results; raises `Undecodable`."""
    if record.damage is not None:
        raise Undecodable(record.damage)
    begun = bool(record.snapshot.body)  # an order may be quarantined before it was begun
    progress, results = (
        decode(record.snapshot.body, record.parts) if begun else (Progress([UNTOUCHED] * slots), (None,) * slots)
    )
    if len(progress.slots) != slots or len(results) != slots:
        msg = f"the snapshot has {len(progress.slots)} steps and the saga {slots}: register the saga it was made by"
        raise Undecodable(msg)
    if progress.reason is not None and not (progress.reason.slot or 0) < slots:
        msg = f"the snapshot names step {progress.reason.slot} of {slots}: restore it from a backup"
        raise Undecodable(msg)
    if record.quarantine is not None and progress.park is None:
        progress.parks += 1
        progress.park = Park(progress.parks, ParkReason.CRASH_LOOP, None, record.quarantine)
    return progress, results


def complete(packed: bytes, results: Results) -> bytes:
    """The whole snapshot, from what `pack` returned."""
    found = [b"null" if one is None else b"[" + one + b"]" if len(one) <= INLINE else b'"part"' for one in results]
    return b'{"results":[' + b",".join(found) + b"]," + packed[1:]


def pack(progress: Progress) -> bytes:
    """All but the results: the same bytes for every order that stands there."""
    reason, park = progress.reason, progress.park
    document = {
        "format": FORMAT,
        "slots": [_pack(slot) for slot in progress.slots],
        "cursor": progress.cursor,
        "begun": progress.begun or None,
        "reason": reason and (reason.kind, reason.text, reason.by, reason.slot),
        "park": park and (park.number, park.reason, park.step, park.error),
        "parks": progress.parks or None,
        "suspended": progress.suspended or None,
        "deadline": progress.deadline,
        "deaths": progress.deaths or None,
        "unpaid": progress.unpaid or None,
        "final": progress.final,
    }
    return orjson.dumps({name: value for name, value in document.items() if value is not None})


def decode(body: bytes, parts: Mapping[str, bytes]) -> tuple[Progress, Results]:
    """The progress and the results of these bytes; raises `Undecodable` for anything else."""
    try:
        document = orjson.loads(body)
        if document["format"] != FORMAT:
            found = document["format"]
            msg = f"the snapshot has format {found!r}, and this release reads {FORMAT}: install a newer one"
            raise Undecodable(msg)
        final = document.get("final")
        progress = Progress(
            slots=[_unpack(packed) for packed in document["slots"]],
            cursor=_number(document["cursor"]),
            begun=_flag(document.get("begun", False)),
            reason=_reason(document.get("reason")),
            park=_park(document.get("park")),
            parks=_number(document.get("parks", 0)),
            suspended=_flag(document.get("suspended", False)),
            deadline=_time(document.get("deadline")),
            deaths=_number(document.get("deaths", 0)),
            unpaid=_flag(document.get("unpaid", False)),
            final=None if final is None else Status(final),
        )
        return progress, tuple([_result(str(index), one, parts) for index, one in enumerate(document["results"])])
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        msg = f"the snapshot is not one of an order ({type(error).__name__}): restore it from a backup"
        raise Undecodable(msg) from error


def _pack(slot: Slot) -> list[Any] | None:
    if slot is UNTOUCHED or (slot.status is StepStatus.PENDING and slot.work is None and not slot.sent[0]):
        return None
    error, undo = slot.error, slot.undo_error
    packed = [
        slot.status, slot.sent, slot.spent, slot.doubt, slot.running, slot.work, slot.due, slot.lingers,
        error and (error.kind, error.text), undo and (undo.kind, undo.text), slot.kind,
    ]  # fmt: skip
    while packed[-1] is None or packed[-1] is False:
        packed.pop()
    return packed


#: What a slot ends with where nothing is said: the last fields of most slots are as empty as these.
_USUAL: tuple[Any, ...] = (None, None, None, False, False, None, None, None, None, None, None)


def _unpack(packed: list[Any] | None) -> Slot:
    if packed is None:
        return UNTOUCHED
    status, sent, spent, doubt, running, work, due, lingers, error, undo, kind = [*packed, *_USUAL[len(packed) :]]
    return Slot(
        StepStatus(status), _flag(doubt), None if work is None else Work(work), _flag(running), _time(due),
        _time(lingers), _counts(sent), _counts(spent), _failure(error), _failure(undo), _text(kind),
    )  # fmt: skip


def _reason(packed: list[Any] | None) -> Reason | None:
    if packed is None:
        return None
    kind, text, by, slot = packed
    return Reason(CauseKind(kind), _text(text), _text(by), None if slot is None else _number(slot))


def _park(packed: list[Any] | None) -> Park | None:
    if packed is None:
        return None
    number, reason, step, error = packed
    return Park(_number(number), ParkReason(reason), _text(step), _text(error))


def _failure(packed: list[Any] | None) -> Failure | None:
    if packed is None:
        return None
    kind, text = packed
    return Failure(_text(kind) or "", _text(text) or "")


def _result(name: str, packed: Any, parts: Mapping[str, bytes]) -> bytes | None:
    if packed is None:
        return None
    return parts[name] if packed == "part" else orjson.dumps(packed[0])


def _counts(packed: list[Any]) -> Counts:
    action, probe, compensation = map(_number, packed)
    return action, probe, compensation


# What stands where something else should be must be found here: a progress of wrong types would be found by whoever
# looks at it first, and that may be the recovery of all orders.


def _number(value: object) -> int:
    if type(value) is not int or value < 0:
        raise TypeError
    return value


def _flag(value: object) -> bool:
    if type(value) is not bool:
        raise TypeError
    return value


def _time(value: object) -> float | None:
    if value is not None and type(value) not in {int, float}:
        raise TypeError
    return cast("float | None", value)


def _text(value: object) -> str | None:
    if value is not None and type(value) is not str:
        raise TypeError
    return value
