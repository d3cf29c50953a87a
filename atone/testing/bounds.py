"""What must hold of sizes; each check yields what it found instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..sagas.access import ID_LENGTH, MAILBOX
from ..storage.codec import LIMIT
from .evidence import Evidence
from .trail import Trail

#: What a client is told of a request that was refused as it is, before anything was written.
REFUSED = frozenset({"MailboxFull", "TooLarge", "Unencodable", "Undecodable", "InvalidId"})


def too_large(trail: Trail) -> Iterator[str]:
    """Rows that are larger than what may be accepted, and inboxes that are too full."""
    record = trail.record
    bodies = [("the input", record.input), *((f"part {name}", body) for name, body in record.parts.items())]
    bodies += [(f"message {message.id}", message.body) for message in record.messages]
    for what, body in bodies:
        if len(body) > LIMIT:
            yield f"{what} takes {len(body):,} bytes, and the limit is {LIMIT:,}"
    for what, id in [("order", record.id), *(("message", message.id) for message in record.messages)]:
        if len(id) > ID_LENGTH:
            yield f"the id of a {what} has {len(id)} characters, and the limit is {ID_LENGTH}"
    if len(record.messages) > MAILBOX:
        for lane, number in Counter(message.lane.name for message in record.messages).items():
            if number > MAILBOX:
                yield f"{number} messages of lane {lane} wait, and the limit is {MAILBOX}"


def refused_and_there(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Requests that were refused as too large, or as one too many, and left something behind all the same."""
    refused = {(one.what, one.order, one.id): one.answer for one in evidence.promises if one.answer in REFUSED}
    if not refused:
        return
    for promise in evidence.promises:  # of those that came again, and were taken then, nothing can be said
        if promise.answer not in REFUSED:
            refused.pop((promise.what, promise.order, promise.id), None)
    for (what, order, id), answer in refused.items():
        trail = evidence.trails.get(order)
        if trail is not None and (what == "start" or id in {message.id for message in trail.record.messages}):
            yield order, f"{what} {id or order} was refused as {answer}, and is on disk"
