"""Group commit, with a disk that is a list."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from atone.storage import (
    Accept,
    Advance,
    Create,
    Definition,
    DiskFailed,
    DiskFull,
    Done,
    Lane,
    Phase,
    Renew,
    Snapshot,
    StoreBusy,
    StoreClosed,
    StoreUnavailable,
    Write,
)
from atone.storage.writer import BATCH_BYTES, BATCH_WRITES, BRISK_WRITES, SLICE, Writer, answer, weigh

pytestmark = pytest.mark.anyio


def data(id: str = "m", size: int = 0, lane: Lane = Lane.DATA) -> Write[Any]:
    """A message of some size."""
    return Accept("a", id, lane, "kind", b"x" * size, 1.0, 9)


class Shelf:
    """Keeps every batch, and fails when it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[Write[Any]]] = []
        self.failure: Exception | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def commit(self, writes: list[Write[Any]]) -> list[Any]:
        self.batches.append(writes)
        await self.open.wait()
        if self.failure:
            raise self.failure
        return [Done()] * len(writes)


async def settle(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something has come about."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came about")


async def test_writes_of_one_turn_share_a_commit() -> None:
    """What waits together is committed together, in order."""
    shelf = Shelf()
    writer = Writer(shelf.commit)
    writes = [data(f"{number}") for number in range(3)]
    await asyncio.gather(*(answer(writer.submit, write) for write in writes))
    assert shelf.batches == [writes]
    await writer.close(StoreClosed("x"))


async def test_what_comes_during_a_commit_gathers_for_the_next() -> None:
    """While the disk is busy, the next batch grows; urgent writes stand first in it, a heartbeat before all."""
    shelf = Shelf()
    writer = Writer(shelf.commit)
    shelf.open.clear()
    answers: list[Any] = []
    writer.submit(data("first"), answers.append)
    await settle(lambda: bool(shelf.batches))
    late: list[Write[Any]] = [data("second"), data("third"), data("cancel", lane=Lane.CONTROL), Renew(1, 1.0)]
    for write in late:
        writer.submit(write, answers.append)
    shelf.open.set()
    await settle(lambda: len(answers) == 5)
    assert shelf.batches[1] == [late[3], late[2], late[0], late[1]]
    await writer.close(StoreClosed("x"))


async def test_a_batch_is_answered_while_the_disk_works_on_the_next() -> None:
    """Neither the disk nor the actors wait for the other, and answers keep the order of commits."""
    shelf, answers = Shelf(), list[Any]()
    writer = Writer(shelf.commit)
    for _ in range(BATCH_WRITES + 1):
        writer.submit(data(), answers.append)
    await settle(lambda: len(shelf.batches) == 1)
    shelf.open.clear()

    await settle(lambda: bool(answers))

    assert [len(batch) for batch in shelf.batches] == [BATCH_WRITES, 1]
    assert len(answers) == SLICE
    shelf.open.set()
    await writer.close(StoreClosed("x"))
    assert len(answers) == BATCH_WRITES + 1


async def test_batch_has_a_limit_of_writes() -> None:
    """An urgent write never waits for more than one commit of this size."""
    shelf, answers = Shelf(), list[Any]()
    writer = Writer(shelf.commit)
    for _ in range(2 * BATCH_WRITES + 1):
        writer.submit(data(), answers.append)
    await writer.close(StoreClosed("x"))
    assert [len(batch) for batch in shelf.batches] == [BATCH_WRITES, BATCH_WRITES, 1]


async def test_a_commit_with_something_urgent_is_a_small_one() -> None:
    """And so is the next: whoever waits for an answer waits for both."""
    shelf, answers = Shelf(), list[Any]()
    writer = Writer(shelf.commit)
    for _ in range(BATCH_WRITES):
        writer.submit(data(), answers.append)
    writer.submit(data("cancel", lane=Lane.CONTROL), answers.append)
    await writer.close(StoreClosed("x"))
    assert [len(batch) for batch in shelf.batches] == [BRISK_WRITES, BRISK_WRITES, BATCH_WRITES + 1 - 2 * BRISK_WRITES]


async def test_a_write_that_is_hurried_goes_with_the_urgent_ones() -> None:
    """As long as it waits; one that is on its way already goes once."""
    shelf, answers = Shelf(), list[Any]()
    writer = Writer(shelf.commit)
    writes = [data(f"{number}") for number in range(BATCH_WRITES + 9)]
    for write in writes:
        writer.submit(write, answers.append)
    cancel = data("cancel", lane=Lane.CONTROL)
    shelf.open.clear()
    await settle(lambda: bool(shelf.batches))
    writer.submit(cancel, answers.append)
    writer.hurry(writes[-1])
    writer.hurry(writes[0])
    shelf.open.set()
    await writer.close(StoreClosed("x"))
    assert shelf.batches[1] == [cancel, writes[-1], *writes[BATCH_WRITES:-1]]
    assert len(answers) == len(writes) + 1


