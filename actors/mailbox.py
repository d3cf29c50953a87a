"""A mailbox: two lanes of durable messages, and the reports of the actor's own effects.

Every message here is on disk already, so that the mailbox may be thrown away at any time. How many there may be
is limited where they are accepted (`Accept.limit`), before anything is promised to the sender.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from attrs import define, field

from ..storage import Lane, Message

S = TypeVar("S")


@define(eq=False)
class Mailbox:
    """What an actor has yet to receive. Control overtakes data, and both overtake the actor's own reports.

    That last rule is what makes a message win against a timer that fires at the same time, and a cancel against
    the next step.
    """

    messages: list[Message] = field(factory=list)  #: control lane first, each lane in order of acceptance
    _known: set[int] | None = None
    _reports: list[object] = field(factory=list)

    def put(self, messages: Iterable[Message]) -> None:
        """Add messages; known ones are passed over."""
        if self._known is None:
            self._known = set()
        new = {message.seq: message for message in messages if message.seq not in self._known}
        if new:
            self._known.update(new)
            self.messages = sorted([*self.messages, *new.values()], key=_place)

    def report(self, event: object) -> None:
        """Add a report of the actor's own."""
        self._reports.append(event)

    def take(self, accepts: Callable[[S, Message], bool], state: S) -> object | None:
        """Remove and return what is to be received next, if anything."""
        for place, message in enumerate(self.messages):
            if message.lane is Lane.CONTROL or accepts(state, message):
                return self.messages.pop(place)
        return self._reports.pop(0) if self._reports else None

    def put_back(self, taken: Iterable[object]) -> None:
        """Undo `take`: what was taken is to be received again, in the same order."""
        taken = list(taken)
        messages = [one for one in taken if isinstance(one, Message)]
        self.messages = sorted([*self.messages, *messages], key=_place)
        self._reports[:0] = [one for one in taken if not isinstance(one, Message)]

    def __bool__(self) -> bool:
        return bool(self._reports or self.messages)

    @property
    def reports(self) -> Sequence[object]:
        """The reports that are still to be received."""
        return self._reports


def _place(message: Message) -> tuple[Lane, int]:
    return message.lane, message.seq
