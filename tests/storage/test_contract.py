"""What every store promises; each test runs against the one in SQLite and the one in memory."""

import asyncio
from typing import Any

import pytest
from attrs import evolve

from atone.storage import (
    Accept,
    Accepted,
    Advance,
    Count,
    Create,
    Created,
    Definition,
    Done,
    Duplicate,
    Entry,
    Exists,
    Fenced,
    Finished,
    Full,
    HistoryRow,
    Holder,
    Lane,
    Lease,
    NotFound,
    Phase,
    Purge,
    Purged,
    Quarantine,
    Query,
    Record,
    Renew,
    Snapshot,
    Stale,
    Store,
    StoreClosed,
    StoreError,
    Tombstone,
    Unexpected,
    Unseen,
    Write,
)

pytestmark = pytest.mark.anyio

ORDER = Definition("order", 1, "f1")
HOLDER = Holder("host", "machine", "boot", "namespace", 7, "99")
LONE_SURROGATE = "\ud800"


def entry(event: str = "STEP") -> Entry:
    """A line of history that fills every field."""
    return Entry(event, "RUNNING", "RUNNING", "charge", 1, "boom", "by alice", "charge/action/1")


def create(id: str, **changes: Any) -> Create:
    """A new actor at work, not begun."""
    created = Create(id, ORDER, b"input", 1.0, Snapshot("RUNNING", Phase.ACTIVE, b"one"), (entry("STARTED"),))
    return evolve(created, **changes)


def advance(key: int, revision: int, epoch: int, phase: Phase = Phase.ACTIVE, **changes: Any) -> Advance:
    """A transition to `revision`."""
    status = {Phase.FINAL: "COMPLETED", Phase.IDLE: "WAITING", Phase.ACTIVE: "RUNNING"}[phase]
    now = Snapshot(status, phase, f"body {revision}".encode())
    return evolve(Advance(key, revision, epoch, 2.0, now, (entry(),)), **changes)


def accept(actor: str, id: str, lane: Lane = Lane.DATA, limit: int = 10) -> Accept:
    """A message."""
    return Accept(actor, id, lane, "Approve", b"message " + id.encode(errors="replace"), 3.0, limit)


async def own(store: Store) -> int:
    """Take the lease; its epoch."""
    lease = await store.claim(HOLDER, expected=await store.lease(), at=1.0)
    assert lease is not None
    return lease.epoch


async def begin(store: Store, id: str, **changes: Any) -> int:
    """Create an actor; its key."""
    result = await store.write(create(id, **changes))
    assert isinstance(result, Created)
    return result.key


async def found(store: Store, id: str) -> Record:
    """An actor that is there."""
    record = await store.find(id)
    assert isinstance(record, Record)
    return record


async def put(store: Store, actor: str, id: str, lane: Lane = Lane.DATA, limit: int = 10) -> int:
    """Have a message accepted; its number."""
    result = await store.write(accept(actor, id, lane, limit))
    assert isinstance(result, Accepted)
    return result.seq


async def together(store: Store, *writes: Write[Any]) -> list[Any]:
    """Submit writes that wait at the same time, and wait for all of them."""
    return list(await asyncio.gather(*(store.write(write) for write in writes), return_exceptions=True))


# ── creating and advancing ────────────────────────────────────────────────────────────────────────


async def test_created_actor_is_found_whole(store: Store) -> None:
    """Everything that a creation names is read back."""
    key = await begin(store, "a", parts=(("0", b"large"),), snapshot=Snapshot("NEW", Phase.IDLE, b"b", 9.5, 2))
    record = await found(store, "a")
    assert record == Record(
        key=key,
        id="a",
        definition=ORDER,
        revision=0,
        epoch=0,
        created_at=1.0,
        updated_at=1.0,
        snapshot=Snapshot("NEW", Phase.IDLE, b"b", 9.5, 2),
        quarantine=None,
        input=b"input",
        parts={"0": b"large"},
    )
    assert await store.load([key]) == [record]
    (row,) = await store.history(key, after=-1, limit=10)
    assert (row.key, row.revision, row.entry) == (key, 0, entry("STARTED"))


async def test_keys_rise_in_order_of_arrival(store: Store) -> None:
    """A later actor has a higher key, also when several share a commit."""
    first = await begin(store, "a")
    second, third = await together(store, create("b"), create("c"))
    assert first < second.key < third.key


async def test_any_text_and_any_bytes_come_back(store: Store) -> None:
    """Ids of any characters, control characters too, and bodies of all bytes survive the round trip."""
    id, body = "ö/\x00'\"; drop table actors --\U0001f600", bytes(range(256))
    await begin(store, id, input=body)
    assert (await found(store, id)).input == body


async def test_owner_creates_at_its_revision(store: Store) -> None:
    """The owner may create an actor that has begun already."""
    epoch = await own(store)
    key = await begin(store, "a", revision=1, epoch=epoch)
    record = await found(store, "a")
    assert (record.key, record.revision, record.epoch) == (key, 1, epoch)


