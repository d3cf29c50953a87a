"""A progress as bytes: nothing is lost, and nothing that is not a progress is taken for one."""

from typing import Any

import orjson
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from atone import CauseKind, Park, ParkReason, Saga, Status, StepStatus, receive
from atone.sagas import snapshot
from atone.sagas.behaviour import OrderBehaviour
from atone.sagas.progress import Failure, Progress, Reason, Slot, Work
from atone.sagas.registry import Registry
from atone.sagas.views import order_status
from atone.storage import Codec, Definition, Phase, Record, Snapshot, Undecodable
from tests.sagas.shapes import Approve, Order, compensatable

CODEC = Codec()
SAGA = Saga("s", input=Order, steps=[compensatable("a"), receive(Approve, name="m"), compensatable("b")])
REGISTRY = Registry.of([SAGA])

counts = st.tuples(*(st.integers(0, 1000) for _ in Work))
times = st.none() | st.floats(0, 1e11)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
words = st.none() | texts
failures = st.none() | st.builds(Failure, kind=texts, text=texts)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=50,
)
results = st.none() | st.builds(lambda value: Codec().encode(value, "a value"), values)
slots = st.builds(
    Slot,
    status=st.sampled_from(StepStatus).filter(lambda status: status is not StepStatus.PENDING),
    doubt=st.booleans(),
    work=st.none() | st.sampled_from(Work),
    running=st.booleans(),
    due=times,
    lingers=times,
    sent=counts,
    spent=counts,
    error=failures,
    undo_error=failures,
    kind=words,
)
progresses = st.builds(
    Progress,
    slots=st.lists(slots | st.builds(Slot), max_size=6),
    cursor=st.integers(0, 20),
    begun=st.booleans(),
    reason=st.none()
    | st.builds(Reason, kind=st.sampled_from(CauseKind), text=words, by=words, slot=st.none() | st.integers(0, 9)),
    park=st.none()
    | st.builds(Park, number=st.integers(1, 99), reason=st.sampled_from(ParkReason), step=words, error=words),
    parks=st.integers(0, 99),
    suspended=st.booleans(),
    deadline=times,
    deaths=st.integers(0, 20),
    unpaid=st.booleans(),
    final=st.none() | st.sampled_from([Status.COMPLETED, Status.COMPENSATED, Status.ABANDONED]),
)


stored = st.lists(results, max_size=6).map(tuple)


def encode(progress: Progress, results: snapshot.Results = ()) -> bytes:
    """A whole snapshot."""
    return snapshot.complete(snapshot.pack(progress), results)


def parts(results: snapshot.Results) -> dict[str, bytes]:
    """The rows that keep large results."""
    return {
        str(index): result
        for index, result in enumerate(results)
        if result is not None and len(result) > snapshot.INLINE
    }


def record(body: bytes, **changes: Any) -> Record:
    """An order on disk with this snapshot."""
    made = Record(
        key=1, id="1", definition=Definition("s", 1, "f"), revision=1, epoch=1, created_at=0.0, updated_at=0.0,
        snapshot=Snapshot("RUNNING", Phase.ACTIVE, body), quarantine=None, input=b"{}",
    )  # fmt: skip
    return evolve(made, **changes)


@given(progresses, stored)
def test_a_progress_survives_the_disk(progress: Progress, results: snapshot.Results) -> None:
    """Every field, whatever is in it, and every result."""
    assert (progress, results) == snapshot.decode(encode(progress, results), parts(results))


@pytest.mark.parametrize("size", [snapshot.INLINE, snapshot.INLINE + 1])
def test_a_large_result_has_a_row_of_its_own(size: int) -> None:
    """So that it is written once, and not at every transition."""
    result = orjson.dumps("x" * (size - 2))
    progress = Progress(slots=[Slot(status=StepStatus.SUCCEEDED)])

    body = encode(progress, (result,))

    assert size == len(result)
    assert (result in body) is (size <= snapshot.INLINE)
    assert (progress, (result,)) == snapshot.decode(body, {"0": result})


def test_a_result_that_reads_like_the_mark_of_a_row_is_not_one() -> None:
    """The text "part" is a result like any other."""
    progress = Progress(slots=[Slot(status=StepStatus.SUCCEEDED)])

    assert (progress, (b'"part"',)) == snapshot.decode(encode(progress, (b'"part"',)), {})


