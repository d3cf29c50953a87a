"""What clients are told, by hand: each check is shown an answer that was not true, or was given too early."""

from collections.abc import Sequence
from typing import Any

import pytest
from attrs import evolve

from atone.storage import Accept, Accepted, Advance, Create, Created, Definition, Done, Entry, Lane, Phase, Snapshot
from atone.testing.evidence import Evidence, Promise
from atone.testing.journal import Journal
from atone.testing.oracle import judge
from tests.testing.orders import BACK, BEST, GOOD, RUNNING, Line, names, order
from tests.testing.shop import patient, shop

NOWHERE, THE_END = Snapshot(RUNNING, Phase.ACTIVE, b""), Snapshot("COMPLETED", Phase.FINAL, b"")
WHERE = Definition(shop.name, shop.version, shop.fingerprint)
BEGINS = Create("1", WHERE, b"", 0.0, NOWHERE, (Entry("BEGUN", RUNNING, RUNNING, begun="reserve/action/1"),), 1, 1)
UNUSED = ((1, "UNUSED"),)


def told(*promises: Promise, lines: Sequence[Line] = BEST[:2], **options: Any) -> set[str]:
    """The checks that such answers break, where nobody has looked when they were given."""
    return names(judge(Evidence([order(lines, **options)], [shop], (), promises)))


def heard(  # noqa: PLR0917
    what: str, answer: str, told: int, asked: int = 0, id: str = "m", consumed: tuple[tuple[int, str], ...] = UNUSED
) -> set[str]:
    """The checks that an answer breaks which was given after so many events of this journal."""
    moves = [Entry("CANCEL", RUNNING, RUNNING, note="TOO_LATE; by a: b")]
    journal = Journal()
    for write, result in (
        (BEGINS, Created(1)),
        (Accept("1", "m", Lane.DATA, "Approve", b"", 0.0, 9), Accepted(1, 1)),
        (Advance(1, 2, 1, 0.0, NOWHERE, tuple(moves)), Done()),
        (Advance(1, 3, 1, 0.0, THE_END, (), consumed), Done()),
    ):
        journal.committed(write, result)
    late: Line = ("CANCEL", None, None, RUNNING, RUNNING, None)
    lines = [*BEST[:3], late, BEST[3]]
    answer_ = Promise(what, "1", id, answer, "", asked, told)
    evidence = Evidence([order(lines, notes={4: "TOO_LATE; by a: b"})], [shop], (), [answer_], journal=journal)
    return names(judge(evidence)) - {"S6 one writer"}  # nobody has claimed anything here


@pytest.mark.parametrize("what", ["send", "cancel", "suspend"])
def test_finished_is_said_only_of_an_order_that_has_ended(what: str) -> None:
    """It has ended for good when the answer is given, and not a moment later."""
    finished = Promise(what, "1", "m", "ALREADY_FINISHED")
    assert told(finished, lines=BEST) == set()
    assert told(finished) == {"S12 truthful answers"}
    assert heard(what, "ALREADY_FINISHED", told=4) == set()
    assert heard(what, "ALREADY_FINISHED", told=3) == {"S12 truthful answers"}


def test_nobody_is_told_that_there_is_no_order_where_there_is_one() -> None:
    """It had been started, or was on disk when the client asked."""
    started, unknown = Promise("start", "1", "", ""), Promise("cancel", "1", "c", "NOT_FOUND")
    assert told(unknown, started) == set()
    assert told(started, unknown) == {"S12 truthful answers"}
    assert heard("send", "NOT_FOUND", asked=0, told=2) == set()
    assert heard("send", "NOT_FOUND", asked=1, told=2) == {"S12 truthful answers"}


def test_a_cancel_that_came_before_its_order_may_come_again() -> None:
    """Nobody was there to keep the first answer; of later ones the first counts."""
    unknown, taken = Promise("cancel", "1", "c", "NOT_FOUND"), Promise("cancel", "1", "c", "ACCEPTED")
    cancel: Line = ("CANCEL", None, None, RUNNING, BACK, None)
    yes = {2: "ACCEPTED; by a: b"}
    assert told(unknown, taken, lines=[BEST[0], cancel], notes=yes) == set()
    late = evolve(taken, answer="ALREADY_FINISHED")
    assert told(taken, late, lines=[BEST[0], cancel], notes=yes) == {"S12 truthful answers"}


def test_a_message_that_the_saga_receives_is_not_called_unexpected() -> None:
    """Of the type that was sent."""
    record, rows = order([BEST[0]])
    there = [(evolve(record, definition=patient.definition), rows)]
    for kind, broken in (("Approve", {"S12 truthful answers"}), ("Note", set())):
        answer = Promise("send", "1", "m", "NEVER_EXPECTED", kind)
        assert names(judge(Evidence(there, [patient], (), [answer]))) == broken


@pytest.mark.parametrize("answer", ["ACCEPTED", "DUPLICATE"])
def test_a_message_is_on_disk_before_anybody_hears_so(answer: str) -> None:
    """That one, and not another."""
    assert heard("send", answer, told=2) == set()
    assert heard("send", answer, told=1) == {"S7 an answer is durable"}
    assert heard("send", answer, told=4, id="other") == {"S7 an answer is durable"}
    assert "S7 an answer is durable" in told(Promise("send", "1", "m", answer))


def test_a_message_that_was_accepted_does_not_vanish() -> None:
    """Something has consumed it, or it waits."""
    assert heard("send", "ACCEPTED", told=2) == set()
    assert heard("send", "ACCEPTED", told=2, consumed=()) == {"S7 an answer is durable"}


def test_a_start_and_a_decision_are_on_disk_before_anybody_hears_of_them() -> None:
    """By the journal."""
    assert heard("start", "", told=1) == set()
    assert heard("start", "", told=0) == {"S7 an answer is durable"}
    assert heard("cancel", "TOO_LATE", told=3) == set()
    assert heard("cancel", "TOO_LATE", told=2) == {"S7 an answer is durable"}


@pytest.mark.parametrize("answer", ["ACCEPTED", "STALE", "NOT_APPLICABLE"])
def test_each_request_of_an_operator_is_decided_for_itself(answer: str) -> None:
    """Two answers are two lines of history."""
    line: Line = ("RETRY", None, None, RUNNING, RUNNING, None)
    once = [BEST[0], line]
    promise = Promise("retry", "1", "", answer)
    assert told(promise, lines=once, notes={2: f"{answer}; by a: b"}) == set()
    assert told(promise, promise, lines=once, notes={2: f"{answer}; by a: b"}) == {"S12 truthful answers"}
    assert told(promise, lines=once, notes={2: "OTHER; by a: b"}) == {"S12 truthful answers"}


def test_a_cancel_that_is_answered_already_cancelling_stands_in_history() -> None:
    """With a reason before it."""
    already = Promise("cancel", "1", "c", "ALREADY_CANCELLING")
    asked: Line = ("CANCEL", None, None, BACK, BACK, None)
    note = {4: "ALREADY_CANCELLING; by a: b"}
    assert told(already, lines=[*GOOD[:3], asked], notes=note) == set()
    assert told(already, lines=GOOD[:3]) == {"S12 truthful answers"}
