"""What a simulation sees on its way, made by hand: each check is shown something that breaks it."""

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve

from atone import DiskFailed, Status
from atone.sagas.context import idempotency_key
from atone.sagas.progress import Progress, Slot, StepStatus, Work
from atone.sagas.snapshot import complete, pack
from atone.storage import (
    Accept,
    Accepted,
    Advance,
    Create,
    Created,
    Definition,
    Done,
    Entry,
    Fenced,
    Holder,
    Lane,
    Lease,
    Phase,
    Renew,
    Snapshot,
    Write,
    WriteRefused,
)
from atone.storage.lease import Claim
from atone.testing.evidence import Evidence
from atone.testing.journal import (
    Asked,
    Began,
    Crowded,
    Differed,
    Event,
    GivenUp,
    Journal,
    Loaded,
    Moved,
    Reopened,
    Sender,
)
from atone.testing.oracle import judge
from tests.testing.orders import BEGUN, BEST, CHARGED, RESERVED, RUNNING, Line, names, order
from tests.testing.shop import shop

ME, OTHER = "life-1.1", "life-2.1"
RESERVE = Sender(ME, "1", "reserve", "action", 1)
WHERE = Definition(shop.name, shop.version, shop.fingerprint)
NOWHERE = Snapshot(RUNNING, Phase.ACTIVE, b"")
BROKEN = DiskFailed("orders.db", "it was broken")


def key(step: str, work: str = "action", order: str = "1") -> str:
    """The key under which a step asks."""
    return idempotency_key("shop", order, step, work)


def entry(event: str = "RETURNED", begun: str | None = None, step: str | None = None) -> Entry:
    """A line of history."""
    return Entry(event, RUNNING, RUNNING, step, begun=begun)


def create(id: str = "1", epoch: int | None = 1, snapshot: Snapshot = NOWHERE) -> Create:
    """An order is begun."""
    return Create(id, WHERE, b"", 0.0, snapshot, (entry("BEGUN", "reserve/action/1"),), 1, epoch)


def advance(*history: Entry, at: float = 0.0, epoch: int = 1, **more: Any) -> Advance:
    """And goes on."""
    return Advance(1, 2, epoch, at, NOWHERE, history, **more)


def judged(journal: Journal, lines: Sequence[Line] = BEST) -> set[str]:
    """The checks that are broken."""
    return names(judge(Evidence([order(lines)], [shop], journal=journal)))


def seen(*events: Event, begun: bool = True, answered: Sequence[Asked] = ()) -> set[str]:
    """The checks that break where this was seen, behind the commit that begins the order."""
    journal = Journal()
    if begun:
        journal.committed(Claim(Holder("me", "", "", "", 1, ""), Lease(0, None, 0.0), 0.0), Lease(1, None, 0.0))
        journal.committed(create(), Created(1))
    journal.events += events
    journal.succeeded.update(answered)
    return judged(journal)


def committed(*writes: tuple[Write[Any], object]) -> set[str]:
    """The checks that such commits break."""
    journal = Journal()
    for write, result in writes:
        journal.committed(write, result)
    return judged(journal)


def test_an_attempt_that_began_before_its_intent_was_on_disk() -> None:
    """Its order, its step, its work and its number: all of it."""
    assert seen(Began(0.0, RESERVE), Asked("Stock", "reserve", key("reserve"), RESERVE)) == set()
    assert seen(Began(0.0, RESERVE), begun=False) == {"S1 intent first"}
    for other in ({"number": 2}, {"work": "compensation"}, {"step": "charge"}, {"order": "2"}):
        assert seen(Began(0.0, RESERVE._replace(**other))) == {"S1 intent first"}


def test_a_request_of_nobody_knows_whom() -> None:
    """Some attempt of its step has to be on disk."""
    assert seen(Asked("Stock", "reserve", key("reserve"), None)) == set()
    assert seen(Asked("Payments", "charge", key("charge"), None)) == {"S1 intent first"}


def test_a_request_beside_an_attempt_that_has_not_had_its_grace() -> None:
    """Whatever history says of it."""
    asked = Crowded(RESERVE._replace(number=2), RESERVE, 0.5)
    assert seen(Began(0.0, RESERVE), asked) == {"S1 one at a time"}


def test_a_commit_that_was_refused_announces_nothing() -> None:
    """The attempt that it would have announced must not begin."""
    journal = Journal()
    journal.committed(create(), Created(1))
    journal.committed(advance(entry(begun="charge/action/1")), Fenced())
    journal.events.append(Began(0.0, RESERVE._replace(step="charge")))
    assert "S1 intent first" in judged(journal)


