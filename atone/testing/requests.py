"""What must hold of requests as they leave; each check yields the order and what it found instead."""

from __future__ import annotations

from collections.abc import Iterator

from ..storage import Advance, Create, Created
from .evidence import Evidence
from .journal import Asked, Began, Committed, Crowded, Sender
from .trail import Trail

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


def beside_another(evidence: Evidence) -> Found:
    """Requests that left while an earlier attempt of the step might still be acting."""
    for sender, other, waited in evidence.journal.of(Crowded):
        yield sender.order, f"{sender} was at work beside {other}, which had {waited:.3g} s to end, and did not"


def _announce(event: Committed, ids: dict[int, str], announced: set[Place]) -> None:
    write, result = event
    if type(write) is Advance:
        id = ids[write.key]
    elif type(write) is Create and type(result) is Created:
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
    again = False
    for _, call, key, sender, beside in evidence.journal.of(Asked):
        if sender is None:
            continue
        again = again or sender.number > 1
        owner = evidence.owner(key)
        order, step, work = owner
        if order is None or any(_its_own(owner, one) for one in (sender, *beside)):
            continue
        if order != sender.order or not _handed_on(evidence.trails[order], key):
            yield sender.order, f"{sender} called {call} under the key of {step}/{work} of order {order}"
    if again:
        yield from _varied(evidence)


def _its_own(owner: tuple[str | None, str, str], sender: Sender) -> bool:
    """Whether an attempt may ask under a key of this order, step and work."""
    return owner[:2] == sender[1:3] and owner[2] in _KEYS[sender.work]


def _handed_on(trail: Trail, key: str) -> bool:
    """Whether a result carries a key: it was handed to later steps, as that of an authorisation to its capture."""
    results = (trail.record.snapshot.body, *trail.record.parts.values())
    return any(key.encode() in one for one in results)


def _varied(evidence: Evidence) -> Found:
    """Attempts whose only request was never answered, under a key that the attempt which succeeded did not use.

    A request that was answered need not be repeated: a step may have noted that, and have gone on with another one.
    """
    sent: dict[Sender, list[Asked]] = {}
    answered = {(asked.service, asked.call, asked.key) for asked in evidence.journal.succeeded}
    for asked in evidence.journal.of(Asked):
        if asked.sender is not None and not asked.beside:
            sent.setdefault(asked.sender, []).append(asked)
    places: dict[tuple[str, str, str, str], dict[str, Sender]] = {}
    for sender, requests in sent.items():
        if len(requests) != 1 or sender.work != "action":
            continue
        asked = requests[0]
        places.setdefault((sender.order, sender.step, asked.service, asked.call), {})[asked.key] = sender
    for (order, step, service, call), keys in places.items():
        trail = evidence.trails.get(order)
        if len(keys) < 2 or trail is None:  # noqa: PLR2004  # one key is as it should be
            continue
        done = {row.entry.attempt for row in trail.events("RETURNED", step=step)}
        lost = [key for key, one in keys.items() if one.number not in done and (service, call, key) not in answered]
        if lost and any(sender.number in done for sender in keys.values()):
            yield order, f"attempts of {step} called {call} under {' and '.join(map(repr, keys))}"
