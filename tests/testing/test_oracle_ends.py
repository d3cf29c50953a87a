"""What the ends of attempts may mean, in histories made by hand: each check is shown one that breaks it."""

from typing import Any

import pytest
from attrs import evolve

from atone import Status
from atone.storage import Definition, Lane, Message
from atone.testing.evidence import Evidence, Promise
from atone.testing.oracle import judge
from tests.testing.orders import (
    BACK,
    BEGUN,
    BEST,
    CHARGED,
    DECLINED,
    GOOD,
    RELEASED,
    RESERVED,
    RUNNING,
    UNDONE,
    Line,
    found,
    names,
    order,
)
from tests.testing.shop import approval, patient, shop

SILENCE = "TimeoutError: no answer within 5 s"
DOUBT: Line = ("IN_DOUBT", "charge", 1, RUNNING, RUNNING, "charge/action/2")
UNKNOWN: Line = ("COMPENSATION_IN_DOUBT", "reserve", 1, BACK, BACK, "reserve/compensation/2")
REFUSED: Line = ("COMPENSATION_REFUSED", "reserve", 1, BACK, BACK, None)
PARKED: Line = ("PARKED", "reserve", None, BACK, Status.PARKED, None)


def test_too_late_before_the_pivot() -> None:
    """The pivot has to have begun in an earlier line."""
    cancel: Line = ("CANCEL", None, None, RUNNING, RUNNING, None)
    assert found([*BEST[:3], cancel], notes={4: "TOO_LATE; by a: b"}) == set()
    assert found([*BEST[:2], cancel], notes={3: "TOO_LATE; by a: b"}) == {"S12 too late"}
    assert found([*BEST[:2], cancel, CHARGED], notes={3: "TOO_LATE; by a: b"}) == {"S12 too late"}


def test_an_answer_that_history_does_not_know() -> None:
    """A cancel was answered, and nothing was decided."""
    evidence = Evidence([order(BEST)], [], (), [Promise("cancel", "1", "c", "TOO_LATE")])
    assert names(judge(evidence)) == {"S12 truthful answers"}


def test_a_timeout_that_is_taken_for_an_end() -> None:
    """No answer is neither a success nor a refusal."""
    assert found([BEGUN, RESERVED, DOUBT], errors={3: SILENCE}) == set()
    assert found([BEGUN, RESERVED, DECLINED], errors={3: SILENCE}) == {"S14 a timeout is doubt"}
    late: Line = ("LATE", "charge", 1, RUNNING, RUNNING, None)
    assert found([BEGUN, RESERVED, DOUBT, late], notes={4: "returned"}) == set()
    for ends in ([BEGUN, RESERVED, CHARGED, late], [BEGUN, RESERVED, (*DECLINED[:4], RUNNING, None), late]):
        assert found(ends, notes={4: "returned"}) == {"S14 a timeout is doubt"}
    cut_off: Line = ("INTERRUPTED", "charge", 1, RUNNING, RUNNING, "charge/probe/1")
    asked: Line = ("PROBE_NEVER_WILL_HAPPEN", "charge", 1, RUNNING, BACK, "reserve/compensation/1")
    late_again: Line = ("LATE", "charge", 1, BACK, BACK, None)
    assert found([BEGUN, RESERVED, cut_off, asked, late_again]) == set(), "a probe may find out what nobody told"


def test_a_failed_compensation_that_is_passed_over() -> None:
    """It is tried again, or waits for a person."""
    skip: Line = ("SKIP", None, None, Status.PARKED, Status.ABANDONED, None)
    retry: Line = ("RETRY", None, None, Status.PARKED, BACK, "reserve/compensation/2")
    assert found([*GOOD[:3], UNKNOWN]) == set()
    assert found([*GOOD[:3], REFUSED, PARKED, skip], notes={6: "ACCEPTED; by a: b"}) <= {"S8 one commit"}
    assert found([*GOOD[:3], (*REFUSED[:4], Status.PARKED, None), retry], notes={5: "ACCEPTED; by a: b"}) == set()
    assert "S16 no undoing is skipped" in found([*GOOD[:3], (*UNKNOWN[:4], UNDONE, None)])
    assert found([*GOOD[:3], (*REFUSED[:5], "reserve/compensation/2")]) == {"S16 no undoing is skipped"}
    assert found([*GOOD[:3], (*UNKNOWN[:4], Status.ABANDONED, None)]) == {"S16 no undoing is skipped"}
    assert found([*GOOD[:3], (*RELEASED[:4], Status.ABANDONED, None)]) == {"S16 no undoing is skipped"}


@pytest.mark.parametrize("kind", ["CancelledError", "GeneratorExit", "MemoryError", "RecursionError"])
def test_trouble_of_the_process_that_is_taken_for_a_refusal(kind: str) -> None:
    """It is doubt, and nothing else."""
    assert found([BEGUN, RESERVED, DOUBT], errors={3: kind}) == set()
    assert found([BEGUN, RESERVED, DECLINED], errors={3: f"{kind}: of 5 bytes"}) == {"S17 troubles are no refusal"}


@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "SystemExit"])
def test_what_a_dying_process_has_recorded(kind: str) -> None:
    """It was to record nothing at all."""
    assert found([BEGUN, RESERVED, DOUBT], errors={3: kind}) == {"S17 troubles are no refusal"}


