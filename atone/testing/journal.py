"""What was seen while a simulation ran, in the order in which it happened: commits, attempts, requests, troubles."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextvars import Context, ContextVar, copy_context
from typing import Any, NamedTuple, TypeVar, cast

from attrs import define, field

from ..sagas.attempt import Attempt
from ..sagas.behaviour import WORDS
from ..sagas.progress import Work
from ..storage import Accepted, Advance, Create, Created, Done, Lease, Renew, StoreError, Write, WriteRefused


class Sender(NamedTuple):
    """The attempt that a request comes from."""

    process: str
    order: str
    step: str
    work: str  #: action, probe or compensation
    number: int

    def __str__(self) -> str:
        return f"{self.step}/{self.work}/{self.number}"


class Committed(NamedTuple):
    """A write was carried out: from here on it is on disk, whether or not anybody learns of it."""

    write: Write[Any]
    result: object


class Failed(NamedTuple):
    """The owner of the orders learned that nobody knows what became of one of its writes."""

    process: str


class Reopened(NamedTuple):
    """A process has opened its store again, or taken the lease, and that went well."""

    process: str


class Loaded(NamedTuple):
    """A process has read orders from the disk."""

    process: str
    keys: tuple[int, ...]
    since: int  #: how many events there were when it began to read


class Made(NamedTuple):
    """A process was told that an order is on disk which it has begun itself."""

    process: str
    key: int


class Moved(NamedTuple):
    """A process asks to move an order on."""

    process: str
    key: int


class Began(NamedTuple):
    """An attempt begins."""

    at: float  #: seconds since the simulation began
    sender: Sender


class GivenUp(NamedTuple):
    """The engine has given an attempt up, since it did not answer in time. Noted some time later."""

    sender: Sender


class Asked(NamedTuple):
    """A request leaves for a participant."""

    service: str
    call: str
    key: str
    sender: Sender | None  #: `None` where it is not known
    beside: tuple[Sender, ...] = ()  #: who may have sent it as well, where a task beside the attempt's own did


class Crowded(NamedTuple):
    """A request leaves beside an attempt of the same step that has not ended, nor had its grace."""

    sender: Sender
    beside: Sender
    waited: float  #: seconds that were left to it


class Left(NamedTuple):
    """A process was asked to leave."""

    at: float
    process: str


class Differed(NamedTuple):
    """A decision came out otherwise when it was made again, from what is on disk."""

    order: str
    detail: str


E = TypeVar("E")
Event = Committed | Failed | Reopened | Loaded | Made | Moved | Began | GivenUp | Asked | Crowded | Left | Differed


class Running(NamedTuple):
    """An attempt whose code runs."""

    sender: Sender
    attempt: Attempt
    at: float  #: seconds since the simulation began

    @property
    def over(self) -> bool:
        """Whether it has really ended."""
        return self.attempt.task.done()


#: The attempt whose code runs, or that has begun the task whose code runs: a client's worker may outlive it.
RUNNING: ContextVar[Running | None] = ContextVar("RUNNING", default=None)
#: Results of writes that have changed something.
_CARRIED_OUT = frozenset({Done, Created, Accepted, Lease})
#: Writes of the owner, after whose failure it knows nothing any more.
_OWNERS = (Advance, Create, Renew)


@define(eq=False)
class Journal:
    """Everything that was seen. Judged when all is over."""

    now: Callable[[], float] = lambda: 0.0
    grace: float = 30.0  #: seconds that an attempt which was cut off or timed out has to end
    events: list[Event] = field(factory=list)
    expected: set[str] = field(factory=set)  #: the ids of orders that somebody has started

    troubled: bool = False  #: whether a write has failed; what is read and written before that is of no account
    decisions: int = 0  #: made so far; some of them are made twice
    succeeded: set[Asked] = field(factory=set)  #: requests whose answer has come back
    _running: list[Running] = field(factory=list)
    _hung: list[Running] = field(factory=list)  #: that were given up, and may still run
    _sorted: dict[type, list[Any]] = field(factory=dict)
    _seen: int = 0  #: events that lie in there

    def of(self, kind: type[E]) -> list[E]:
        """All events of one kind."""
        self._look_after()
        for event in self.events[self._seen :]:
            self._sorted.setdefault(type(event), []).append(event)
        self._seen = len(self.events)
        return self._sorted.get(kind, [])

    def committed(self, write: Write[Any], result: object) -> None:
        """A write was carried out. One that was refused is no commit, and beats of the lease say nothing."""
        if type(result) in _CARRIED_OUT and type(write) is not Renew:
            self.events.append(Committed(write, result))

    def submitted(self, process: str, write: Write[Any]) -> None:
        """A process hands a write over, after there was trouble."""
        if isinstance(write, Advance):
            self.events.append(Moved(process, write.key))

    def answered(self, process: str, write: Write[Any], result: object) -> None:
        """A process is about to learn what became of a write."""
        if type(result) is Created:
            if self.troubled and cast("Create", write).epoch is not None:
                self.events.append(Made(process, result.key))
        elif isinstance(result, StoreError) and not isinstance(result, WriteRefused):  # which is of one row alone
            if isinstance(write, Create) and write.epoch is None:
                return  # of a client's own order; the owner is told nothing
            if isinstance(write, _OWNERS):
                self.troubled = True
                self.events.append(Failed(process))

    def loaded(self, process: str, keys: Sequence[int], since: int) -> None:
        """A process has read orders."""
        if self.troubled:
            self.events.append(Loaded(process, tuple(keys), since))

    def began(self, process: str, work: Coroutine[Any, Any, None]) -> Context:
        """An attempt begins: the context in which it is to run. Raises `TypeError` for work that is none."""
        attempt = _attempt(work)
        state, run = attempt.state, attempt.run
        sender = Sender(process, state.id, state.saga.slots[run.slot].name, WORDS[run.work], run.number)
        self.events.append(Began(self.now(), sender))
        self._look_after()
        running = Running(sender, attempt, self.now())
        self._running.append(running)
        context = copy_context()
        context.run(RUNNING.set, running)
        return context

    def _look_after(self) -> None:
        """Let go of attempts that are over, and note which of them the engine had given up."""
        running, self._running = self._running, []
        for one in running:
            if one.attempt.timed_out:
                self.events.append(GivenUp(one.sender))
                self._hung.append(one)
            elif not one.over:
                self._running.append(one)
        self._hung = [one for one in self._hung if not one.over]

    def asked(self, service: str, call: str, key: str) -> Asked:
        """A request leaves. Returns what may be said to be answered."""
        known = RUNNING.get()
        if known is None or known.over:
            asked = Asked(service, call, key, None)
        elif asyncio.current_task() is known.attempt.task:
            asked = Asked(service, call, key, known.sender)
        else:
            asked = Asked(service, call, key, known.sender, self._beside(known.sender))
        self.events.append(asked)
        if known is not None and not known.over:
            self._look_beside(known)
        return asked

    def _look_beside(self, asking: Running) -> None:
        """Note which attempts of its step were before it, and may be acting still. A probe has no effect."""
        attempt, process = asking.attempt, asking.sender.process
        for one in (*self._hung, *self._running):
            if one is asking:
                return  # those behind it have begun later
            before = one.attempt
            if (
                before.place != attempt.place
                or one.sender.process != process
                or before.run.work is Work.PROBE
                or one.over
            ):
                continue
            waited = self.now() - asking.at  # for one that was cut off
            if before.expired is not None:
                waited = max(waited, before.runtime.monotonic() - before.expired)
            if waited < self.grace - 0.01:
                self.events.append(Crowded(asking.sender, one.sender, waited))

    def _beside(self, sender: Sender) -> tuple[Sender, ...]:
        """The other attempts that are under way in a process."""
        all_of_it = [one.sender for one in self._running if one.sender.process == sender.process and not one.over]
        return tuple([one for one in all_of_it if one != sender])

    def left(self, process: str) -> None:
        """A process was asked to leave."""
        self.events.append(Left(self.now(), process))


def _attempt(work: Coroutine[Any, Any, None]) -> Attempt:
    """The attempt that work is about: the engine hands over nothing but a coroutine that has not begun."""
    frame = getattr(work, "cr_frame", None)
    found = [one for one in frame.f_locals.values() if isinstance(one, Attempt)] if frame is not None else []
    if len(found) != 1:
        name = getattr(work, "__qualname__", type(work).__name__)
        work.close()
        raise TypeError(f"{name} is no attempt: what the engine does for itself is spawned under a name")
    return found[0]