@given(st.binary(max_size=50) | st.builds(orjson.dumps, values))
def test_what_is_no_progress_is_refused(body: bytes) -> None:
    """Any other bytes raise `Undecodable`, and nothing else."""
    with pytest.raises(Undecodable):
        snapshot.decode(body, {})


@given(progresses, stored, st.data())
def test_a_damaged_document_is_refused_or_read(
    progress: Progress, results: snapshot.Results, data: st.DataObject
) -> None:
    """Whatever is put into one field: `Undecodable`, or a progress, but never another error."""
    document = orjson.loads(encode(progress, results))
    document[data.draw(st.sampled_from(sorted(document)))] = data.draw(values)
    try:
        found, _ = snapshot.decode(orjson.dumps(document), parts(results))
    except Undecodable:
        return
    assert isinstance(found, Progress)


JUNK = st.none() | st.booleans() | st.integers(-3, 30) | st.sampled_from(["x", "", 1e300, [], [1], {}, "SUCCEEDED"])


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_a_forged_snapshot_harms_nobody_else(data: st.DataObject) -> None:
    """Whatever stands anywhere in it, with a right checksum: it is refused as it is read, or every look at it works."""
    progress = Progress(
        [Slot(StepStatus.STARTED, work=Work.ACTION, running=True, sent=(1, 0, 0)), Slot(), Slot()], begun=True,
        reason=Reason(CauseKind.CANCEL, "no", "me", 1), park=Park(1, ParkReason.STEP, "a", "x"), deadline=9.0,
    )  # fmt: skip
    document = orjson.loads(encode(progress, (b"1", None, None)))
    place: Any = document
    while True:
        at = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else list(range(len(place)))))
        if not isinstance(place[at], dict | list) or not place[at] or data.draw(st.booleans()):
            break
        place = place[at]
    place[at] = data.draw(JUNK)
    found = record(orjson.dumps(document), definition=SAGA.definition)

    order_status(found, REGISTRY, CODEC)
    try:
        OrderBehaviour(REGISTRY, CODEC).decode(found)
    except Undecodable:
        return


def test_a_newer_format_is_refused_politely() -> None:
    """The error says what to do."""
    with pytest.raises(Undecodable, match="format 2, and this release reads 1: install a newer one"):
        snapshot.decode(b'{"format": 2}', {})


def test_a_missing_row_is_damage() -> None:
    """A result that should be there and is not stops the order."""
    progress = Progress(slots=[Slot(status=StepStatus.SUCCEEDED)])

    with pytest.raises(Undecodable):
        snapshot.decode(encode(progress, (b'"' + b"x" * 2000 + b'"',)), {})


def test_an_order_that_was_never_begun_stands_at_its_start() -> None:
    """It has no body yet, and as many slots as its saga."""
    assert (Progress(slots=[Slot(), Slot()]), (None, None)) == snapshot.restore(record(b"", revision=0), 2)


def test_a_damaged_record_is_refused() -> None:
    """What the store says is wrong is the reason."""
    body = encode(Progress(slots=[Slot()]), (None,))

    with pytest.raises(Undecodable, match="the checksum"):
        snapshot.restore(record(body, damage="the checksum"), 1)
    with pytest.raises(Undecodable, match="has 1 steps and the saga 2"):
        snapshot.restore(record(body), 2)


@pytest.mark.parametrize("body", [b"", encode(Progress(slots=[Slot()]), (None,))])
def test_a_quarantined_order_is_parked(body: bytes) -> None:
    """Also one whose very first turn raised, so that an operator can retry it."""
    progress, _ = snapshot.restore(record(body, quarantine="KeyError: 3"), 1)

    assert Park(1, ParkReason.CRASH_LOOP, None, "KeyError: 3") == progress.park


def test_a_quarantine_does_not_hide_an_older_park() -> None:
    """The operator sees the number that the order itself gave."""
    park = Park(4, ParkReason.STEP, "mail")
    body = encode(Progress(slots=[Slot()], park=park, parks=4), (None,))

    assert park == snapshot.restore(record(body, quarantine="KeyError: 3"), 1)[0].park
