"""A mailbox: two lanes of durable messages, and the reports of the actor's own effects.

Every message here is on disk already, so that the mailbox may be thrown away at any time. How many there may be
is limited where they are accepted (`Accept.limit`), before anything is promised to the sender.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import TypeVar

from attrs import define

from ..storage import Lane, Message

S = TypeVar("S")


@define(eq=False, repr=False)
class Mailbox:
    """What an actor has yet to receive. Control overtakes data, and both overtake the actor's own reports.

    That last rule is what makes a message win against a timer that fires at the same time, and a cancel against
    the next step.
    """

    messages: tuple[Message, ...] = ()  #: control lane first, each lane in order of acceptance
    _known: set[int] | None = None
    reports: tuple[object, ...] = ()  #: what the actor's own effects and timers have to say

    def put(self, messages: Iterable[Message]) -> None:
        """Add messages; known ones are passed over."""
        if self._known is None:
            self._known = set()
        new = {message.seq: message for message in messages if message.seq not in self._known}
        if new:
            self._known.update(new)
            self.messages = tuple(sorted([*self.messages, *new.values()], key=_place))

    def drop(self, gone: Container[int]) -> None:
        """Take messages out that do not wait on disk any more: what was told of them came after they were consumed."""
        self.messages = tuple([message for message in self.messages if message.seq not in gone])

    def knows(self, seq: int) -> bool:
        """Whether a message was put in here, whatever became of it."""
        return self._known is not None and seq in self._known

    def report(self, event: object) -> None:
        """Add a report of the actor's own."""
        self.reports += (event,)

    def take(self, accepts: Callable[[S, Message], bool], state: S) -> object | None:
        """Remove and return what is to be received next, if anything."""
        for place, message in enumerate(self.messages):
            if message.lane is Lane.CONTROL or accepts(state, message):
                self.messages = self.messages[:place] + self.messages[place + 1 :]
                return message
        if not self.reports:
            return None
        report, self.reports = self.reports[0], self.reports[1:]
        return report

    def put_back(self, taken: Iterable[object]) -> None:
        """Undo `take`: what was taken is to be received again, in the same order."""
        taken = list(taken)
        messages = [one for one in taken if isinstance(one, Message)]
        self.messages = tuple(sorted([*self.messages, *messages], key=_place))
        self.reports = (*[one for one in taken if not isinstance(one, Message)], *self.reports)

    def __bool__(self) -> bool:
        return bool(self.reports or self.messages)


def _place(message: Message) -> tuple[Lane, int]:
    return message.lane, message.seq
