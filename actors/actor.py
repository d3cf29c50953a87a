"""The shell of an actor: receive, decide, commit, reply, act. In this order, and nothing else.

An actor is an object and not a task: events reach it by plain calls, and the commit calls back. A turn takes
everything that waits, lets the behaviour decide about one event after the other, and commits the sum. Answers
are given and effects begin when that commit is on disk, and not a moment sooner. While it is on its way, the
actor receives nothing: what comes waits in the mailbox.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from attrs import define, field

from ..storage import (
    Advance,
    Create,
    Created,
    Definition,
    Done,
    Entry,
    Exists,
    Fenced,
    Message,
    Phase,
    Purged,
    Snapshot,
    Stale,
    StoreError,
    Unseen,
    Write,
    WriteRefused,
)
from .behaviour import Begin, Behaviour, Due, Moment, Stage
from .mailbox import Mailbox
from .runtime import Runtime
from .timers import Timer, Timers

S = TypeVar("S")


_NO_SNAPSHOT = Snapshot("", Phase.ACTIVE, b"")


class Host(Protocol):
    """What an actor needs from its supervisor."""

    epoch: int
    draining: bool
    may_act: Callable[[], bool]
    runtime: Runtime
    timers: Timers
    stage: Stage
    submit: Callable[[Write[Any], Callable[[Any], None]], None]

    def committed(self, actor: Actor[Any], turn: Turn[Any]) -> None:
        """A turn is on disk: wake whoever watches."""
        ...

    def settled(self, actor: Actor[Any]) -> None:
        """The actor has nothing to do at the moment."""
        ...

    def unseen(self, actor: Actor[Any]) -> None:
        """There are messages on disk that the actor has not seen."""
        ...

    def unknown(self, error: StoreError) -> None:
        """The outcome of a commit is unknown."""
        ...

    def stale(self, actor: Actor[Any]) -> None:
        """Somebody else moved this actor on."""
        ...

    def fenced(self) -> None:
        """Another process owns the store."""
        ...

    def stand_down(self, why: str) -> None:
        """This process cannot be sure that it still owns the store."""
        ...

    def crashed(self, actor: Actor[Any], error: Exception) -> None:
        """The actor's own code raised."""
        ...


@define(eq=False)
class Turn(Generic[S]):
    """Everything that one commit says."""

    state: S
    snapshot: Snapshot = _NO_SNAPSHOT
    effects: tuple[object, ...] = ()
    history: tuple[Entry, ...] = ()
    answers: tuple[tuple[int, str], ...] = ()
    parts: tuple[tuple[str, bytes], ...] = ()
    guarded: bool = False
    taken: tuple[object, ...] = ()  #: the events that were received


