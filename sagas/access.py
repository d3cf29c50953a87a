"""What any process may do with orders, whether it hosts them or not: accept messages, read, and wait for news."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import nullcontext
from typing import TypeVar

from attrs import define, field

from ..actors import Runtime, Supervisor, within
from ..storage import (
    Accept,
    Accepted,
    Codec,
    Definition,
    Duplicate,
    Finished,
    Full,
    InvalidId,
    Lane,
    Message,
    NotFound,
    Phase,
    Record,
    Store,
    StoreBusy,
    StoreError,
    Tombstone,
    TooLarge,
    Unencodable,
    Unexpected,
    WriteRefused,
)
from .answers import CancelAnswer, SendAnswer, VerbAnswer
from .behaviour import OrderBehaviour, OrderState, requests
from .errors import (
    AlreadyFinished,
    AnswerPending,
    CoordinatorClosed,
    CoordinatorFailed,
    MailboxFull,
    OrderError,
    OrderNotFound,
    WrongLoop,
)
from .events import Control
from .feed import Feed, Subscription
from .registry import Registry
from .views import Outcome, Transition, recorded_outcome, stored_status, transition

#: Unconsumed messages of one order, per lane, before further ones are refused.
MAILBOX = 1000
#: Characters of an id.
ID_LENGTH = 200
#: Bytes of a person's name, and of a reason.
REMARK = 4000
#: History rows read at a time.
PAGE = 256
#: Seconds before a store in trouble is opened again.
REOPEN = 0.5
#: One for all who wait without an end: thousands may.
_NO_LIMIT = nullcontext()

R = TypeVar("R")
logger = logging.getLogger("atone")


@define(eq=False, repr=False)
class Access:
    """Orders, as seen from one process."""

    store: Store
    codec: Codec
    registry: Registry
    behaviour: OrderBehaviour
    runtime: Runtime = field(init=False)
    feed: Feed = field(factory=Feed)
    supervisor: Supervisor[OrderState] | None = None  #: while this process hosts
    is_open: bool = False
    loop: asyncio.AbstractEventLoop | None = None  #: in which it was entered
    failure: BaseException | None = None
    #: a call of the store failed: while this process does not host, nobody else opens it again
    sick: bool = False

    def check(self) -> None:
        """Raise `CoordinatorFailed`, `CoordinatorClosed` or `WrongLoop` where no answer would come."""
        if self.failure is not None:
            raise CoordinatorFailed from self.failure
        if not self.is_open:
            raise CoordinatorClosed
        self.check_loop()

    def check_loop(self) -> None:
        """Nothing here is made for two loops: the answer would wake whoever waits in the other one late, or never."""
        if asyncio.get_running_loop() is not self.loop:
            raise WrongLoop

    async def ask(self, call: Awaitable[R]) -> R:
        """Make a call of the store, and notice that it is in trouble. Raises a `StoreError`."""
        try:
            return await call
        except StoreError as error:
            self._notice(error)
            raise

    def _notice(self, error: StoreError) -> None:
        """A store that is busy, or refuses one row, is well: to open it again would only cut off who is reading."""
        self.sick = self.sick or not isinstance(error, StoreBusy | WriteRefused)

    def fail(self, error: BaseException) -> None:
        """The engine has failed: whoever waits and whoever calls is told."""
        self.failure = error
        failure = CoordinatorFailed()
        failure.__cause__ = error
        self.feed.fail(failure)

    def close(self) -> None:
        """The coordinator leaves: whoever still waits is told."""
        self.feed.fail(CoordinatorClosed())

    async def send(self, order_id: str, message: object, message_id: str | None) -> SendAnswer:
        """Accept a message of the data lane."""
        self.check()
        kind = type(message).__name__
        body, _ = self.codec.round_trip(message, type(message), f"the message {kind}")
        never = self.registry.never_expect(kind)
        match await self._accept(order_id, message_id, Lane.DATA, kind, body, never=never):
            case Accepted():
                return SendAnswer.ACCEPTED
            case Duplicate():
                return SendAnswer.DUPLICATE
            case Finished():
                return SendAnswer.ALREADY_FINISHED
            case Unexpected():
                return SendAnswer.NEVER_EXPECTED
            case _:
                return SendAnswer.NOT_FOUND

    async def request(self, order_id: str, control: Control, message_id: str | None, seconds: float) -> str:
        """Accept a message of the control lane and wait for its decision; raises `AnswerPending`."""
        self.check()
        for what, text in (("the name of who asks", control.by), ("the reason", control.why)):
            _check_words(what, text)
        body = requests().encode(control, "the request")
        with self.feed.subscribe(order_id) as subscription:
            result = await self._accept(order_id, message_id, Lane.CONTROL, control.verb, body)
            if isinstance(result, Finished):
                return CancelAnswer.ALREADY_FINISHED
            if isinstance(result, NotFound):
                return CancelAnswer.NOT_FOUND
            assert not isinstance(result, Unexpected), "every order takes requests"
            try:
                async with within(self.runtime, seconds):
                    answer = await self._decision(result, subscription)
            except TimeoutError:
                raise AnswerPending(order_id, seconds) from None
        if answer not in _ANSWERS:
            raise OrderError(order_id, f"could not read the request ({answer}): see its history for the reason")
        return answer

    async def _decision(self, accepted: Accepted | Duplicate, subscription: Subscription) -> str:
        """The answer to a request. The subscription is older than the request: there will be news of its decision."""
        answer = accepted.answer if isinstance(accepted, Duplicate) else None
        while answer is None:
            await subscription.wait()
            answer = dict(subscription.answers).get(accepted.seq) or await self.ask(self.store.answer(accepted.seq))
        return answer

    async def _accept(
        self,
        order_id: str,
        message_id: str | None,
        lane: Lane,
        kind: str,
        body: bytes,
        *,
        never: tuple[Definition, ...] = (),
    ) -> Accepted | Duplicate | Finished | NotFound | Unexpected:
        check_id("order's id", order_id)
        message_id = message_id if message_id is not None else self.runtime.new_id()
        check_id("message's id", message_id)
        now = self.runtime.now()
        accept = Accept(order_id, message_id, lane, kind, body, now, MAILBOX, never)
        answer: asyncio.Future[Accepted | Duplicate | Finished | NotFound | Full | Unexpected | StoreError]
        answer = asyncio.get_running_loop().create_future()

        def done(result: Accepted | Duplicate | Finished | NotFound | Full | Unexpected | StoreError) -> None:
            # Here and not behind the `await`: a cancelled caller loses only the answer.
            if isinstance(result, Accepted) and self.supervisor is not None:
                self.supervisor.deliver(result.key, Message(result.seq, message_id, lane, kind, body, now))
            elif isinstance(result, Duplicate) and result.answer is None and self.supervisor is not None:
                self.supervisor.look_at(result.key)  # it waits: the order may have been set aside since it was sent
            elif lane is Lane.CONTROL and self.supervisor is not None:
                self.supervisor.ease(order_id)
            if not answer.done():
                answer.set_result(result)

        self.store.submit(accept, done)
        if lane is Lane.CONTROL and self.supervisor is not None:
            self.supervisor.press(order_id)
        result = await answer
        if isinstance(result, StoreError):
            self._notice(result)
            raise result.with_traceback(None)  # one error may answer many writes
        if isinstance(result, Full):
            raise MailboxFull(order_id, result.limit)
        return result

    async def find(self, order_id: str) -> Record | Tombstone:
        """An order on disk; raises `OrderNotFound`."""
        self.check()
        check_id("order's id", order_id)
        found = await self.ask(self.store.find(order_id))
        if found is None:
            raise OrderNotFound(order_id)
        return found

    async def record(self, order_id: str) -> Record:
        """An order that was not purged; raises `OrderNotFound` or `AlreadyFinished`."""
        found = await self.find(order_id)
        if isinstance(found, Tombstone):
            raise AlreadyFinished(order_id, found.status)
        return found

    async def outcome(self, order_id: str, seconds: float | None) -> Outcome:
        """Wait until an order has ended. A first look at the disk takes no part of the time."""
        with self.feed.subscribe(order_id, only_end=True) as subscription:
            outcome = await self._outcome(order_id)
            async with _NO_LIMIT if seconds is None or outcome else within(self.runtime, seconds):
                while outcome is None:
                    await subscription.wait()
                    news = subscription.news
                    outcome = news if isinstance(news, Outcome) else await self._outcome(order_id)
            return outcome

    async def _outcome(self, order_id: str) -> Outcome | None:
        """The outcome of an order that has ended and is not in memory."""
        if self.supervisor is not None and self.supervisor.runs(order_id):
            self.check_loop()
            return None
        record = await self.record(order_id)
        return recorded_outcome(record, self.registry, self.codec) if record.snapshot.phase is Phase.FINAL else None

    async def history(self, order_id: str, after: int) -> AsyncIterator[Transition]:
        """The history of an order above a revision, as far as it has come."""
        key, full, ended = (await self.record(order_id)).key, True, False
        while full:
            rows = await self.ask(self.store.history(key, after=after, limit=PAGE))
            for row in rows:
                yield transition(row)
                after, ended = row.revision, stored_status(row.entry.target).final
            full = len(rows) >= PAGE
            if not rows and not ended:
                await self.record(order_id)  # it may have been purged meanwhile: then this is not its end

    async def watch(self, order_id: str, after: int) -> AsyncIterator[Transition]:
        """The same, then what is added, until the order has ended."""
        with self.feed.subscribe(order_id) as subscription:
            while True:
                final = (await self.record(order_id)).snapshot.phase is Phase.FINAL
                async for one in self.history(order_id, after):
                    yield one
                    after, final = one.revision, final or stored_status(one.target).final
                if final:
                    return
                await subscription.wait()

    async def follow(self, poll: float) -> None:
        """While another process hosts: notice what it commits, for the subscribers here. Runs until cancelled."""
        last: int | None = None
        while True:
            await self.runtime.sleep(poll)
            try:
                if self.sick:
                    await self.store.recover()
                    self.sick = False  # after: whoever read meanwhile was told of nothing but this
                last = await self._follow(last)
            except StoreError as error:
                logger.warning("the store cannot be followed, and will be reopened: %s", error)
                self.sick = True
                await self.runtime.sleep(REOPEN)

    async def _follow(self, last: int | None) -> int | None:
        if not self.feed:
            return None  # what happens while nobody listens need not be read
        if last is None:
            last = await self.store.last_seq()
            self.feed.publish_all()
        while news := await self.store.tail(last, PAGE):
            last = news[-1][0]
            for order_id in dict.fromkeys(order_id for _, order_id in news):  # a set is in no order that a seed repeats
                if order_id is None:  # an order that somebody waits for may have ended, and be gone with its history
                    self.feed.publish_all()
                else:
                    self.feed.publish(order_id)
        return last


_ANSWERS = frozenset([*CancelAnswer, *VerbAnswer])


def _check_words(what: str, text: object) -> None:
    """Raise for what is no text, or too long: it is kept with the order, and in its history, for ever."""
    if not isinstance(text, str):
        raise Unencodable(f"{what} is a {type(text).__name__}: give a text")
    size = len(text.encode(errors="replace"))
    if size > REMARK:
        raise TooLarge(what, size, REMARK)


def check_id(what: str, text: object) -> None:
    """Raise `InvalidId` for a text that could not be stored faithfully or shown safely."""
    if not isinstance(text, str):
        raise InvalidId(what, f"it is a {type(text).__name__}")
    if not text or len(text) > ID_LENGTH:
        raise InvalidId(what, f"it has {len(text)} characters")
    if not text.isprintable():
        raise InvalidId(what, "it has characters that cannot be printed")
