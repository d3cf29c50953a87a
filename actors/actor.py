"""The shell of an actor: receive, decide, commit, reply, act. In this order, and nothing else.

An actor is an object and not a task: events reach it by plain calls, and the commit calls back. A turn takes
everything that waits, lets the behaviour decide about one event after the other, and commits the sum. Answers
are given and effects begin when that commit is on disk, and not a moment sooner. While it is on its way, the
actor receives nothing: what comes waits in the mailbox.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

from attrs import define, evolve, field

from ..storage import (
    Advance,
    Create,
    Created,
    Definition,
    Done,
    Entry,
    Exists,
    Fenced,
    Lane,
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
from .behaviour import Begin, Behaviour, Decision, Due, Moment, Resumed, Stage
from .mailbox import Mailbox
from .runtime import Runtime
from .timers import Timer, Timers
from .words import words

S = TypeVar("S")

#: Seconds: no timer waits longer at a time, since the wall clock may be set, or have gone on while the machine slept.
LONGEST = 60.0


class Host(Protocol):
    """What an actor needs from its supervisor."""

    epoch: int
    draining: bool
    may_act: Callable[[], bool]
    runtime: Runtime
    timers: Timers
    stage: Stage
    submit: Callable[[Write[Any], Callable[[Any], None]], None]

    def committed(self, actor: Actor[Any], answers: tuple[tuple[int, str], ...], before: str) -> None:
        """The actor has moved on from a status, and that is on disk: wake whoever watches."""
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


@define(eq=False, repr=False)
class Turn(Generic[S]):
    """Everything that one commit says."""

    decision: Decision[S]
    snapshot: Snapshot
    taken: tuple[object, ...]  #: the events that were received
    write: Advance | None = None  #: what was submitted for it

    @property
    def replies(self) -> bool:
        """Whether it decides about a request, for whose answer somebody waits."""
        return bool(self.decision.answers) and any(
            isinstance(one, Message) and one.lane is Lane.CONTROL for one in self.taken
        )


@define(eq=False, repr=False)
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
    pressed: bool = False  #: somebody waits for the answer to a request that is on its way here
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
        now = self.host.runtime.now()  # read once: what is not due to the behaviour must be armed again
        try:
            turn = self._decide(now)
        except Exception as error:  # noqa: BLE001  # whatever the behaviour raises is the supervisor's to judge
            self.host.crashed(self, error)
            return
        if turn is None:
            wake_at = self.snapshot.wake_at
            if wake_at is not None and now < wake_at:
                self.arm(wake_at)  # its timer may have fired before the clock was set back
            self.host.settled(self)
            return
        self.turn, turn.write = turn, self._advance(turn)
        self.host.submit(turn.write, self._committed)

    def create(self, definition: Definition, input: bytes, done: Callable[[Any], None]) -> None:
        """Begin an actor that is not on disk yet: its creation and its first turn are one commit.

        `done` gets what the store says; unless that is `Created`, the actor never was.
        """
        self.mailbox.report(Begin())
        now = self.host.runtime.now()
        turn = self._decide(now)
        assert turn is not None, "a behaviour decides something about Begin"
        self.turn = turn
        decision = turn.decision
        write = Create(
            self.id, definition, input, now, turn.snapshot, decision.history, 1, self.host.epoch, decision.parts
        )

        self.host.submit(write, partial(self._created, done))

    def _created(self, done: Callable[[Any], None], result: Created | Exists | Purged | Fenced | StoreError) -> None:
        if isinstance(result, Created):
            self.key = result.key
            done(result)
            self._committed(Done())
        else:
            self.stopped = True
            done(result)

    @property
    def asked(self) -> bool:
        """Whether messages wait for it."""
        taken = self.turn.taken if self.turn is not None else ()
        return bool(self.mailbox.messages) or any(isinstance(one, Message) for one in taken)

    def stop(self) -> list[object]:
        """Let go of memory and timer; returns the reports that were received by no commit."""
        self.stopped = True
        if self._timer is not None:
            self.host.timers.cancel(self._timer)
        taken = self.turn.taken if self.turn is not None else ()
        return [*(one for one in taken if not isinstance(one, Message)), *self.mailbox.reports]

    # ── decide ──

    def _decide(self, now: float) -> Turn[S] | None:
        """Fold all that waits into one turn; `None` when that changes nothing."""
        mailbox, accepts = self.mailbox, self.behaviour.accepts
        event = mailbox.take(accepts, self.state)
        if event is None:
            return None
        moment = Moment(now, self.host.runtime.random(), self.host.draining)
        decision = None
        taken: tuple[object, ...] = ()
        try:
            while event is not None:
                state = self.state if decision is None else decision.state
                if isinstance(event, Message):
                    more = self._ask(state, event, moment)
                else:
                    more = self.behaviour.decide(state, _beside(event, decision), moment)
                decision = more if decision is None else decision.then(more)
                taken += (event,)
                event = mailbox.take(accepts, decision.state) if mailbox else None
            assert decision is not None, "there was an event"
            if not decision.history and not decision.answers and decision.state is self.state:
                return None
            return Turn(decision, self.behaviour.encode(decision.state), taken)
        except Exception:
            mailbox.put_back(taken)
            raise

    def _ask(self, state: S, message: Message, moment: Moment) -> Decision[S]:
        """What the behaviour decides about a message. One that makes it raise is set aside, and the actor goes on."""
        try:
            return self.behaviour.decide(state, message, moment)
        except (MemoryError, RecursionError):
            raise
        except Exception as error:  # noqa: BLE001  # whatever it raises must not harm the actor
            status = self.snapshot.status
            entry = Entry("DEAD_LETTER", status, status, error=words(error)[:500], note=message.id)
            return Decision(state, (), (entry,), ((message.seq, "DEAD_LETTER"),))

    # ── commit, reply, act ──

    def _advance(self, turn: Turn[S]) -> Advance:
        decision, snapshot, messages = turn.decision, turn.snapshot, self.mailbox.messages
        answers, waiting = decision.answers, len(messages) if decision.guarded else None
        if snapshot.phase is Phase.FINAL:  # nobody will take these any more
            answers, waiting = answers + tuple([(message.seq, "UNUSED") for message in messages]), 0
        return Advance(
            self.key,
            self.revision + 1,
            self.host.epoch,
            self.host.runtime.now(),
            snapshot,
            decision.history,
            answers,
            decision.parts,
            waiting,
            self.pressed or turn.replies,
            snapshot.stays(self.snapshot),
        )

    def _committed(self, result: Done | Stale | Fenced | Unseen | StoreError) -> None:
        turn = self.turn
        if turn is None:
            return
        if self.stopped:
            self._outrun(turn, result)
            return
        if not isinstance(result, Done):
            self._refused(turn, result)
            return
        try:
            self._done(turn)
        except Exception as error:  # noqa: BLE001  # what came of a commit must not look alive, and stand still
            self.host.crashed(self, error)

    def _done(self, turn: Turn[S]) -> None:
        """Stand where the commit has brought it, and act."""
        self.turn = None
        self.revision += 1
        before = self._stand(turn)
        self.pressed = self.pressed and not turn.replies
        if turn.snapshot.wake_at != self._wake_at:
            self.arm(turn.snapshot.wake_at)
        self.host.committed(self, turn.decision.answers, before)
        if turn.decision.effects and not self._act(turn.decision.effects):
            return
        if self.mailbox:
            self.proceed()
        elif turn.snapshot.phase is not Phase.ACTIVE:
            self.host.settled(self)

    def _outrun(self, turn: Turn[S], result: Done | Stale | Fenced | Unseen | StoreError) -> None:
        """It was let go of, and what was on its way came to the disk after all. Whoever waits for that is told.

        Nobody else will tell: whoever has read the disk meanwhile did not find it there.
        """
        if isinstance(result, Done):
            self.host.committed(self, turn.decision.answers, self._stand(turn))

    def _stand(self, turn: Turn[S]) -> str:
        """Stand where a commit has brought it; the status before."""
        before, self.snapshot = self.snapshot.status, turn.snapshot
        self.state = turn.decision.state
        return before

    def _refused(self, turn: Turn[S], result: Stale | Fenced | Unseen | StoreError) -> None:
        if isinstance(result, Unseen):
            self.turn = None
            self.mailbox.put_back(turn.taken)
            self.host.unseen(self)
        elif isinstance(result, WriteRefused):  # the turn stays: the reports it had taken are kept for the next try
            self.host.crashed(self, result)
        elif isinstance(result, StoreError):
            self.host.unknown(result)
        elif isinstance(result, Fenced):
            self.host.fenced()
        else:
            self.host.stale(self)

    def _act(self, effects: tuple[object, ...]) -> bool:
        """Begin what was committed; whether the actor may go on."""
        if not self.host.may_act():
            self.host.stand_down("the lease was not renewed in time")
            return False
        try:
            self.host.stage.perform(self.key, self.state, effects)
        except Exception as error:  # noqa: BLE001  # an actor whose work did not begin must not look alive
            self.host.crashed(self, error)
            return False
        return True

    def arm(self, wake_at: float | None) -> None:
        """Be woken at that time, if nothing happens before."""
        if wake_at == self._wake_at:
            return
        if self._timer is not None:
            self.host.timers.cancel(self._timer)
        self._wake_at = wake_at
        if wake_at is not None:
            seconds = min(wake_at - self.host.runtime.now(), LONGEST)
            self._timer = self.host.timers.after(seconds, self._due)

    def _due(self) -> None:
        """The timer fired. If nothing is due by the wall clock, it is armed again."""
        self._wake_at = self._timer = None
        self.receive(Due())


def _beside(event: object, decision: Decision[Any] | None) -> object:
    """A report beside what its turn has decided before: a request, which overtook it, may have begun new work.

    That work is not of the life that was cut off.
    """
    if isinstance(event, Resumed) and decision is not None and decision.effects:
        return evolve(event, alive=event.alive | frozenset(decision.effects))
    return event