def test_the_key_of_somebody_else() -> None:
    """Of another step, another order, or another kind of work."""
    undo = Sender(ME, "1", "reserve", "compensation", 1)
    assert seen(Asked("Stock", "release", key("reserve"), undo)) == set()
    assert seen(Asked("Stock", "reserve", key("charge"), RESERVE)) == {"S5 stable keys"}
    assert seen(Asked("Stock", "reserve", key("reserve", "compensation"), RESERVE)) == {"S5 stable keys"}


def test_the_key_of_another_attempt_in_a_worker_that_serves_both() -> None:
    """Whoever is under way may have sent it, and nobody else."""
    beside = RESERVE._replace(step="charge")
    mixed = Asked("Payments", "charge", key("charge"), RESERVE, (beside,))
    assert seen(mixed) == set()
    assert seen(mixed._replace(key=key("ship"))) == {"S5 stable keys"}
    assert seen(mixed._replace(beside=(beside._replace(order="2"),))) == {"S5 stable keys"}


def test_a_key_that_differs_from_attempt_to_attempt() -> None:
    """The only request of the attempt that returned, and the only one of another."""
    first, other = (Asked("Stock", "reserve", f"{key('reserve')}-{n}", RESERVE._replace(number=n)) for n in (1, 2))
    same = other._replace(key=first.key)
    assert seen(first, same) == set()
    assert seen(first, other) == {"S5 stable keys"}
    assert seen(first, other, answered=[other]) == set()  # which need not be asked again
    assert seen(first, other, other._replace(key=first.key)) == set()  # it asked twice: nobody knows what for


def test_a_commit_of_an_owner_that_was_replaced() -> None:
    """The lease was somebody else's when it came to the disk."""
    claim = Claim(Holder("me", "", "", "", 1, ""), Lease(0, None, 0.0), 0.0)
    mine, yours = (claim, Lease(1, None, 0.0)), (claim, Lease(2, None, 0.0))
    assert committed(mine, (create(), Created(1)), (advance(), Done()), yours) == set()
    assert committed(mine, (create(), Created(1)), yours, (advance(), Fenced())) == set()
    assert committed(mine, (create(), Created(1)), yours, (advance(), Done())) == {"S6 one writer"}


def trouble(*events: Event, write: Write[Any] = Renew(1, 0.0), error: object = BROKEN) -> set[str]:  # noqa: B008
    """The checks that break behind a write that failed."""
    journal = Journal()
    journal.committed(create(), Created(1))
    journal.committed(advance(entry(begun="charge/action/1")), Done())
    journal.events.append(Loaded(ME, (1,), 1))
    journal.answered(ME, write, error)
    journal.events += events
    return judged(journal) - {"S6 one writer"}  # nobody has claimed anything here


def test_an_order_that_is_moved_on_from_memory_after_a_failed_commit() -> None:
    """It has to be read again, from behind the failure on."""
    assert trouble(Moved(OTHER, 1)) == set()
    assert trouble(Moved(ME, 1), error=WriteRefused("orders.db", "too big")) == set()
    assert trouble(Moved(ME, 1), write=create(epoch=None)) == set()
    assert trouble(Loaded(ME, (1,), 5), Moved(ME, 1)) == set()
    for events in ([], [Loaded(ME, (1,), 3)], [Loaded(ME, (2,), 5)], [Loaded(OTHER, (1,), 5)]):
        for write in (Renew(1, 0.0), advance(), create()):
            assert trouble(*events, Moved(ME, 1), write=write) == {"S9 nothing on the unknown"}


def test_a_step_that_begins_on_a_store_in_trouble() -> None:
    """Until its process has opened the store again."""
    charge = Began(0.0, RESERVE._replace(step="charge"))
    assert trouble(charge) == {"S10 nothing begins while the store is sick"}
    assert trouble(Reopened(OTHER), charge) == {"S10 nothing begins while the store is sick"}
    assert trouble(Reopened(ME), charge) == set()
    assert trouble(charge._replace(sender=charge.sender._replace(process=OTHER))) == set()