async def test_creating_twice_answers_with_the_first(store: Store, other: Store) -> None:
    """An id is taken for ever, in the same commit, the same store and another one."""
    one, two = await together(store, create("a"), create("a", input=b"else"))
    assert isinstance(one, Created)
    assert isinstance(two, Exists)
    assert two.record.input == b"input"
    assert await other.write(create("a")) == Exists(await found(store, "a"))


async def test_advance_replaces_the_state_whole(store: Store) -> None:
    """One transition writes snapshot, timer, history, answers and parts together."""
    epoch, key = await own(store), await begin(store, "a", parts=(("0", b"old"), ("1", b"kept")))
    seq = await put(store, "a", "m")
    now = Snapshot("WAITING", Phase.IDLE, b"two", 5.0, 1)
    write = advance(key, 1, epoch, snapshot=now, consumed=((seq, "ok"),), parts=(("0", b"new"), ("2", b"more")))
    assert await store.write(write) == Done()
    (record,) = await store.load([key])
    assert (record.revision, record.epoch, record.updated_at, record.snapshot) == (1, epoch, 2.0, now)
    assert record.created_at == 1.0
    assert record.parts == {"0": b"new", "1": b"kept", "2": b"more"}
    assert record.messages == ()
    assert await store.answer(seq) == "ok"
    assert [row.entry for row in await store.history(key, after=0, limit=10)] == [entry()]


async def test_a_move_of_nobody_leaves_nothing(store: Store) -> None:
    """However many there are in a batch, whatever else is in it: they are stale, and the others are done."""
    epoch, key = await own(store), await begin(store, "a")
    writes = [advance(key + 7, 1, epoch), advance(key, 1, epoch), advance(key + 8, 1, epoch, in_place=True)]

    assert await asyncio.gather(*map(store.write, writes)) == [Stale(), Done(), Stale()]
    assert [record.id for record in await store.list(Query(), 10)] == ["a"]
    assert await store.history(key + 7, after=0, limit=10) == []
    assert await store.write(advance(key, 2, epoch)) == Done()


async def test_a_move_in_place_is_one(store: Store) -> None:
    """An actor that is wrong about what stays is written in full all the same; a wrong revision is stale."""
    epoch, key = await own(store), await begin(store, "a")
    last = (await found(store, "a")).snapshot

    changes: tuple[dict[str, Any], ...] = (
        {"body": b"two", "deaths": 2},
        {"status": "ELSE"},
        {"phase": Phase.IDLE},
        {"wake_at": 3.0},
    )
    for revision, change in enumerate(changes, 1):
        last = evolve(last, **change)
        assert await store.write(advance(key, revision, epoch, snapshot=last, in_place=True)) == Done()
        assert (await found(store, "a")).snapshot == last
    assert await store.write(advance(key, 9, epoch, snapshot=last, in_place=True)) == Stale()


async def test_stale_advance_changes_nothing(store: Store) -> None:
    """A guard on the revision that does not match leaves no trace: no history, no answer, no part."""
    epoch, key = await own(store), await begin(store, "a")
    seq = await put(store, "a", "m")
    before = await store.load([key])
    for revision in (0, 2):
        write = advance(key, revision, epoch, consumed=((seq, "ok"),), parts=(("0", b"x"),))
        assert await store.write(write) == Stale()
    assert await store.write(advance(key + 1, 1, epoch)) == Stale()
    assert await store.load([key]) == before
    assert len(await store.history(key, after=-1, limit=10)) == 1
    assert await store.answer(seq) is None


async def test_advance_with_a_message_that_does_not_wait_is_stale(store: Store) -> None:
    """A message is consumed once, and only by its own actor."""
    epoch, key, stranger = await own(store), await begin(store, "a"), await begin(store, "b")
    seq = await put(store, "a", "m")
    assert await store.write(advance(stranger, 1, epoch, consumed=((seq, "x"),))) == Stale()
    assert await store.write(advance(key, 1, epoch, consumed=((seq, "ok"),))) == Done()
    assert await store.write(advance(key, 2, epoch, consumed=((seq, "again"),))) == Stale()
    assert await store.write(advance(key, 2, epoch, consumed=((99, "?"),))) == Stale()
    assert await store.answer(seq) == "ok"
    assert ((await found(store, "a")).revision, (await found(store, "b")).revision) == (1, 0)


async def test_writes_of_another_epoch_are_fenced(store: Store, other: Store) -> None:
    """After a takeover the owner before changes nothing at all; a release does not need the epoch."""
    epoch, key = await own(store), await begin(store, "a")
    await own(other)
    refused = await together(
        store,
        advance(key, 1, epoch),
        create("b", revision=1, epoch=epoch),
        Quarantine(key, 1, epoch, 2.0, "PARKED", "why", entry()),
        Renew(epoch, 2.0),
    )
    assert refused == [Fenced()] * 4
    assert (await found(store, "a")).revision == 0
    assert await store.find("b") is None
    await store.release(epoch, 9.0)
    assert (await store.lease()).holder == HOLDER


