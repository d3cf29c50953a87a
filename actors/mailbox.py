"""A mailbox: two lanes of durable messages, and the reports of the actor's own effects.

Every message here is on disk already, so that the mailbox may be thrown away at any time. How many there may be
is limited where they are accepted (`Accept.limit`), before anything is promised to the sender.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from attrs import define, field

from ..storage import Lane, Message


@define(eq=False)
class Mailbox:
    """What an actor has yet to receive. Control overtakes data, and both overtake the actor's own reports.

    That last rule is what makes a message win against a timer that fires at the same time, and a cancel against
    the next step.
    """

    _known: set[int] = field(factory=set)
    _control: deque[Message] = field(factory=deque)
    _data: deque[Message] = field(factory=deque)
    _reports: deque[object] = field(factory=deque)

    def put(self, messages: Iterable[Message]) -> None:
        """Add messages in order of acceptance; known ones are passed over."""
        for message in messages:
            if message.seq not in self._known:
                self._known.add(message.seq)
                (self._control if message.lane is Lane.CONTROL else self._data).append(message)

    def report(self, event: object) -> None:
        """Add a report of the actor's own."""
        self._reports.append(event)

    def take(self, accepts: Callable[[Message], bool]) -> object | None:
        """Remove and return what is to be received next, if anything."""
        if self._control:
            return self._control.popleft()
        for message in self._data:
            if accepts(message):
                self._data.remove(message)
                return message
        return self._reports.popleft() if self._reports else None

    def put_back(self, taken: Iterable[object]) -> None:
        """Undo `take`: what was taken is to be received again, in the same order."""
        messages = [one for one in taken if isinstance(one, Message)]
        self._control.extendleft(reversed([one for one in messages if one.lane is Lane.CONTROL]))
        data = sorted([*self._data, *(one for one in messages if one.lane is Lane.DATA)], key=lambda one: one.seq)
        self._data = deque(data)
        self._reports.extendleft(reversed([one for one in taken if not isinstance(one, Message)]))

    def leftover(self) -> list[Message]:
        """The messages that nobody will consume any more."""
        return [*self._control, *self._data]

    def reports(self) -> list[object]:
        """The reports that are still to be received."""
        return list(self._reports)

    def __bool__(self) -> bool:
        return bool(self._control or self._reports)