def test_a_message_that_is_taken_twice() -> None:
    """Accepted again under its id, or consumed by a second commit."""
    accept = Accept("1", "m", Lane.DATA, "Approve", b"", 0.0, 10)
    begun = (create(epoch=None), Created(1))
    taken = (advance(consumed=((7, "CONSUMED"),), epoch=0), Done())
    assert committed(begun, (accept, Accepted(1, 7)), taken) == set()
    assert committed(begun, (accept, Accepted(1, 7)), (evolve(accept, lane=Lane.CONTROL), Accepted(1, 8))) == set()
    assert committed(begun, (accept, Accepted(1, 7)), (accept, Accepted(1, 8))) == {"S11 once"}
    assert committed(begun, (accept, Accepted(1, 7)), taken, taken) == {"S11 once"}


def test_an_order_that_nobody_has_started() -> None:
    """Somebody has started one, and there is another."""
    assert judged(Journal(expected={"1", "2"})) == set()
    assert judged(Journal(expected={"2"})) == {"S11 once"}


def waiting(slot: int, **fields: Any) -> Snapshot:
    """A snapshot with a timer at 100."""
    slots = [Slot(), Slot(), Slot()]
    slots[slot] = Slot(StepStatus.IN_DOUBT, **{"work": Work.ACTION, "due": 100.0, "sent": (1, 0, 0), **fields})
    return Snapshot(RUNNING, Phase.IDLE, complete(pack(Progress(slots, begun=True)), (None,) * 3), 100.0)


def timed(*history: Entry, at: float, **fields: Any) -> set[str]:
    """The checks that such a commit breaks where a timer of `charge` was set to 100."""
    return committed(
        (create(epoch=None, snapshot=waiting(1, **fields)), Created(1)), (advance(*history, at=at, epoch=0), Done())
    )


@pytest.mark.parametrize(
    "line", [entry("DUE"), entry("DUE", "charge/action/2"), entry("TIMEOUT", step="charge")]
)  # fmt: skip
def test_what_a_timer_was_set_for_and_comes_too_early(line: Entry) -> None:
    """By the clock that stands in the commit."""
    assert timed(line, at=100.0) == set()
    assert timed(line, at=99.9) == {"S13 time"}


def test_an_attempt_that_does_not_wait_for_the_one_before() -> None:
    """One that timed out may still be running until then, unless it is known to have ended."""
    line, late = entry("CANCEL", "charge/compensation/1"), entry("LATE", "charge/action/2")
    assert timed(line, at=99.0, due=90.0, lingers=100.0) == {"S13 time"}
    assert timed(late, at=99.0, due=90.0, lingers=100.0) == set()
    assert timed(line, at=99.0) == set()
    assert timed(entry("RETRY", "charge/action/2"), at=99.0) == set()


def test_a_deadline_that_comes_too_early() -> None:
    """The whole order has one as well."""
    slots = [Slot(), Slot(), Slot()]
    body = complete(pack(Progress(slots, begun=True, deadline=100.0)), (None,) * 3)
    begun = (create(epoch=None, snapshot=Snapshot(RUNNING, Phase.IDLE, body, 100.0)), Created(1))
    assert committed(begun, (advance(entry("DEADLINE"), at=100.0, epoch=0), Done())) == set()
    assert committed(begun, (advance(entry("DEADLINE"), at=99.0, epoch=0), Done())) == {"S13 time"}


def test_an_attempt_that_was_given_up_and_counts_all_the_same() -> None:
    """Its answer came when nobody waited for it any more."""
    journal = Journal()
    journal.events.append(GivenUp(RESERVE))
    assert judged(journal) == {"S14 a timeout is doubt"}
    doubt: Line = ("IN_DOUBT", "reserve", 1, RUNNING, RUNNING, "reserve/action/2")
    again: Line = ("RETURNED", "reserve", 2, RUNNING, RUNNING, "charge/action/1")
    assert judged(journal, [BEGUN, doubt, again, CHARGED]) == set()
    assert judged(journal, [BEGUN, (*RESERVED[:4], Status.RUNNING, None)]) == {"S14 a timeout is doubt"}


def test_a_decision_that_came_out_otherwise() -> None:
    """It was noticed while it was made."""
    assert seen(Differed("1", "Due: decided this, and once more that")) == {"S18 pure decisions"}


def test_a_step_that_begins_when_its_process_leaves() -> None:
    """In the same moment it may not have heard of it yet."""
    times = iter((5.0,))
    journal = Journal(lambda: next(times))
    journal.committed(create(epoch=None), Created(1))
    journal.left(ME)
    journal.events.append(Began(5.0, RESERVE))
    assert judged(journal) == set()
    journal.events.append(Began(5.1, RESERVE))
    assert judged(journal) == {"S20 shutdown is no cancel"}