async def test_fenced_write_does_not_harm_its_neighbours(store: Store) -> None:
    """In one batch, only the write of the wrong epoch is refused."""
    epoch, key = await own(store), await begin(store, "a")
    results = await together(store, advance(key, 1, epoch + 1), advance(key, 1, epoch), create("b"))
    assert results[:2] == [Fenced(), Done()]
    assert isinstance(results[2], Created)


async def test_unseen_message_holds_a_final_state_back(store: Store) -> None:
    """With `waiting`, a commit finds an unconsumed message that the actor does not know of."""
    epoch, key = await own(store), await begin(store, "a")
    first, second = await put(store, "a", "m1"), await put(store, "a", "m2")
    final = advance(key, 1, epoch, Phase.FINAL, waiting=0, consumed=((first, "ok"),))
    assert await store.write(final) == Unseen()
    assert await store.answer(first) is None
    assert (await found(store, "a")).revision == 0
    assert await store.write(evolve(final, consumed=((first, "ok"), (second, "ok")))) == Done()


async def test_known_messages_and_those_of_others_hold_nothing_back(store: Store) -> None:
    """The guard concerns messages of this actor alone, beyond those it says it knows."""
    epoch, key, _ = await own(store), await begin(store, "a"), await begin(store, "b")
    await put(store, "a", "m1")
    await put(store, "b", "m2")
    assert await store.write(advance(key, 1, epoch, waiting=0)) == Unseen()
    assert await store.write(advance(key, 1, epoch, waiting=1)) == Done()


# ── messages ──────────────────────────────────────────────────────────────────────────────────────


async def test_accepted_message_is_read_back(store: Store, other: Store) -> None:
    """Another process sees a message with everything that was sent."""
    key = await begin(store, "a")
    assert await store.write(accept("a", "m")) == Accepted(key, 1)
    (message,) = await other.messages(key)
    assert (message.seq, message.id, message.lane) == (1, "m", Lane.DATA)
    assert (message.kind, message.body, message.accepted_at) == ("Approve", b"message m", 3.0)


async def test_control_lane_comes_first_and_each_lane_in_order(store: Store) -> None:
    """Unconsumed messages come control lane first, in order of acceptance."""
    key = await begin(store, "a")
    for id, lane in (("d1", Lane.DATA), ("c1", Lane.CONTROL), ("d2", Lane.DATA), ("c2", Lane.CONTROL)):
        await put(store, "a", id, lane)
    assert [message.id for message in await store.messages(key)] == ["c1", "c2", "d1", "d2"]
    (record,) = await store.load([key])
    assert record.messages == await store.messages(key)


async def test_repeated_message_gets_the_first_answer(store: Store) -> None:
    """A message id counts once per actor and lane, before its answer, after it, and after the end."""
    epoch, key = await own(store), await begin(store, "a")
    seq = await put(store, "a", "m")
    assert await store.write(accept("a", "m")) == Duplicate(key, seq, None)
    await put(store, "a", "m", Lane.CONTROL)
    await store.write(advance(key, 1, epoch, Phase.FINAL, consumed=((seq, "ok"),)))
    assert await store.write(accept("a", "m")) == Duplicate(key, seq, "ok")
    assert await store.write(accept("a", "n")) == Finished()


async def test_duplicate_wins_over_a_full_lane(store: Store) -> None:
    """Repeating the message that filled the lane is still a repeat."""
    key = await begin(store, "a")
    assert await store.write(accept("a", "m", limit=1)) == Accepted(key, 1)
    assert await store.write(accept("a", "m", limit=1)) == Duplicate(key, 1, None)


async def test_messages_that_share_a_commit_each_get_their_own_answer(store: Store) -> None:
    """Whatever stands in the way of one of them, and however many are for one actor."""
    epoch, a = await own(store), await begin(store, "a")
    await begin(store, "b", definition=Definition("refund", 1, "f"))
    ended = await begin(store, "ended")
    await store.write(advance(ended, 1, epoch, Phase.FINAL))
    never = evolve(accept("b", "m"), unexpected_by=(Definition("refund", 1, "f"),))
    wanted = evolve(accept("a", "n2"), unexpected_by=(Definition("refund", 1, "f"),))
    results = await together(
        store, accept("a", "m1", limit=2), accept("nobody", "m"), wanted, accept("ended", "m"), never,
        accept("a", "m3", limit=2), accept("a", "c", Lane.CONTROL), accept("b", "m"),
    )  # fmt: skip
    assert results[1] == NotFound()
    assert results[3:6] == [Finished(), Unexpected(), Full(2)]
    assert all(isinstance(results[place], Accepted) for place in (0, 2, 6, 7))
    assert len({results[place].seq for place in (0, 2, 6, 7)}) == 4
    assert [message.id for message in await store.messages(a)] == ["c", "m1", "n2"]
    assert type(await store.write(accept("a", "later"))) is Accepted


