"""An order as an actor: messages and values on the way in, snapshot and history on the way out."""

from typing import Any

import pytest
from attrs import evolve, frozen

from atone import Saga, Status, StepContext, receive, step
from atone.actors import Begin, Decision, Due, Moment
from atone.sagas import snapshot
from atone.sagas.behaviour import OrderBehaviour, OrderState
from atone.sagas.context import idempotency_key
from atone.sagas.events import Control, Ended, Returned, Run, Unknown, Verb
from atone.sagas.progress import ParkReason, Work
from atone.sagas.registry import Registry
from atone.storage import Codec, Lane, Message, Phase, Record, Undecodable
from tests.sagas.shapes import DOUBT, ERROR, Approve, Decline, Order, compensatable

CODEC = Codec()


@frozen
class Receipt:
    text: str


@step(read_only=True)
async def bill() -> Receipt:
    """Give a result."""
    return Receipt("")


def over(cents: int) -> Any:
    """A question that raises on an order without a price."""

    def when(order: Order) -> bool:
        return 100 // order.total_cents < 100 // cents

    return when


SAGA = Saga(
    "s",
    input=Order,
    steps=[bill, receive(Approve | Decline, decline=Decline, when=over(10), name="verdict"), compensatable("a")],
)
BEHAVIOUR = OrderBehaviour(Registry.of([SAGA]), CODEC)


def decide(state: OrderState, *events: object, now: float = 0.0) -> Decision[OrderState]:
    """The decision about the last of these events."""
    for event in events[:-1]:
        state = BEHAVIOUR.decide(state, event, Moment(now)).state
    return BEHAVIOUR.decide(state, events[-1], Moment(now))


def order(cents: int = 50) -> OrderState:
    """An order that has not begun."""
    return BEHAVIOUR.begin("1", SAGA, Order(cents))


def billed(text: str = "x") -> Ended:
    """The first step has ended."""
    body = CODEC.encode(Receipt(text), "a receipt")
    return Ended(0, Work.ACTION, 1, Returned(body, Receipt(text)))


def message(value: object, lane: Lane = Lane.DATA, *, kind: str | None = None) -> Message:
    """A message on disk."""
    return Message(9, "m", lane, kind or type(value).__name__, CODEC.encode(value, "a message"), 0.0)


def stored(state: OrderState, **changes: Any) -> Record:
    """The order, on disk."""
    made = Record(
        key=1, id=state.id, definition=SAGA.definition, revision=3, epoch=1, created_at=0.0, updated_at=0.0,
        snapshot=BEHAVIOUR.encode(state), quarantine=None, input=CODEC.encode(state.input, "an input"),
    )  # fmt: skip
    return evolve(made, **changes)


def test_beginning_asks_for_the_first_attempt() -> None:
    """The history names the intent, and it is performed once that is on disk."""
    decision = decide(order(), Begin())

    assert (Run(0, Work.ACTION, 1),) == decision.effects
    [line] = decision.history
    assert ("BEGUN", "RUNNING", "RUNNING", "bill/action/1") == (line.event, line.source, line.target, line.begun)


def test_a_result_is_at_hand_for_the_next_step() -> None:
    """As the value that will be decoded after a restart."""
    decision = decide(order(), Begin(), billed("paid"))

    assert {0: Receipt("paid")} == decision.state.values
    assert Status.WAITING == BEHAVIOUR.encode(decision.state).status


@pytest.mark.parametrize(("cents", "status"), [(50, Status.WAITING), (5, Status.RUNNING), (0, Status.PARKED)])
def test_a_predicate_is_asked_in_the_same_commit(cents: int, status: Status) -> None:
    """Its answer is part of the transition; what it raises parks the order."""
    decision = decide(order(cents), Begin(), billed())

    assert status == BEHAVIOUR.encode(decision.state).status
    park = decision.state.progress.park
    assert (park is not None) is (status is Status.PARKED)
    assert park is None or (ParkReason.PREDICATE, True) == (park.reason, "ZeroDivisionError" in str(park.error))


def test_only_an_awaited_message_is_accepted() -> None:
    """One that comes early stays in the mailbox."""
    waiting = decide(order(), Begin(), billed()).state

    assert not BEHAVIOUR.accepts(decide(order(), Begin()).state, message(Approve()))
    assert BEHAVIOUR.accepts(waiting, message(Approve()))
    assert not BEHAVIOUR.accepts(waiting, message(Order()))


