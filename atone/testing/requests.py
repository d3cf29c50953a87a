"""What must hold of requests as they leave; each check yields the order and what it found instead."""

from __future__ import annotations

from collections.abc import Iterator

from ..storage import Advance, Create, Created, Done
from .evidence import Evidence
from .journal import Asked, Began, Committed, Sender

Found = Iterator[tuple[str | None, str]]
Place = tuple[str, str, str, int]

#: What a kind of work may put in front of a participant: its own key, and that of the action that it is about.
_KEYS = {"action": {"action"}, "probe": {"action", "probe"}, "compensation": {"action", "compensation"}}


def sent_early(evidence: Evidence) -> Found:
    """Attempts that began, and requests that left, before their intent was on disk."""
    ids: dict[int, str] = {}
    announced: set[Place] = set()
    for event in evidence.journal.events:
        if isinstance(event, Committed):
            _announce(event, ids, announced)
        elif isinstance(event, Began):
            if event.sender[1:] not in announced:
                yield event.sender.order, f"{event.sender} began, and its intent is not on disk"
        elif isinstance(event, Asked) and event.sender is None:
            order, step, work = evidence.owner(event.key)
            works = _KEYS["compensation"] | _KEYS["probe"] if work == "action" else {work}
            if order is not None and not any(one[:2] == (order, step) and one[2] in works for one in announced):
                yield order, f"{event.call} of step {step} was called, and no intent of it is on disk"


def _announce(event: Committed, ids: dict[int, str], announced: set[Place]) -> None:
    write, result = event
    if isinstance(write, Advance):
        if not isinstance(result, Done):
            return
        id = ids[write.key]
    elif isinstance(write, Create) and isinstance(result, Created):
        ids[result.key] = id = write.id
    else:
        return
    for entry in write.history:
        if entry.begun is not None:
            for token in entry.begun.split():
                step, work, number = token.split("/")
                announced.add((id, step, work, int(number)))


def under_strange_keys(evidence: Evidence) -> Found:
    """Requests under another step's key, and attempts of one step under different ones."""
    sent: dict[Sender, list[Asked]] = {}
    for event in evidence.journal.of(Asked):
        if event.sender is None:
            continue
        sender = event.sender
        sent.setdefault(sender, []).append(event)
        order, step, work = evidence.owner(event.key)
        if order is not None and ((order, step) != (sender.order, sender.step) or work not in _KEYS[sender.work]):
            yield sender.order, f"{sender} called {event.call} under the key of {step}/{work} of order {order}"
    yield from _varied(evidence, sent)


def _varied(evidence: Evidence, sent: dict[Sender, list[Asked]]) -> Found:
    """Attempts whose only request differs in its key from that of the attempt which succeeded."""
    alone = {sender: asked[0] for sender, asked in sent.items() if len(asked) == 1 and sender.work == "action"}
    places: dict[tuple[str, str, str, str], dict[str, Sender]] = {}
    for sender, asked in alone.items():
        places.setdefault((sender.order, sender.step, asked.service, asked.call), {})[asked.key] = sender
    for (order, step, _, call), keys in places.items():
        trail = evidence.trails.get(order)
        if len(keys) < 2 or trail is None:  # noqa: PLR2004  # one key is as it should be
            continue
        done = {row.entry.attempt for row in trail.events("RETURNED", step=step)}
        if any(sender.number in done for sender in keys.values()):
            yield order, f"attempts of {step} called {call} under {' and '.join(map(repr, keys))}"
