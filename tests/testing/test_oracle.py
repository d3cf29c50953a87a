"""Every check can fail: each is shown a history that breaks it, and one that does not."""

from collections.abc import Sequence

import pytest
from attrs import evolve

from atone.sagas.context import idempotency_key
from atone.storage import Lane, Lease, Message, Phase
from atone.testing.evidence import Evidence, Promise
from atone.testing.ledger import Effect
from atone.testing.oracle import CHECKS, judge
from tests.testing.orders import (
    BACK,
    BEGUN,
    BEST,
    CHARGED,
    DONE,
    GOOD,
    RELEASED,
    RESERVED,
    RUNNING,
    SHIPPED,
    UNDONE,
    Line,
    found,
    names,
    order,
)
from tests.testing.shop import Payments, Stock, shop

AGAIN: Line = ("IN_DOUBT", "charge", 1, RUNNING, RUNNING, "charge/action/2")


@pytest.mark.parametrize("lines", [GOOD, BEST, GOOD[:3], BEST[:1]])
def test_a_sound_history_breaks_nothing(lines: Sequence[Line]) -> None:
    """Neither complete nor half-way."""
    assert found(lines) == set()


def test_an_end_without_a_beginning() -> None:
    """An attempt that history never announced."""
    assert found([(*BEGUN[:5], None), *GOOD[1:]]) >= {"S1 intent first"}


def test_two_ends_of_one_attempt() -> None:
    """The second one is wrong."""
    assert found([BEGUN, RESERVED, (*RESERVED[:5], None), CHARGED, SHIPPED]) == {"S1 intent first"}


def test_an_attempt_that_was_left_out() -> None:
    """Numbers rise by one."""
    assert found([(*BEGUN[:5], "reserve/action/2")]) == {"S1 intent first"}


def test_a_step_that_was_forgotten() -> None:
    """Doubt is a debt, and a refusal of the second attempt does not clear it."""
    doubt: Line = ("IN_DOUBT", "charge", 1, RUNNING, RUNNING, "charge/action/2")
    refused: Line = ("REFUSED", "charge", 2, RUNNING, BACK, "reserve/compensation/1")
    assert found([BEGUN, RESERVED, doubt, refused, RELEASED]) == {"S2 no forgotten effect"}


def test_a_probe_that_closed_the_key_clears_the_debt() -> None:
    """The only answer that does."""
    doubt: Line = ("IN_DOUBT", "charge", 1, RUNNING, RUNNING, "charge/probe/1")
    never: Line = ("PROBE_NEVER_WILL_HAPPEN", "charge", 1, RUNNING, BACK, "reserve/compensation/1")
    sofar: Line = ("PROBE_DID_NOT_HAPPEN", *never[1:])
    assert found([BEGUN, RESERVED, doubt, never, RELEASED]) == set()
    assert found([BEGUN, RESERVED, doubt, sofar, RELEASED]) == {"S2 no forgotten effect", "S4 turning back"}


def test_undoing_in_the_wrong_order() -> None:
    """The earlier step before the later one."""
    doubt: Line = ("IN_DOUBT", "charge", 2, RUNNING, BACK, "reserve/compensation/1")
    released: Line = ("COMPENSATION_RETURNED", "reserve", 1, BACK, BACK, "charge/compensation/1")
    refunded: Line = ("COMPENSATION_RETURNED", "charge", 1, BACK, UNDONE, None)
    assert found([BEGUN, RESERVED, AGAIN, doubt, released, refunded]) == {"S3 order of undoing"}


def test_undoing_two_at_once() -> None:
    """One is acknowledged before the next begins."""
    doubt: Line = ("IN_DOUBT", "charge", 2, RUNNING, BACK, "charge/compensation/1 reserve/compensation/1")
    refunded: Line = ("COMPENSATION_RETURNED", "charge", 1, BACK, BACK, None)
    assert found([BEGUN, RESERVED, AGAIN, doubt, refunded, RELEASED]) == {"S3 order of undoing"}


def test_a_change_after_the_end() -> None:
    """Nothing begins any more."""
    late: Line = ("LATE", "ship", 1, DONE, DONE, None)
    assert found([*BEST, late], notes={5: "RETURNED"}) == set()
    assert found([*BEST, (*late[:5], "ship/action/2")], notes={5: "RETURNED"}) == {
        "S4 one end",
        "S4 no repeat",
        "S1 one at a time",
    }


def test_a_status_without_its_phase() -> None:
    """An order that has ended must not look alive, nor the other way round."""
    assert "S4 one end" in found(BEST, phase=Phase.IDLE)
    assert "S4 one end" in found(BEST[:1], phase=Phase.FINAL)


def test_turning_back_past_the_pivot() -> None:
    """Undone, or cancelled, although the parcel may be gone."""
    doubt: Line = ("IN_DOUBT", "ship", 1, RUNNING, BACK, "charge/compensation/1")
    cancel: Line = ("CANCEL", None, None, RUNNING, BACK, None)
    refused: Line = ("REFUSED", "ship", 1, RUNNING, BACK, "charge/compensation/1")
    assert found([BEGUN, RESERVED, CHARGED, doubt]) == {"S4 past the pivot", "S4 turning back"}
    assert found([BEGUN, RESERVED, CHARGED, cancel], notes={4: "ACCEPTED; by a: b"}) == {"S4 past the pivot"}
    assert found([BEGUN, RESERVED, CHARGED, (*cancel[:4], RUNNING, None)], notes={4: "TOO_LATE; by a: b"}) == set()
    assert found([BEGUN, RESERVED, CHARGED, refused]) == set()


