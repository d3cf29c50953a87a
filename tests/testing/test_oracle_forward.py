"""The way forward, and where it turns, in histories made by hand: each check is shown one that breaks it."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from attrs import evolve

from atone import Saga, Status, parallel, receive
from atone.testing.evidence import Evidence
from atone.testing.oracle import judge
from tests.testing.orders import (
    BACK,
    BEGUN,
    BEST,
    CHARGED,
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
from tests.testing.shop import Approve, Decline, charge, patient, reserve, ship
from tests.testing.shop import Order as Input

ASKED = {"ACCEPTED": "ACCEPTED; by a: b", "NO": "NOT_APPLICABLE; by a: b"}
YES = ASKED["ACCEPTED"]
WAITING, PARKED, SUSPENDED = Status.WAITING, Status.PARKED, Status.SUSPENDED
DOUBT: Line = ("IN_DOUBT", "charge", 1, RUNNING, RUNNING, "charge/action/2")
REFUSED: Line = ("REFUSED", "charge", 1, RUNNING, RUNNING, None)
WAITS: Line = ("RETURNED", "reserve", 1, RUNNING, WAITING, None)
COMES: Line = ("RECEIVED", "approval", None, WAITING, RUNNING, "charge/action/1")
CANCEL: Line = ("CANCEL", None, None, RUNNING, BACK, None)

wished = Saga(
    "wished", input=Input, steps=[reserve, receive(Approve, when=lambda _: False, name="approval"), charge, ship]
)
doubled = Saga(
    "doubled",
    input=Input,
    steps=[
        reserve,
        receive(Approve, when=lambda _: True, name="approval"),
        receive(Decline, when=lambda _: True, timeout=timedelta(hours=1), name="word"),
        ship,
    ],
)
grouped = Saga("grouped", input=Input, steps=[parallel(reserve, charge), ship])


def of(saga: Saga[Any], lines: Sequence[Line], *, exact: bool = True, **options: Any) -> set[str]:
    """The checks that such an order of a saga breaks."""
    record, rows = order(lines, **options)
    evidence = Evidence([(evolve(record, definition=saga.definition), rows)], [saga], exact=exact)
    return names(judge(evidence))


def test_a_step_before_its_turn() -> None:
    """The one before it has no end, or was not begun at all."""
    early: Line = ("BEGUN", None, None, RUNNING, RUNNING, "reserve/action/1 charge/action/1")
    assert found([early]) == {"S4 in order"}
    assert found([(*BEGUN[:5], "charge/action/1")]) == {"S4 in order"}
    assert found([BEGUN, ("PROBE_HAPPENED", "reserve", 1, RUNNING, RUNNING, "charge/action/1")]) == {"S1 intent first"}


def test_members_of_a_group_stand_side_by_side() -> None:
    """And what comes behind the group waits for all of them."""
    both: Line = ("BEGUN", None, None, RUNNING, RUNNING, "reserve/action/1 charge/action/1")
    one: Line = ("RETURNED", "reserve", 1, RUNNING, RUNNING, None)
    assert of(grouped, [both, one, CHARGED]) == set()
    assert of(grouped, [both, CHARGED]) == {"S4 in order"}


def test_an_approval_that_nobody_waited_for() -> None:
    """It has to come before the order goes on, and before it is complete."""
    assert of(patient, [BEGUN, WAITS, COMES, CHARGED, SHIPPED], notes={3: "Approve"}) == set()
    assert of(patient, [BEGUN, RESERVED]) == {"S4 in order"}
    assert of(patient, BEST) == {"S4 in order", "S4 complete"}
    assert of(patient, BEST, exact=False) == set(), "another release may not have asked for it"
    assert "S4 in order" in of(patient, [BEGUN, WAITS, ("DUE", *COMES[1:])], exact=False)


def test_an_approval_that_is_not_always_wanted() -> None:
    """Who was seen waiting for it has to have it; where two may be meant, nobody can say which."""
    due: Line = ("DUE", None, None, WAITING, RUNNING, "charge/action/1")
    assert of(wished, BEST) == set()
    assert of(wished, [BEGUN, WAITS, due]) == {"S4 in order"}
    assert of(doubled, [BEGUN, WAITS, (*due[:5], "ship/action/1")]) == set()


def test_a_place_that_a_person_has_waved_on() -> None:
    """What the order was parked for counts as done."""
    parked: Line = ("PARKED", "approval", None, RUNNING, PARKED, None)
    skip: Line = ("SKIP", None, None, PARKED, RUNNING, "charge/action/1")
    lines = [BEGUN, (*RESERVED[:5], None), parked, skip]
    assert of(patient, lines, notes={3: "PREDICATE", 4: YES}) == set()
    assert "S4 in order" in of(patient, lines, notes={3: "PREDICATE", 4: ASKED["NO"]})


def test_going_on_after_a_decline_or_when_the_time_is_over() -> None:
    """They turn the order back, as a cancel does."""
    lines = [BEGUN, WAITS, COMES, CHARGED, SHIPPED]
    assert of(patient, lines, notes={3: "Decline"}) == {"S12 cancel means stop"}
    over: Line = ("DEADLINE", None, None, RUNNING, RUNNING, None)
    assert found([BEGUN, over, *BEST[1:]]) == {"S12 cancel means stop"}
    turned: Line = (*COMES[:4], BACK, "reserve/compensation/1")
    assert of(patient, [BEGUN, WAITS, turned, RELEASED], notes={3: "Decline"}) == set()
    assert of(patient, [BEGUN, WAITS, turned, RELEASED], notes={3: "Approve"}) == {"S4 turning back"}


def test_what_was_begun_while_the_order_was_held() -> None:
    """Suspended, or parked for a person."""
    suspend: Line = ("SUSPEND", None, None, RUNNING, SUSPENDED, None)
    on: Line = ("RETURNED", "reserve", 1, SUSPENDED, SUSPENDED, "charge/action/1")
    resume: Line = ("RESUME", None, None, SUSPENDED, RUNNING, "charge/action/1")
    assert found([BEGUN, suspend, on], notes={2: YES}) == {"S12 held means still"}
    still = [BEGUN, suspend, (*on[:5], None), resume]
    assert found(still, notes={2: YES, 4: YES}) == set()
    assert found(still, notes={2: YES, 4: ASKED["NO"]}) == {"S12 held means still"}
    parked: Line = ("PARKED", None, None, RUNNING, PARKED, None)
    goes_on: Line = ("RETURNED", "reserve", 1, PARKED, PARKED, "charge/action/1")
    assert found([BEGUN, parked, goes_on], notes={2: "CRASH_LOOP"}) == {"S12 held means still"}


@pytest.mark.parametrize(("event", "note"), [("RETRY", YES), ("CANCEL", YES), ("DEADLINE", None)])
def test_what_lifts_a_park(event: str, note: str | None) -> None:
    """A person's word; where nobody could say whether a message is wanted, whatever turns the order back."""
    parked: Line = ("PARKED", "approval", None, RUNNING, PARKED, None)
    lifted: Line = (event, None, None, PARKED, BACK, "reserve/compensation/1")
    lines = [BEGUN, (*RESERVED[:5], None), parked, lifted]
    notes = {4: note} if note else {}
    assert "S12 held means still" not in of(patient, lines, notes={3: "PREDICATE", **notes})
    if event != "RETRY":
        assert "S12 held means still" in of(patient, lines, notes={3: "CRASH_LOOP", **notes})