async def test_nothing_is_kept_of_a_write_that_was_hurried() -> None:
    """Many are, in the life of a service."""
    shelf = Shelf()
    writer = Writer(shelf.commit)
    write = data()
    writer.submit(write, lambda _: None)
    writer.hurry(write)
    await writer.close(StoreClosed("x"))
    assert shelf.batches == [[write]]
    assert writer._hurried == []


@pytest.mark.parametrize("idle", [False, True])
async def test_an_urgent_answer_does_not_wait_for_those_of_the_batch_before(*, idle: bool) -> None:
    """Thousands of these may take longer than a small commit; whether the disk is busy meanwhile or not."""
    shelf, answers = Shelf(), list[str]()
    writer = Writer(shelf.commit)
    for _ in range(BATCH_WRITES):
        writer.submit(data(), lambda _: answers.append("ordinary"))
    await settle(lambda: bool(answers if idle else shelf.batches))
    writer.submit(data("cancel", lane=Lane.CONTROL), lambda _: answers.append("urgent"))
    await settle(lambda: "urgent" in answers)
    assert len(answers) < BATCH_WRITES // 2
    await writer.close(StoreClosed("x"))
    assert len(answers) == BATCH_WRITES + 1


async def test_a_heartbeat_overtakes_a_flood_of_requests() -> None:
    """A host is not fenced for want of beats that only stood in line."""
    shelf = Shelf()
    answers: list[Any] = []
    writer = Writer(shelf.commit)
    shelf.open.clear()
    for _ in range(4 * BRISK_WRITES):
        writer.submit(data(lane=Lane.CONTROL), answers.append)
    await settle(lambda: len(shelf.batches) == 1)
    beat = asyncio.create_task(answer(writer.submit, Renew(1, 1.0)))
    await asyncio.sleep(0)
    shelf.open.set()
    assert await beat == Done()
    assert Renew(1, 1.0) in shelf.batches[1]
    await writer.close(StoreClosed("db"))