def test_an_order_that_was_undone_since_its_host_left() -> None:
    """What was cut off is tried again."""
    taken_up: Line = ("RESUMED", None, None, RUNNING, RUNNING, None)
    cut_off: Line = ("INTERRUPTED", "charge", 1, RUNNING, BACK, "charge/compensation/1")
    cancel: Line = ("CANCEL", None, None, RUNNING, BACK, None)
    again: Line = ("INTERRUPTED", "charge", 1, RUNNING, RUNNING, "charge/action/2")
    assert found([BEGUN, RESERVED, taken_up, again]) == set()
    assert found([BEGUN, RESERVED, taken_up, cut_off]) == {"S20 shutdown is no cancel", "S4 turning back"}
    record, rows = order([BEGUN, RESERVED, cut_off, cancel])
    rows[3] = evolve(rows[3], revision=3)
    assert "S20 shutdown is no cancel" not in names(judge(Evidence([(record, rows)], exact=True)))


def test_a_step_that_is_tried_without_end() -> None:
    """Two attempts were allowed; a person may allow more."""
    more: Line = ("IN_DOUBT", "charge", 2, RUNNING, RUNNING, "charge/action/3")
    third: Line = ("IN_DOUBT", "charge", 3, RUNNING, RUNNING, None)
    retry: Line = ("RETRY", None, None, RUNNING, RUNNING, None)
    assert found([BEGUN, RESERVED, DOUBT, more]) == set()
    assert found([BEGUN, RESERVED, DOUBT, more, third]) == {"L1 bounded retries"}
    assert found([BEGUN, RESERVED, DOUBT, more, retry, third], notes={5: "ACCEPTED; by a: b"}) == set()


def waited(seconds: float) -> set[str]:
    """The checks that an order breaks whose approval was awaited for so long."""
    wait: Line = ("RETURNED", "reserve", 1, RUNNING, Status.WAITING, None)
    over: Line = ("TIMEOUT", "approval", None, Status.WAITING, BACK, "reserve/compensation/1")
    record, rows = order([BEGUN, wait, over])
    rows[2] = evolve(rows[2], at=rows[1].at + seconds)
    definition = Definition(patient.name, patient.version, patient.fingerprint)
    return names(judge(Evidence([(evolve(record, definition=definition), rows)], [patient], exact=True)))


def test_a_wait_that_ended_before_its_time() -> None:
    """By the clock that stands in the rows."""
    assert approval.timeout is not None
    assert waited(approval.timeout) == set()
    assert waited(approval.timeout - 2) == {"S13 time"}


def test_a_place_that_received_twice() -> None:
    """One message is enough; and a repeat is not accepted as if it were new."""
    received: Line = ("RECEIVED", "approval", None, RUNNING, RUNNING, None)
    assert found([*BEST[:2], received]) == set()
    assert found([*BEST[:2], received, received]) == {"S11 once"}
    again = [Promise("send", "1", "m", "ACCEPTED")] * 2
    assert names(judge(Evidence([order([*BEST[:2], received])], [], (), again))) == {"S11 once"}
    again[1] = Promise("send", "1", "m", "DUPLICATE")
    assert names(judge(Evidence([order([*BEST[:2], received])], [], (), again))) == set()


@pytest.mark.parametrize(
    "changes",
    [
        {"input": b"x" * (1 << 20 | 1)}, {"parts": {"0": b"x" * (1 << 20 | 1)}}, {"id": "1" * 201},
        {"messages": tuple(Message(n, str(n), Lane.DATA, "Approve", b"", 0.0) for n in range(1001))},
    ],
)  # fmt: skip
def test_what_is_over_a_limit(changes: dict[str, Any]) -> None:
    """Too many bytes, letters or messages."""
    record, rows = order(BEST[:1])
    assert names(judge(Evidence([(record, rows)]))) == set()
    assert names(judge(Evidence([(evolve(record, **changes), rows)]))) == {"S19 bounds"}


def test_what_was_refused_and_is_there() -> None:
    """A message, and an order; but not one that was taken when it came again."""
    message = Message(1, "m", Lane.DATA, "Approve", b"", 0.0)
    record, rows = order(BEST[:1])
    there = [(evolve(record, messages=(message,)), rows)]
    refused, taken = Promise("send", "1", "m", "MailboxFull"), Promise("send", "1", "m", "ACCEPTED")
    assert names(judge(Evidence(there, [], (), [refused]))) == {"S19 refused means nothing"}
    assert names(judge(Evidence(there, [], (), [refused, taken]))) == set()
    assert names(judge(Evidence(there, [], (), [Promise("start", "1", "", "TooLarge")]))) == {
        "S19 refused means nothing"
    }
    assert names(judge(Evidence([], [], (), [Promise("start", "1", "", "TooLarge")]))) == set()


def test_policies_are_held_against_an_order_only_where_they_are_its_own() -> None:
    """A file may be older than the saga of today: its retries and times may have been others."""
    lines = [
        BEGUN,
        RESERVED,
        DOUBT,
        *[("IN_DOUBT", "charge", n, RUNNING, RUNNING, f"charge/action/{n + 1}") for n in (2, 3)],
    ]
    assert found(lines) == {"L1 bounded retries"}
    assert names(judge(Evidence([order(lines)], [shop]))) == set()
