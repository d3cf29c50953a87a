"""Group commit: writes that wait at the same time share one transaction.

An event wakes the writer, nothing is polled. While a batch is on its way to the disk, the one before is answered and
the next one gathers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from .answers import Answers, Item, Result
from .errors import StoreBusy, StoreError, StoreUnavailable
from .writes import Accept, Advance, Create, Renew, Write

R = TypeVar("R")

#: A commit takes no more than this, so that an urgent write never waits for a long one.
BATCH_WRITES = 1024
BATCH_BYTES = 1024 * 1024

#: And no more than this where something urgent is among it, or was in the one before and may have set off more that
#: is: whoever waits for that waits for whole commits.
BRISK_WRITES = 256

#: Ordinary writes have a share of it, and their answers are passed over so many times and no more: a flood of requests
#: slows the orders down, and does not stop them.
SHARE = 64
PASSES = 8

#: Callbacks are called in slices: a large commit does not hold the event loop, and what actors let go of makes room for
#: what they do next.
SLICE = 32


class Writer:
    """Commits writes in batches, urgent ones first, and calls back with the result of each.

    `commit` puts a batch on disk and returns a result for each write. When it raises `StoreBusy`, nothing was
    written. Any other `StoreError` leaves the outcome unknown: the writer is then sick, gives that error to
    everything that waits and everything that comes, and is well again after `heal`.
    """

    def __init__(self, commit: Callable[[list[Write[Any]]], Awaitable[Sequence[Result]]]) -> None:
        self._commit = commit
        self._urgent: deque[Item] = deque()
        self._ordinary: deque[Item] = deque()
        self._hurried: list[Write[Any]] = []  #: of those that were ordinary when they came
        self._batch: deque[Item] = deque()  #: on its way to the disk
        self._pressing = 0  #: how many of these are urgent; they come first
        self._answers = Answers()  #: to what was on its way before
        self._passed = 0  #: how many commits have gone before some of these
        self._wake = asyncio.Event()
        self._sleeps = False
        self._refusal: StoreError | None = None
        self._closing: StoreError | None = None
        self._task = asyncio.create_task(self._run(), name="atone store writer")

    @property
    def sickness(self) -> StoreError | None:
        """What made the writer sick; `None` while it is well."""
        return self._refusal

    def submit(self, write: Write[R], done: Callable[[R | StoreError], None]) -> None:
        """Queue a write; `done` is called in the event loop, never before this returns."""
        refusal = self._closing or self._refusal
        if refusal is None and self._task.done():
            refusal = StoreUnavailable("the event loop is ending, and nothing more is written: start the service again")
        if refusal is not None:
            asyncio.get_running_loop().call_soon(done, refusal)
            return
        if type(write) is Renew:
            self._urgent.appendleft((write, done))  # a heartbeat that stands in line is one that is missed
        else:
            (self._urgent if write.urgent else self._ordinary).append((write, done))
        if self._sleeps:
            self._wake.set()

    def hurry(self, write: Write[Any]) -> None:
        """Let a write go with the urgent ones, if it still waits."""
        self._hurried.append(write)

    def fail(self, error: StoreError) -> None:
        """Refuse every write with `error` from now on."""
        self._refusal = error

    def heal(self) -> None:
        """Accept writes again."""
        self._refusal = None

    async def close(self, error: StoreError) -> None:
        """Commit what was queued, and answer everything later with `error`."""
        self._closing = error
        self._wake.set()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while True:
                while self._urgent or self._ordinary:
                    self._batch = self._take()
                    results = await self._commit_and_answer(self._batch)
                    self._passed = self._passed + 1 if self._answers else 0
                    self._answers.add(self._batch, results, self._pressing)
                await self._answer()
                if self._urgent or self._ordinary:
                    continue
                if self._closing is not None:
                    return
                self._wake.clear()
                self._sleeps = True
                await self._wake.wait()
                self._sleeps = False
        except BaseException:
            # A loop that ends cancels the writer with all other tasks: nobody may wait for an answer for ever.
            self._answer_all(StoreUnavailable("the event loop ended in the middle of a write: its outcome is unknown"))
            raise

    def _answer_all(self, error: StoreError) -> None:
        self._closing = error
        for queue in (self._batch, self._urgent, self._ordinary):
            self._answers.add(queue, [error] * len(queue), 0)
        self._answers.give_up(error)

    def _take(self) -> deque[Item]:
        if self._hurried:
            self._let_pass()
        batch: deque[Item] = deque()
        room, most = BATCH_BYTES, BRISK_WRITES if self._urgent or self._pressing else BATCH_WRITES
        self._pressing = 0
        share = min(SHARE, len(self._ordinary))
        for queue, end in ((self._urgent, most - share), (self._ordinary, most)):
            while queue and len(batch) < end:
                room -= weigh(queue[0][0])
                if room < 0 and batch:
                    return batch
                batch.append(queue.popleft())
                self._pressing += queue is self._urgent
        return batch

    def _let_pass(self) -> None:
        """Put those that were hurried behind the urgent ones: all in one pass, since everything may be cancelled."""
        hurried = set(map(id, self._hurried))
        self._hurried.clear()
        waiting, self._ordinary = self._ordinary, deque()
        for item in waiting:
            (self._urgent if id(item[0]) in hurried else self._ordinary).append(item)

    async def _commit_and_answer(self, batch: deque[Item]) -> Sequence[Result]:
        """Put a batch on disk, and answer the one before while the disk works on it."""
        if not self._answers:
            return await self._commit_batch(batch)
        committing = asyncio.create_task(self._commit_batch(batch), name="atone store commit")
        await asyncio.sleep(0)  # it begins
        await self._answer(committing)
        return await committing

    async def _commit_batch(self, batch: deque[Item]) -> Sequence[Result]:
        """Put a batch on disk. After trouble everything that waits belongs to it, and has the same result.

        That is told before what is left of the batch before: those answers would begin work on a store in trouble.
        """
        try:
            return await self._commit([write for write, _ in batch])
        except StoreBusy as error:
            return [error] * len(batch)
        except StoreError as error:
            self._refusal = error
            self._answers.add_foremost([*batch, *self._urgent, *self._ordinary], error)
            for queue in (batch, self._urgent, self._ordinary):
                queue.clear()
            return []

    async def _answer(self, committing: asyncio.Task[Sequence[Result]] | None = None) -> None:
        """Call back for what was committed before.

        What is left when something urgent waits for the disk, or comes from there, lets that go first.
        """
        while self._answers:
            urgent = self._urgent if committing is None else self._pressing and committing.done()
            if urgent and self._passed < PASSES:
                return
            self._answers.give(SLICE)
            if self._answers:
                await asyncio.sleep(0)


def weigh(write: Write[Any]) -> int:
    """How many bytes of payload a write carries."""
    if type(write) is Advance:  # the most frequent first: this is asked twice of every write
        weight, parts = len(write.snapshot.body), write.parts
    elif type(write) is Create:
        weight, parts = len(write.input) + len(write.snapshot.body), write.parts
    else:
        return len(write.body) if type(write) is Accept else 0
    return weight + sum(len(body) for _, body in parts) if parts else weight


async def answer(submit: Callable[[Write[R], Callable[[R | StoreError], None]], None], write: Write[R]) -> R:
    """Submit a write and wait for its result; it goes on when the caller is cancelled."""
    future: asyncio.Future[R | StoreError] = asyncio.get_running_loop().create_future()

    def done(result: R | StoreError) -> None:
        if not future.done():
            future.set_result(result)

    submit(write, done)
    result = await future
    if isinstance(result, StoreError):
        raise result.with_traceback(None)  # one error may answer many writes; it must not gather their frames
    return result