async def test_batch_has_a_limit_of_bytes_and_takes_at_least_one() -> None:
    """Large bodies end a batch early; one that is larger than the limit goes alone."""
    shelf, answers = Shelf(), list[Any]()
    writer = Writer(shelf.commit)
    for size in (BATCH_BYTES // 2, BATCH_BYTES // 2, 1, 2 * BATCH_BYTES, 1):
        writer.submit(data(size=size), answers.append)
    await writer.close(StoreClosed("x"))
    assert [len(batch) for batch in shelf.batches] == [2, 1, 1, 1]


def test_every_payload_weighs() -> None:
    """A commit of large values that counted as small ones would hold everybody up."""
    snapshot, definition = Snapshot("NEW", Phase.IDLE, b"123"), Definition("kind", 1, "f")
    parts = (("one", b"12345"), ("two", b"1234567"))
    assert weigh(data(size=11)) == 11
    assert weigh(Create("a", definition, b"1", 1.0, snapshot, ())) == 1 + 3
    assert weigh(Create("a", definition, b"1", 1.0, snapshot, (), parts=parts)) == 1 + 3 + 5 + 7
    assert weigh(Advance(1, 1, 1, 1.0, snapshot, (), parts=parts)) == 3 + 5 + 7
    assert weigh(Renew(1, 1.0)) == 0


async def test_callbacks_leave_the_loop_room() -> None:
    """After a large commit, others get their turn between the slices."""
    shelf, answers = Shelf(), list[Any]()
    writer = Writer(shelf.commit)
    for _ in range(BATCH_WRITES):
        writer.submit(data(), answers.append)
    seen: set[int] = set()
    while len(answers) < BATCH_WRITES:
        await asyncio.sleep(0)
        seen.add(len(answers))
    assert SLICE in seen
    await writer.close(StoreClosed("x"))


async def test_unknown_outcome_stops_everything_until_healed() -> None:
    """The batch, all that waits behind it and all that comes get the error; nothing more is committed."""
    shelf, answers = Shelf(), list[Any]()
    writer = Writer(shelf.commit)
    shelf.failure = DiskFailed("x", "i/o")
    for _ in range(BATCH_WRITES + 5):
        writer.submit(data(), answers.append)
    await settle(lambda: len(answers) == BATCH_WRITES + 5)
    writer.submit(data(), answers.append)
    assert len(answers) == BATCH_WRITES + 5
    await settle(lambda: len(answers) == BATCH_WRITES + 6)
    assert answers == [shelf.failure] * len(answers)
    assert writer.sickness is shelf.failure
    assert len(shelf.batches) == 1
    shelf.failure = None
    writer.heal()
    assert await answer(writer.submit, data()) == Done()
    await writer.close(StoreClosed("x"))


async def test_busy_fails_one_batch_and_leaves_the_writer_well() -> None:
    """A lock held by another process is certain: nothing was written, and the next batch may try."""
    shelf = Shelf()
    writer = Writer(shelf.commit)
    shelf.failure = StoreBusy("x", "process 7", 5.0)
    with pytest.raises(StoreBusy):
        await answer(writer.submit, data())
    shelf.failure = None
    assert await answer(writer.submit, data()) == Done()
    await writer.close(StoreClosed("x"))


async def test_cancelled_writer_still_answers_everybody() -> None:
    """A loop that shuts down cancels every task; nobody is left without an answer."""
    shelf, answers = Shelf(), list[Any]()
    writer = Writer(shelf.commit)
    shelf.open.clear()
    for _ in range(BATCH_WRITES + 1):
        writer.submit(data(), answers.append)
    await settle(lambda: bool(shelf.batches))
    writer._task.cancel()
    closed = StoreClosed("x")
    await writer.close(closed)
    assert [type(answer) for answer in answers] == [StoreUnavailable] * (BATCH_WRITES + 1)


async def test_later_failure_replaces_the_first() -> None:
    """Whoever asks is told what stands in the way now."""
    shelf = Shelf()
    writer = Writer(shelf.commit)
    writer.fail(DiskFull("x", "full"))
    with pytest.raises(DiskFull):
        await answer(writer.submit, data())
    await writer.close(StoreClosed("x"))
    with pytest.raises(StoreClosed):
        await answer(writer.submit, data())


async def test_trouble_is_told_before_what_is_left_of_the_batch_before() -> None:
    """What is answered later would begin work although the store is known to be in trouble."""
    batches = answered = 0
    told_at: int | None = None

    async def commit(writes: list[Write[Any]]) -> list[Any]:
        nonlocal batches
        batches += 1
        await asyncio.sleep(0)
        if batches == 2:
            raise DiskFull("x", "full")
        return [Done()] * len(writes)

    def done(result: object) -> None:
        nonlocal answered, told_at
        answered += 1
        if isinstance(result, DiskFull) and told_at is None:
            told_at = answered

    writer = Writer(commit)
    for number in range(10 * SLICE):
        writer.submit(data(f"{number}"), done)
    await settle(lambda: batches == 1)
    writer.submit(data("next"), done)
    await settle(lambda: answered == 10 * SLICE + 1)

    assert told_at is not None
    assert told_at <= 3 * SLICE
    await writer.close(StoreClosed("x"))


async def test_a_write_from_a_callback_of_a_writer_that_ends_is_answered() -> None:
    """It is refused, and not queued where nobody looks any more."""
    shelf = Shelf()
    shelf.open.clear()
    writer = Writer(shelf.commit)
    answers: list[object] = []

    def done(result: object) -> None:
        answers.append(result)
        writer.submit(data("more"), answers.append)

    writer.submit(data("first"), done)
    await settle(lambda: bool(shelf.batches))
    writer._task.cancel()
    await settle(lambda: len(answers) == 2)

    assert all(isinstance(one, StoreUnavailable) for one in answers)


async def test_urgent_answers_keep_the_order_of_their_commits() -> None:
    """A flood of requests keeps neither the first of them from its answer, nor the host from hearing of its lease."""
    shelf, answers = Shelf(), list[int]()
    writer = Writer(shelf.commit)

    def heard(number: int, _: object) -> None:
        answers.append(number)

    for number in range(2 * BRISK_WRITES):
        writer.submit(data(lane=Lane.CONTROL), partial(heard, number))
    await writer.close(StoreClosed("x"))
    assert len(shelf.batches) == 2
    assert answers == list(range(2 * BRISK_WRITES))


async def test_a_flood_of_requests_does_not_stop_the_orders() -> None:
    """However many ask again as soon as they are answered, an ordinary write is committed and answered meanwhile."""
    shelf, answered = Shelf(), list[str]()
    writer = Writer(shelf.commit)

    def ask(_: object) -> None:
        answered.append("request")
        if len(answered) < 50 * BRISK_WRITES:
            writer.submit(data(lane=Lane.CONTROL), ask)

    for _ in range(2 * BRISK_WRITES):
        writer.submit(data(lane=Lane.CONTROL), ask)
    writer.submit(data(), lambda _: answered.append("order"))
    await settle(lambda: "order" in answered)
    assert len(answered) < 25 * BRISK_WRITES
    await writer.close(StoreClosed("x"))