def test_a_message_is_consumed_with_the_transition() -> None:
    """Its value reaches the steps, and its number is answered."""
    decision = decide(order(), Begin(), billed(), message(Approve("ann")))

    assert ((9, "CONSUMED"),) == decision.answers
    assert Approve("ann") == decision.state.values[1]
    assert (Run(2, Work.ACTION, 1),) == decision.effects


def test_a_message_that_cannot_be_decoded_raises() -> None:
    """The shell then sets it aside, and the order goes on waiting."""
    waiting = decide(order(), Begin(), billed()).state

    with pytest.raises(Undecodable):
        BEHAVIOUR.decide(waiting, message(7, kind="Approve"), Moment(0.0))
    with pytest.raises(Undecodable):
        BEHAVIOUR.decide(waiting, message(7, Lane.CONTROL), Moment(0.0))


def test_a_request_is_answered_under_its_own_number() -> None:
    """It was encoded by another process, perhaps."""
    cancel = message(Control(Verb.CANCEL, "ann", "because"), Lane.CONTROL)

    assert ((9, "ACCEPTED"),) == decide(order(), Begin(), cancel).answers


def test_a_timer_that_is_not_due_changes_nothing() -> None:
    """Not even the history: nothing is committed."""
    state = decide(order(), Begin()).state

    assert Decision(state) == BEHAVIOUR.decide(state, Due(), Moment(99.0))


def test_an_order_survives_the_disk() -> None:
    """State and values are the same after a restart."""
    state = decide(order(), Begin(), billed("paid"), message(Approve("ann"))).state

    again = BEHAVIOUR.decode(stored(state))

    assert (state.progress, state.values, state.input) == (again.progress, again.values, again.input)


def test_a_large_result_is_handed_over_once() -> None:
    """In the commit that brings it, and in no later one."""
    first = decide(order(), Begin(), billed("x" * snapshot.INLINE))
    second = decide(first.state, message(Approve()))

    [(name, body)] = first.parts
    assert ("0", Receipt("x" * snapshot.INLINE)) == (name, CODEC.decode(body, Receipt))
    assert () == second.parts
    assert Receipt("x" * snapshot.INLINE) == BEHAVIOUR.decode(stored(second.state, parts={"0": body})).values[0]


def test_damaged_values_are_undecodable() -> None:
    """The order is quarantined rather than guessed at."""
    state = decide(order(), Begin(), billed("paid")).state

    with pytest.raises(Undecodable):
        BEHAVIOUR.decode(stored(state, input=b"7"))
    with pytest.raises(Undecodable):
        BEHAVIOUR.decode(stored(state, damage="a sum is wrong"))


def test_a_snapshot_tells_the_store_what_to_do() -> None:
    """Active while an attempt runs; idle with a timer between two; deaths in a row are counted."""
    saga = Saga("t", input=Order, steps=[compensatable("a")])
    state = decide(BEHAVIOUR.begin("1", saga, Order()), Begin()).state
    pausing = decide(state, Ended(0, Work.ACTION, 1, DOUBT), now=5.0).state

    assert (Phase.ACTIVE, None) == _told(state)
    assert (Phase.IDLE, 6.0) == _told(pausing)
    timed_out = decide(state, Ended(0, Work.ACTION, 1, Unknown(ERROR, lingers=40.0)), now=5.0).state
    assert (Phase.IDLE, 40.0) == _told(timed_out)


def _told(state: OrderState) -> tuple[Phase, float | None]:
    snapshot = BEHAVIOUR.encode(state)
    return snapshot.phase, snapshot.wake_at


def test_only_the_definition_an_order_was_started_with_handles_it() -> None:
    """Another fingerprint or version is another definition."""
    record = stored(order())

    assert BEHAVIOUR.handles(record)
    assert not BEHAVIOUR.handles(evolve(record, definition=evolve(record.definition, fingerprint="other")))
    assert not BEHAVIOUR.handles(evolve(record, definition=evolve(record.definition, version=2)))


def test_keys_differ_by_every_part_and_by_nothing_else() -> None:
    """Two lists of parts never give one key, wherever the borders between the parts are."""
    keys = {
        idempotency_key(*parts)
        for parts in [
            ("s", "1", "a", "action"), ("s", "1", "a", "compensation"), ("s", "1", "b", "action"),
            ("s", "2", "a", "action"), ("t", "1", "a", "action"), ("s1", "", "a", "action"), ("s", "1a", "", "action"),
        ]
    }  # fmt: skip

    assert 7 == len(keys)
    assert "f94f5343e5ab31549e0a6a8dd6c87c21" == idempotency_key("s", "1", "a", "action")
    assert "k" == StepContext(key="k").key