def test_completed_with_a_step_left_out() -> None:
    """Every step has to have succeeded."""
    early: Line = ("RETURNED", "charge", 1, RUNNING, DONE, None)
    assert found([BEGUN, RESERVED, early]) == {"S4 complete"}


def test_a_gap_in_history() -> None:
    """A missing revision, a broken chain, a record that says something else."""
    record, rows = order(BEST)
    assert names(judge(Evidence([(record, rows[:1] + rows[2:])], [shop]))) >= {"S8 one commit"}
    assert names(judge(Evidence([(evolve(record, revision=9), rows)], [shop]))) == {"S8 one commit"}
    assert names(judge(Evidence([(record, [])], []))) == {"S8 one commit"}
    assert "S8 one commit" in found([BEGUN, ("RETURNED", "reserve", 1, BACK, RUNNING, "charge/action/1")])


def test_going_on_after_a_cancel() -> None:
    """Once accepted, no step begins."""
    cancel: Line = ("CANCEL", None, None, RUNNING, BACK, None)
    on: Line = ("RETURNED", "reserve", 1, BACK, BACK, "charge/action/1")
    assert found([BEGUN, cancel, on], notes={2: "ACCEPTED; by a: b"}) == {"S12 cancel means stop", "S4 turning back"}


def test_no_way_out() -> None:
    """Idle, with no timer and no reason; or ended, with a message that nobody answered."""
    assert found(BEST[:1], phase=Phase.IDLE) == {"L1 a way out"}
    record, rows = order(BEST)
    message = Message(1, "m", Lane.DATA, "Approve", b"", 0.0)
    assert names(judge(Evidence([(evolve(record, messages=(message,)), rows)], [shop]))) == {"L1 a way out"}


def test_damage_and_strange_epochs() -> None:
    """Bytes that changed, and an owner that never was."""
    record, rows = order(BEST)
    assert names(judge(Evidence([(evolve(record, damage="the checksum is wrong"), rows)]))) == {"S15 sound bytes"}
    lease = Lease(1, None, 0.0)
    assert names(judge(Evidence([(evolve(record, epoch=2), rows)], [shop], lease=lease))) == {"S6 one writer"}


async def test_effects_that_do_not_fit_the_end() -> None:
    """Left behind, missing, twice, or under a key that is no order's."""
    key = idempotency_key("shop", "1", "charge", "action")
    payments = Payments(keys=False)
    payments.carry_out(payments.charge, key, (), {})
    assert names(judge(Evidence([order(GOOD)], [shop], [payments]))) == {"S2 net zero"}
    assert names(judge(Evidence([order(BEST)], [shop], [payments]))) == set()
    payments.carry_out(payments.charge, key, (), {})
    assert names(judge(Evidence([order(BEST)], [shop], [payments]))) == {"S4 exactly once"}
    payments.ledger.sent.append(("charge", "my-own-key"))
    assert "S5 stable keys" in names(judge(Evidence([order(BEST)], [shop], [payments])))


def test_answers_that_were_not_true() -> None:
    """A start, a message or a cancel that is not on disk, a cancel that says something else the second time."""

    def told(*promises: Promise, lines: Sequence[Line] = BEST) -> set[str]:
        return names(judge(Evidence([order(lines)], [shop], (), promises)))

    assert told(Promise("start", "1", "", "")) == set()
    assert told(Promise("start", "2", "", "")) == {"S7 an answer is durable"}
    assert told(Promise("send", "1", "m", "ACCEPTED"), lines=BEST[:2]) == {"S7 an answer is durable"}
    received: Line = ("RECEIVED", "approval", None, RUNNING, RUNNING, None)
    two = (Promise("send", "1", "m", "ACCEPTED"), Promise("send", "1", "n", "ACCEPTED"))
    assert told(two[0], lines=[*BEST[:2], received]) == set()
    assert told(*two, lines=[*BEST[:2], received, ("RECEIVED", "signature", *received[2:])]) == set()
    assert told(*two, lines=[*BEST[:2], received]) == {"S7 an answer is durable"}
    assert told(Promise("cancel", "1", "c", "ACCEPTED")) == {"S12 truthful answers"}
    assert told(Promise("cancel", "1", "c", "TOO_LATE"), lines=BEST[:2]) == {"S12 truthful answers"}
    twice = (Promise("cancel", "1", "c", "TOO_LATE"), Promise("cancel", "1", "c", "ALREADY_FINISHED"))
    assert told(*twice) == {"S12 truthful answers"}


def test_participants_see_undoing_in_order() -> None:
    """By their own books, whatever history says."""
    payments, stock = Payments(), Stock()
    for at, service, step in ((1.0, stock, "reserve"), (2.0, payments, "charge")):
        key = idempotency_key("shop", "1", step, "action")
        service.ledger.lines.append(Effect(at, service.name, step, key, undone=True))
    assert names(judge(Evidence([order(GOOD)], [shop], [payments, stock]))) == {"S3 order at participants"}


def test_every_check_has_a_name_and_one_sentence() -> None:
    """And no two have the same name."""
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert all(check.sentence.endswith(".") for check in CHECKS)