async def test_an_id_that_comes_twice_in_one_commit_is_accepted_once(store: Store) -> None:
    """And harms no other message beside it."""
    await begin(store, "a")
    await begin(store, "b")
    results = await together(store, accept("a", "m"), accept("b", "m"), accept("a", "m"), accept("b", "n"))
    assert [type(result) for result in results] == [Accepted, Accepted, Duplicate, Accepted]
    assert results[2].seq == results[0].seq
    unread = await store.unread(Lane.DATA, 0, 9)
    assert {results[0].seq, results[1].seq, results[3].seq} == {seq for seq, _ in unread}


async def test_a_message_that_an_actor_never_takes_is_not_accepted(store: Store) -> None:
    """Be it live or ended; one that was purged is only known to have ended."""
    epoch, key = await own(store), await begin(store, "a")
    never = evolve(accept("a", "m"), unexpected_by=(ORDER,))
    assert await store.write(never) == Unexpected()
    await store.write(advance(key, 1, epoch, Phase.FINAL))
    assert await store.write(never) == Unexpected()
    assert await store.write(Purge(99.0, 9)) == 1
    assert await store.write(never) == Finished()


async def test_lanes_fill_independently(store: Store) -> None:
    """A flood of data neither keeps a control message out nor another actor's; consuming makes room."""
    epoch, key, _ = await own(store), await begin(store, "a"), await begin(store, "b")
    seqs = [await put(store, "a", f"m{number}") for number in range(2)]
    assert await store.write(accept("a", "m3", limit=2)) == Full(2)
    await put(store, "a", "m3", Lane.CONTROL)
    await put(store, "b", "m3")
    await store.write(advance(key, 1, epoch, consumed=((seqs[0], "ok"),)))
    await put(store, "a", "m3", limit=2)


async def test_message_to_nobody_is_not_found(store: Store) -> None:
    """An id that was never created here answers so, and nothing is kept for it."""
    assert await store.write(accept("a", "m")) == NotFound()
    key = await begin(store, "a")
    assert await store.messages(key) == ()


async def test_message_reaches_an_actor_created_beside_it(store: Store) -> None:
    """A creation and a message that share a commit both come about."""
    results = await together(store, create("a"), accept("a", "m"))
    assert [type(result) for result in results] == [Created, Accepted]


async def test_unread_lists_waiting_messages_in_order(store: Store) -> None:
    """The scan for new messages takes up where it stopped and never repeats a consumed one."""
    epoch, a, b = await own(store), await begin(store, "a"), await begin(store, "b")
    seqs = [await put(store, actor, f"m{number}") for number, actor in enumerate("abab")]
    seqs.append(await put(store, "a", "cancel", lane=Lane.CONTROL))
    lines = [(seqs[0], a), (seqs[1], b), (seqs[2], a), (seqs[3], b)]
    assert await store.unread(Lane.CONTROL, 0, 10) == [(seqs[4], a)]
    assert await store.unread(Lane.DATA, 0, 10) == lines
    assert await store.unread(Lane.DATA, seqs[0], 2) == lines[1:3]
    await store.write(advance(b, 1, epoch, consumed=((seqs[1], "ok"),)))
    assert await store.unread(Lane.DATA, seqs[0], 10) == lines[2:]


async def test_answer_of_an_unknown_message_is_none(store: Store) -> None:
    """A message that waits, and one that is not there, have no answer."""
    await begin(store, "a")
    assert await store.answer(await put(store, "a", "m")) is None
    assert await store.answer(99) is None


# ── quarantine ────────────────────────────────────────────────────────────────────────────────────


async def test_quarantine_stops_an_actor_and_keeps_its_bytes(store: Store) -> None:
    """The state's bytes, timers of nobody else and the count of deaths stay; messages still arrive."""
    epoch = await own(store)
    key = await begin(store, "a", snapshot=Snapshot("RUNNING", Phase.ACTIVE, b"one", 4.0, 3))
    quarantine = Quarantine(key, 1, epoch, 5.0, "PARKED", "cannot be read", entry("QUARANTINED"))
    assert await store.write(quarantine) == Done()
    assert await store.write(quarantine) == Stale()
    (record,) = await store.load([key])
    assert record.snapshot == Snapshot("PARKED", Phase.IDLE, b"one", None, 3)
    assert (record.quarantine, record.revision, record.damage) == ("cannot be read", 1, None)
    assert (record.epoch, record.updated_at) == (epoch, 5.0)
    assert [row.entry.event for row in await store.history(key, after=0, limit=9)] == ["QUARANTINED"]
    await put(store, "a", "m")


async def test_advance_ends_a_quarantine(store: Store) -> None:
    """Whoever moves the actor on has understood it."""
    epoch, key = await own(store), await begin(store, "a")
    await store.write(Quarantine(key, 1, epoch, 5.0, "PARKED", "why", entry()))
    assert await store.write(advance(key, 2, epoch)) == Done()
    record = await found(store, "a")
    assert (record.quarantine, record.damage) == (None, None)