@define(eq=False)
class Actor(Generic[S]):
    """One live actor."""

    host: Host
    behaviour: Behaviour[S]
    key: int
    id: str
    revision: int
    state: S
    snapshot: Snapshot
    mailbox: Mailbox = field(factory=Mailbox)
    turn: Turn[S] | None = None  #: the one whose commit is on its way
    stopped: bool = False
    _timer: Timer | None = None
    _wake_at: float | None = None

    def receive(self, event: object) -> None:
        """Take a report of the actor's own effects or timers, and act on it if nothing is on its way."""
        self.mailbox.report(event)
        self.proceed()

    def deliver(self, messages: tuple[Message, ...]) -> None:
        """Take messages that were accepted, and act on them if nothing is on its way."""
        self.mailbox.put(messages)
        self.proceed()

    def proceed(self) -> None:
        """Decide about everything that waits, and commit it."""
        if self.turn is not None or self.stopped:
            return
        try:
            turn = self._decide() if self.mailbox else None
        except Exception as error:  # noqa: BLE001  # whatever the behaviour raises is the supervisor's to judge
            self.host.crashed(self, error)
            return
        if turn is None:
            self.host.settled(self)
            return
        self.turn = turn
        self.host.submit(self._advance(turn), self._committed)

    def create(self, definition: Definition, input: bytes, done: Callable[[Any], None]) -> None:
        """Begin an actor that is not on disk yet: its creation and its first turn are one commit.

        `done` gets what the store says; unless that is `Created`, the actor never was.
        """
        self.mailbox.report(Begin())
        turn = self._decide()
        assert turn is not None, "a behaviour decides something about Begin"
        self.turn = turn
        now = self.host.runtime.now()
        write = Create(
            self.id, definition, input, now, turn.snapshot, turn.history,
            revision=1, epoch=self.host.epoch, parts=turn.parts,
        )  # fmt: skip

        def created(result: Created | Exists | Purged | Fenced | StoreError) -> None:
            if isinstance(result, Created):
                self.key = result.key
                done(result)
                self._committed(Done())
            else:
                self.stopped = True
                done(result)

        self.host.submit(write, created)

    def stop(self) -> list[object]:
        """Let go of memory and timer; returns the reports that were received by no commit."""
        self.stopped = True
        if self._timer is not None:
            self._timer.cancel()
        taken = self.turn.taken if self.turn is not None else ()
        return [*(one for one in taken if not isinstance(one, Message)), *self.mailbox.reports]

    # ── decide ──

    def _decide(self) -> Turn[S] | None:
        """Fold all that waits into one turn; `None` when that changes nothing."""
        event = self._take(self.state)
        if event is None:
            return None
        runtime = self.host.runtime
        moment = Moment(runtime.now(), runtime.random(), self.host.draining)
        draft = Turn(self.state)
        while event is not None:
            draft.taken += (event,)
            try:
                self._fold(draft, event, moment)
            except Exception:
                self.mailbox.put_back(draft.taken[:-1])
                raise
            event = self._take(draft.state)
        if not draft.history and not draft.answers and draft.state is self.state:
            return None
        draft.snapshot = self.behaviour.encode(draft.state)
        if draft.snapshot.phase is Phase.FINAL:
            draft.answers += tuple((message.seq, "UNUSED") for message in self.mailbox.messages)
        return draft

    def _take(self, state: S) -> object | None:
        return self.mailbox.take(lambda message: self.behaviour.accepts(state, message))

    def _fold(self, turn: Turn[S], event: object, moment: Moment) -> None:
        """Add what one event changes. A message that makes the behaviour raise is set aside."""
        try:
            decision = self.behaviour.decide(turn.state, event, moment)
        except Exception as error:
            if not isinstance(event, Message) or isinstance(error, MemoryError | RecursionError):
                raise
            turn.answers += ((event.seq, "DEAD_LETTER"),)
            turn.history += (self._dead_letter(event, error, moment),)
            return
        turn.state = decision.state
        turn.effects += decision.effects
        turn.history += decision.history
        turn.answers += decision.answers
        turn.parts += decision.parts
        turn.guarded = turn.guarded or decision.guarded

    def _dead_letter(self, message: Message, error: Exception, moment: Moment) -> Entry:
        """Set aside a message that cannot be consumed; the actor goes on."""
        status = self.snapshot.status
        reason = f"{type(error).__name__}: {error}".encode(errors="backslashreplace").decode()[:500]
        return Entry(moment.now, "DEAD_LETTER", status, status, error=reason, note=message.id)

    # ── commit, reply, act ──

    def _advance(self, turn: Turn[S]) -> Advance:
        final = turn.snapshot.phase is Phase.FINAL
        known = 0 if final else len(self.mailbox.messages)
        return Advance(
            self.key,
            self.revision + 1,
            self.host.epoch,
            self.host.runtime.now(),
            turn.snapshot,
            turn.history,
            turn.answers,
            turn.parts,
            known if final or turn.guarded else None,
            bool(turn.answers),
        )

    def _committed(self, result: Done | Stale | Fenced | Unseen | StoreError) -> None:
        turn = self.turn
        if self.stopped or turn is None:
            return
        if isinstance(result, Done):
            self.turn = None
            self.revision += 1
            self.state, self.snapshot = turn.state, turn.snapshot
            self.arm(turn.snapshot.wake_at)
            self.host.committed(self, turn)
            if turn.effects and not self.host.may_act():
                self.host.stand_down("the lease was not renewed in time")
                return
            try:
                self.host.stage.perform(self.key, self.state, turn.effects)
            except Exception as error:  # noqa: BLE001  # an actor whose work did not begin must not look alive
                self.host.crashed(self, error)
                return
            self.proceed()
        elif isinstance(result, Unseen):
            self.turn = None
            self.mailbox.put_back(turn.taken)
            self.host.unseen(self)
        elif isinstance(result, WriteRefused):
            self.turn = None
            self.host.crashed(self, result)
        elif isinstance(result, StoreError):
            self.host.unknown(result)
        elif isinstance(result, Fenced):
            self.host.fenced()
        else:
            self.host.stale(self)

    def arm(self, wake_at: float | None) -> None:
        """Be woken at that time, if nothing happens before."""
        if wake_at == self._wake_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._wake_at = wake_at
        if wake_at is not None:
            self._timer = self.host.timers.after(wake_at - self.host.runtime.now(), self._due)

    def _due(self) -> None:
        """The timer fired; if the wall clock was set back meanwhile, it is armed again."""
        wake_at, self._wake_at, self._timer = self._wake_at, None, None
        if wake_at is not None and self.host.runtime.now() < wake_at:
            self.arm(wake_at)
        else:
            self.receive(Due())