@pytest.mark.parametrize("last", ["RETURNED", "PROBE_HAPPENED", "REFUSED", "PROBE_NEVER_WILL_HAPPEN"])
def test_a_step_that_is_sent_again_behind_its_last_word(last: str) -> None:
    """It succeeded, or was refused."""
    first = [DOUBT, ("IN_DOUBT", "charge", 2, RUNNING, RUNNING, "charge/probe/1")] if "PROBE" in last else []
    number = 1 if "PROBE" in last or not first else 2
    end: Line = (last, "charge", number, RUNNING, RUNNING, f"charge/action/{3 if first else 2}")
    assert "S4 no repeat" in found([BEGUN, RESERVED, *first, end])
    assert "S4 no repeat" not in found([BEGUN, RESERVED, *first, (*end[:5], None)])


def test_a_refusal_that_a_person_has_tried_again() -> None:
    """The step that the order is parked for, and no other."""
    retry: Line = ("RETRY", None, None, PARKED, RUNNING, "charge/action/2")
    for step, broken in (("charge", False), ("reserve", True)):
        lines = [BEGUN, RESERVED, REFUSED, ("PARKED", step, None, RUNNING, PARKED, None), retry]
        assert ("S4 no repeat" in found(lines, notes={4: "STEP", 5: YES})) == broken


def test_a_step_that_is_undone_twice_or_after_a_person_has_seen_to_it() -> None:
    """It was acknowledged, or settled by hand."""
    again: Line = ("COMPENSATION_RETURNED", "reserve", 1, BACK, BACK, "reserve/compensation/2")
    assert found([*GOOD[:3], again]) == {"S4 no repeat"}
    failed: Line = ("COMPENSATION_REFUSED", "reserve", 1, BACK, BACK, None)
    parked: Line = ("PARKED", "reserve", None, BACK, PARKED, None)
    resolve: Line = ("RESOLVE", None, None, PARKED, BACK, "reserve/compensation/2")
    lines = [*GOOD[:3], failed, parked, resolve]
    assert found(lines, notes={5: "COMPENSATION", 6: YES}) == {"S4 no repeat"}