# ── batches ───────────────────────────────────────────────────────────────────────────────────────


async def test_bad_writes_never_harm_their_batch(store: Store) -> None:
    """Of a hundred writes at once, those that cannot be done fail alone, each with its own answer."""
    epoch = await own(store)
    keys = [await begin(store, f"old {number}") for number in range(3)]
    writes: list[Write[Any]] = [create(f"new {number}") for number in range(94)]
    writes[10:10] = [create(LONE_SURROGATE), advance(keys[0], 7, epoch), create("old 1")]
    writes[50:50] = [advance(keys[1], 1, epoch), accept("old 2", LONE_SURROGATE), accept("old 2", "m")]
    results = await together(store, *writes)
    assert len(results) == 100
    odd = {place: result for place, result in enumerate(results) if not isinstance(result, Created)}
    assert list(odd) == [10, 11, 12, 50, 51, 52]
    assert isinstance(odd[10], StoreError)
    assert odd[11] == Stale()
    assert odd[12].record.key == keys[1]
    assert odd[50] == Done()
    assert isinstance(odd[51], StoreError)
    assert isinstance(odd[52], Accepted)
    assert len(await store.list(Query(), 200)) == 97


async def test_refused_write_leaves_nothing_behind(store: Store) -> None:
    """A write whose last row is refused has not written its first."""
    epoch, key = await own(store), await begin(store, "a")
    seq = await put(store, "a", "m")
    bad = (entry(), entry(LONE_SURROGATE))
    write = advance(key, 1, epoch, history=bad, consumed=((seq, "ok"),), parts=(("0", b"x"),))
    results = await together(store, write, create("b", history=bad, definition=Definition("new", 1, "")))
    assert all(isinstance(result, StoreError) for result in results)
    record = await found(store, "a")
    assert (record.revision, record.parts) == (0, {})
    assert await store.answer(seq) is None
    assert await store.find("b") is None
    await begin(store, "c", definition=Definition("new", 1, ""))
    assert (await found(store, "c")).definition == Definition("new", 1, "")


async def test_error_of_a_refused_write_names_no_payload(store: Store) -> None:
    """What an error says may be logged anywhere."""
    with pytest.raises(StoreError) as caught:
        await store.write(create(f"secret {LONE_SURROGATE}"))
    assert "secret" not in str(caught.value)


async def test_many_more_writes_than_one_commit_takes(store: Store) -> None:
    """All of 1,500 writes with large bodies come about."""
    results = await together(store, *(create(f"{number}", input=b"x" * 4096) for number in range(1500)))
    assert all(isinstance(result, Created) for result in results)


async def test_callbacks_come_later_once_each_and_survive_one_that_raises(store: Store) -> None:
    """`submit` never calls back before it returns, and one bad callback takes no other's answer."""
    loop, reported = asyncio.get_running_loop(), list[Any]()
    loop.set_exception_handler(lambda _, context: reported.append(context))
    answers: list[Any] = []
    finished = asyncio.Event()

    def bad(result: object) -> None:
        raise RuntimeError("mine")

    def last(result: object) -> None:
        answers.append(result)
        finished.set()

    store.submit(create("a"), bad)
    store.submit(create("b"), answers.append)
    store.submit(create("c"), last)
    assert answers == []
    await finished.wait()
    assert [type(answer) for answer in answers] == [Created, Created]
    assert [str(context["exception"]) for context in reported] == ["mine"]


async def test_write_goes_on_when_its_caller_is_cancelled(store: Store) -> None:
    """A cancelled caller loses only its answer."""
    task = asyncio.create_task(store.write(create("a")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await begin(store, "b")
    assert (await found(store, "a")).revision == 0


# ── the lease ─────────────────────────────────────────────────────────────────────────────────────


async def test_new_store_has_no_owner(store: Store) -> None:
    """Nobody holds a new store."""
    assert await store.lease() == Lease(0, None, 0.0, None)


async def test_only_one_of_several_claims_wins(store: Store, other: Store) -> None:
    """Of all who saw the same lease, one takes it."""
    seen = await store.lease()
    claims = await asyncio.gather(
        *(claimant.claim(HOLDER, expected=seen, at=2.0) for claimant in (store, other, store, other))
    )
    won = [lease for lease in claims if lease is not None]
    assert won == [Lease(1, HOLDER, 2.0, None)]
    assert await store.lease() == won[0]


async def test_takeover_from_a_holder_that_never_released_says_so(store: Store, other: Store) -> None:
    """The new owner learns whose work to count as a death; after a release there was none."""
    epoch = await own(store)
    taken = await other.claim(HOLDER, expected=await other.lease(), at=3.0)
    assert taken == Lease(epoch + 1, HOLDER, 3.0, died=epoch)
    await other.release(epoch + 1, 4.0)
    free = await store.lease()
    assert free == Lease(epoch + 1, None, 4.0, died=epoch)
    assert await store.claim(HOLDER, expected=free, at=5.0) == Lease(epoch + 2, HOLDER, 5.0, died=None)


async def test_owner_that_has_beaten_meanwhile_is_not_replaced(store: Store, other: Store) -> None:
    """A claim may wait long for the disk, and the owner that seemed gone may come back before it."""
    epoch = await own(store)
    seen = await other.lease()
    assert await store.write(Renew(epoch, seen.beat_at + 1)) == Done()
    assert await other.claim(HOLDER, expected=seen, at=3.0) is None
    assert (await other.lease()).epoch == epoch


async def test_heartbeat_is_kept(store: Store, other: Store) -> None:
    """The owner's last beat is seen by others."""
    epoch = await own(store)
    assert await store.write(Renew(epoch, 42.0)) == Done()
    assert (await other.lease()).beat_at == 42.0


async def test_foreign_notices_only_the_commits_of_others(store: Store, other: Store) -> None:
    """Own commits are silent, those of another process show once."""
    assert not await store.foreign()
    await begin(store, "a")
    assert not await store.foreign()
    await begin(other, "b")
    assert await store.foreign()
    assert not await store.foreign()


# ── scans ─────────────────────────────────────────────────────────────────────────────────────────


async def test_active_pages_through_actors_at_work(store: Store) -> None:
    """Only active actors, in order of arrival, page by page."""
    epoch = await own(store)
    keys = [await begin(store, f"{number}") for number in range(6)]
    await store.write(advance(keys[1], 1, epoch, Phase.IDLE))
    await store.write(advance(keys[2], 1, epoch, Phase.FINAL))
    assert await store.active(after=0, limit=2, frail=False, deaths=3) == [keys[0], keys[3]]
    assert await store.active(after=keys[3], limit=9, frail=False, deaths=3) == keys[4:]


async def test_frail_actors_are_scanned_apart(store: Store) -> None:
    """Those with at least so many deaths are one scan, all others the other."""
    keys = [
        await begin(store, f"{deaths}", snapshot=Snapshot("RUNNING", Phase.ACTIVE, b"", deaths=deaths))
        for deaths in (0, 3, 2, 4)
    ]
    assert await store.active(after=0, limit=9, frail=True, deaths=3) == [keys[1], keys[3]]
    assert await store.active(after=0, limit=9, frail=False, deaths=3) == [keys[0], keys[2]]


async def test_unbegun_are_those_at_revision_zero(store: Store) -> None:
    """An actor leaves the list with its first transition."""
    epoch = await own(store)
    keys = [await begin(store, f"{number}") for number in range(3)]
    await begin(store, "begun", revision=1, epoch=epoch)
    await store.write(advance(keys[0], 1, epoch))
    assert await store.unbegun(0, 9) == keys[1:]
    assert await store.unbegun(0, 1) == keys[1:2]
    assert await store.unbegun(keys[1], 9) == keys[2:]


async def test_due_are_idle_actors_whose_timer_passed(store: Store) -> None:
    """Longest overdue first; neither active nor ended ones, and the timer follows the snapshot."""
    epoch = await own(store)

    async def timer(id: str, phase: Phase, wake_at: float | None) -> int:
        return await begin(store, id, snapshot=Snapshot("S", phase, b"", wake_at))

    assert await store.next_wake() is None
    await timer("active", Phase.ACTIVE, 1.0)
    await timer("none", Phase.IDLE, None)
    await timer("final", Phase.FINAL, 1.0)
    later, sooner = await timer("later", Phase.IDLE, 20.0), await timer("sooner", Phase.IDLE, 10.0)
    assert await store.next_wake() == 10.0
    assert await store.due(9.9, 9) == []
    assert await store.due(10.0, 9) == [sooner]
    assert await store.due(30.0, 9) == [sooner, later]
    assert await store.due(30.0, 1) == [sooner]
    await store.write(advance(sooner, 1, epoch, Phase.IDLE))
    assert await store.due(30.0, 9) == [later]
    assert await store.next_wake() == 20.0


async def test_load_leaves_missing_keys_out(store: Store) -> None:
    """Many keys at once, in order of arrival whatever the order of asking."""
    keys = [result.key for result in await together(store, *(create(f"{number}") for number in range(600)))]
    records = await store.load([*reversed(keys), 10_000])
    assert [record.key for record in records] == keys
    assert await store.load([]) == []


async def test_find_leaves_messages_out_and_unknown_ids_too(store: Store) -> None:
    """A look from outside costs no inbox."""
    await begin(store, "a")
    await put(store, "a", "m")
    assert (await found(store, "a")).messages == ()
    assert await store.find("b") is None


# ── history ───────────────────────────────────────────────────────────────────────────────────────


async def test_history_never_splits_a_revision(store: Store) -> None:
    """Each page ends where a revision ends, and the pages together are everything once, in order."""
    epoch, key = await own(store), await begin(store, "a")
    await begin(store, "other")
    for revision, lines in enumerate((2, 3, 1, 4), 1):
        events = tuple(entry(f"{revision}.{line}") for line in range(lines))
        await store.write(advance(key, revision, epoch, history=events))
    whole = await store.history(key, after=-1, limit=100)
    assert [row.revision for row in whole] == [0, 1, 1, 2, 2, 2, 3, 4, 4, 4, 4]
    assert [row.seq for row in whole] == sorted(row.seq for row in whole)
    for limit in range(12):
        pages: list[HistoryRow] = []
        after = -1
        while page := await store.history(key, after=after, limit=limit):
            after = page[-1].revision
            pages += page
        assert pages == whole


async def test_history_of_nobody_is_empty(store: Store) -> None:
    """A key without an actor has no history."""
    assert await store.history(1, after=-1, limit=10) == []


async def test_tail_tells_watchers_what_changed(store: Store, other: Store) -> None:
    """New history of all actors comes in order, above the number last seen."""
    assert await store.last_seq() == 0
    epoch, key = await own(store), await begin(store, "a")
    await begin(other, "b")
    seen = await store.last_seq()
    await store.write(advance(key, 1, epoch, history=(entry(), entry())))
    assert [id for _, id in await other.tail(0, 10)] == ["a", "b", "a", "a"]
    assert await other.tail(seen, 1) == [(seen + 1, "a")]
    assert await store.last_seq() == seen + 2


# ── listing and counting ──────────────────────────────────────────────────────────────────────────


async def test_list_filters_and_pages(store: Store) -> None:
    """Every part of a query narrows; `None` matches all; pages follow the order of arrival."""
    for number in range(8):
        kind, status = ("order", "refund")[number % 2], ("RUNNING", "PARKED")[number // 4]
        snapshot = Snapshot(status, Phase.IDLE if number % 3 else Phase.ACTIVE, b"")
        await begin(store, f"{number}", definition=Definition(kind, 1, ""), snapshot=snapshot, at=float(number))

    async def ids(query: Query, limit: int = 100) -> str:
        return "".join(record.id for record in await store.list(query, limit))

    assert await ids(Query()) == "01234567"
    assert await ids(Query(), 3) == "012"
    assert await ids(Query(status=("PARKED",))) == "4567"
    assert await ids(Query(status=("PARKED", "RUNNING", "PARKED", "NONE"))) == "01234567"
    assert await ids(Query(status=("PARKED",)), 2) == "45"
    assert await ids(Query(status=())) == ""
    assert await ids(Query(kind="refund")) == "1357"
    assert await ids(Query(kind="none", status=("PARKED",))) == ""
    assert await ids(Query(status=("PARKED",), kind="order", created_before=6.0)) == "4"
    assert await ids(Query(created_before=2.0)) == "01"
    page = await store.list(Query(status=("PARKED",)), 2)
    assert await ids(Query(status=("PARKED",), after_key=page[-1].key)) == "67"
    assert await ids(Query(after_key=page[-1].key), 1) == "6"


async def test_listed_actors_carry_input_and_parts(store: Store) -> None:
    """A listed record is the one that `find` gives."""
    await begin(store, "a", parts=(("0", b"p"),))
    await put(store, "a", "m")
    assert await store.list(Query(), 10) == [await found(store, "a")]


async def test_count_groups_by_definition_and_status(store: Store) -> None:
    """Counting needs no listing, and takes the same filters."""
    newer = Definition("order", 2, "f2")
    for number in range(5):
        snapshot = Snapshot("PARKED" if number == 4 else "RUNNING", Phase.ACTIVE, b"")
        definition = ORDER if number < 3 else newer
        await begin(store, f"{number}", definition=definition, snapshot=snapshot, at=float(number))
    running, newer_running = (
        Count(ORDER, "RUNNING", Phase.ACTIVE, 3),
        Count(newer, "RUNNING", Phase.ACTIVE, 1),
    )
    parked = Count(newer, "PARKED", Phase.ACTIVE, 1)
    assert await store.count(Query()) == [running, parked, newer_running]
    assert await store.count(Query(status=("PARKED",))) == [parked]
    assert await store.count(Query(kind="refund")) == []
    assert await store.count(Query(created_before=2.0)) == [evolve(running, number=2)]
    assert await store.count(Query(after_key=(await found(store, "3")).key)) == [parked]


async def test_live_counts_to_a_limit_and_leaves_out_what_has_ended(store: Store) -> None:
    """Nobody who only wants to be warned has to wait until a million are counted."""
    newer = Definition("order", 2, "f2")
    for number in range(9):
        phase = (Phase.ACTIVE, Phase.IDLE, Phase.FINAL)[number % 3]
        definition = ORDER if number < 6 else newer
        await begin(store, f"{number}", definition=definition, snapshot=Snapshot(phase.name, phase, b""))
    assert await store.live(1) == [
        Count(ORDER, "ACTIVE", Phase.ACTIVE, 1),
        Count(ORDER, "IDLE", Phase.IDLE, 1),
        Count(newer, "ACTIVE", Phase.ACTIVE, 1),
        Count(newer, "IDLE", Phase.IDLE, 1),
    ]
    assert [count.number for count in await store.live(9)] == [2, 2, 1, 1]


# ── purging ───────────────────────────────────────────────────────────────────────────────────────


async def test_purge_takes_the_oldest_finals_in_bounded_batches(store: Store) -> None:
    """Live actors and young ones stay; each call takes at most its limit, the longest ended first."""
    epoch = await own(store)
    for number in range(6):
        key = await begin(store, f"{number}")
        if number != 5:
            await store.write(advance(key, 1, epoch, Phase.FINAL, at=10.0 - number))
    assert await store.write(Purge(before=10.0, limit=3)) == 3
    assert [record.id for record in await store.list(Query(), 9)] == ["0", "1", "5"]
    assert await store.write(Purge(before=10.0, limit=3)) == 1
    assert await store.write(Purge(before=10.0, limit=3)) == 0
    assert [record.id for record in await store.list(Query(), 9)] == ["0", "5"]


async def test_purged_actor_leaves_a_tombstone_and_nothing_else(store: Store) -> None:
    """Its id stays taken, its messages are refused, and its history is gone with it."""
    epoch, key = await own(store), await begin(store, "a", parts=(("0", b"p"),))
    seq = await put(store, "a", "m")
    kept = await begin(store, "b")
    await store.write(advance(key, 1, epoch, Phase.FINAL, consumed=((seq, "ok"),)))
    assert await store.write(Purge(9.0, 9)) == 1
    tombstone = Tombstone("a", ORDER, "COMPLETED", 2.0)
    assert await store.find("a") == tombstone
    assert await together(store, create("a"), create("c")) == [Purged(tombstone), Created(kept + 1)]
    assert await store.write(accept("a", "m")) == Finished()
    assert await store.load([key]) == []
    assert await store.answer(seq) is None
    assert await store.history(key, after=-1, limit=9) == []
    assert [id for _, id in await store.tail(0, 9)] == ["b", None, "c"]
    assert await store.write(advance(key, 2, epoch)) == Stale()


async def test_keys_are_never_used_twice(store: Store) -> None:
    """A new actor does not inherit the key of a purged one, even of the last."""
    epoch, key = await own(store), await begin(store, "a")
    await store.write(advance(key, 1, epoch, Phase.FINAL))
    await store.write(Purge(9.0, 9))
    assert await begin(store, "b") > key


async def test_watchers_miss_nothing_when_the_newest_lines_are_purged(store: Store, other: Store) -> None:
    """A number that a watcher has seen is not given to a new line, however often there is a purge."""
    epoch, seen = await own(store), 0
    for number in range(3):
        key = await begin(store, f"{number}")
        await store.write(advance(key, 1, epoch, Phase.FINAL))
        *_, (seen, id) = await other.tail(seen, 9)
        assert id == f"{number}"
        assert await store.write(Purge(9.0, 9)) == 1
    assert await other.tail(0, 9) == [(seen + 1, None)]
    await begin(store, "new")
    assert [id for _, id in await other.tail(seen, 9)] == [None, "new"]


# ── opening and closing ───────────────────────────────────────────────────────────────────────────


async def test_close_finishes_what_was_submitted(store: Store, other: Store) -> None:
    """Everything queued before the close is on disk and answered."""
    answers: list[Any] = []
    for number in range(700):
        store.submit(create(f"{number}"), answers.append)
    await store.close()
    await asyncio.sleep(0)
    assert [type(answer) for answer in answers] == [Created] * 700
    assert len(await other.list(Query(), 1000)) == 700


async def test_closed_store_says_so(store: Store) -> None:
    """After the close every call tells that the store is not open; closing twice does nothing."""
    await store.close()
    await store.close()
    for call in (
        store.write(create("a")),
        store.find("a"),
        store.lease(),
        store.foreign(),
        store.recover(),
        store.claim(HOLDER, expected=Lease(0, None, 0.0), at=1.0),
    ):
        with pytest.raises(StoreClosed):
            await call


async def test_open_store_is_not_opened_twice(store: Store) -> None:
    """Two coordinators on one store object would close it under each other's feet."""
    with pytest.raises(StoreError, match="open already"):
        await store.open()
    await begin(store, "a")


async def test_store_opens_again(store: Store) -> None:
    """A store that was closed may be opened again, and finds what it wrote."""
    await begin(store, "a")
    await store.close()
    await store.open()
    assert isinstance(await store.find("a"), Record)
    await begin(store, "b")


async def test_recover_of_a_healthy_store_loses_nothing(store: Store) -> None:
    """Recovering is safe at any time, also while writes wait."""
    waiting = [asyncio.create_task(store.write(create(f"{number}"))) for number in range(50)]
    await asyncio.gather(store.recover(), store.recover())
    assert all(isinstance(result, Created) for result in await asyncio.gather(*waiting))
    await begin(store, "after")
    assert len(await store.list(Query(), 100)) == 51