def test_two_attempts_at_once() -> None:
    """The first one has no end; to be cut off, or to come late, is one."""
    twice: Line = ("DUE", None, None, RUNNING, RUNNING, "reserve/action/2")
    assert found([BEGUN, twice]) == {"S1 one at a time"}
    for end in ("INTERRUPTED", "LATE", "IN_DOUBT"):
        assert found([BEGUN, (end, "reserve", 1, *twice[3:])]) == set()


def test_an_attempt_that_was_over_before_it_began() -> None:
    """One commit announces it and says that it was cut off: it is sent, and the next one beside it."""
    record, rows = order([BEGUN, ("INTERRUPTED", "reserve", 1, RUNNING, RUNNING, "reserve/probe/1")])
    assert names(judge(Evidence([(record, rows)], exact=True))) == set()
    rows[1] = evolve(rows[1], revision=rows[0].revision)
    assert "S1 one at a time" in names(judge(Evidence([(evolve(record, revision=rows[0].revision), rows)], exact=True)))


def test_undoing_beside_a_running_step_and_an_end_before_its_end() -> None:
    """What runs is waited for."""
    beside: Line = (*CANCEL[:5], "reserve/compensation/1")
    assert found([BEGUN, RESERVED, beside], notes={3: YES}) == {"S1 one at a time"}
    ended: Line = (*CANCEL[:4], UNDONE, None)
    assert "S1 one at a time" in found([BEGUN, ended], notes={2: YES})


def test_a_decision_ends_with_its_last_line() -> None:
    """A cancel and the return of a host may be one commit, whose first lines already tell of the end."""
    record, rows = order([BEGUN, (*CANCEL[:4], UNDONE, None), ("INTERRUPTED", "reserve", 1, RUNNING, UNDONE, None)])
    rows[1] = evolve(rows[1], entry=evolve(rows[1].entry, note=YES))
    assert "S1 one at a time" in names(judge(Evidence([(record, rows)], exact=True)))
    rows[2] = evolve(rows[2], revision=2)
    assert "S1 one at a time" not in names(judge(Evidence([(evolve(record, revision=2), rows)], exact=True)))


def test_turning_back_for_no_reason() -> None:
    """Nobody has asked for it, and nothing was lost for good."""
    turned: Line = ("RETURNED", "reserve", 1, RUNNING, BACK, "reserve/compensation/1")
    assert found([BEGUN, turned, RELEASED]) == {"S4 turning back"}
    lost: Line = ("IN_DOUBT", "charge", 2, RUNNING, BACK, "charge/compensation/1")
    early: Line = ("IN_DOUBT", "charge", 1, RUNNING, BACK, "charge/compensation/1")
    assert found([BEGUN, RESERVED, DOUBT, lost]) == set()
    assert found([BEGUN, RESERVED, early]) == {"S4 turning back"}
    assert names(judge(Evidence([order([BEGUN, RESERVED, early])]))) == set(), "nobody knows how often it may be tried"


def test_a_time_that_is_over_although_the_message_came() -> None:
    """Only where it did not come is that a reason."""
    over: Line = ("TIMEOUT", "approval", None, WAITING, BACK, "reserve/compensation/1")
    assert of(patient, [BEGUN, WAITS, over], exact=False) == set()
    came: Line = (*COMES[:5], None)
    assert "S4 turning back" in of(patient, [BEGUN, WAITS, came, over], notes={3: "Approve"}, exact=False)


def test_going_forward_again_after_turning_back() -> None:
    """It never turns twice."""
    refused: Line = ("REFUSED", "charge", 1, RUNNING, BACK, None)
    forward: Line = ("DUE", None, None, BACK, RUNNING, "ship/action/1")
    assert "S4 turning back" in found([BEGUN, RESERVED, refused, forward])


def test_a_cancel_that_came_before_there_was_anything_to_cancel() -> None:
    """ALREADY_CANCELLING needs an order that is on its way back."""
    already = {3: "ALREADY_CANCELLING; by a: b"}
    assert found([BEGUN, RESERVED, (*CANCEL[:4], RUNNING, None)], notes=already) == {"S12 truthful answers"}
    assert found([*GOOD[:3], (*CANCEL[:3], BACK, BACK, None)], notes={4: already[3]}) == set()
