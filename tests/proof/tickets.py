"""What orders of a random program are about, who works on them, and what is said to them."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field, frozen

from atone import PermanentError, StepContext
from atone.sagas.context import idempotency_key
from atone.testing import FakeService, action


@frozen
class Ticket:
    """The input of every program."""

    id: str
    waits: bool  #: whether `when` says that a message is awaited
    size: int = 0  #: characters that are added to each result


@frozen
class Yes:
    """A message."""

    by: str


@frozen
class No:
    """A message that may turn an order back."""

    by: str


@frozen
class Note:
    """A message of another kind."""

    text: str


class Participant(FakeService):
    """One who does things."""

    do = action(undo="undo", find="find")
    look = action(read_only=True)

    def __init__(self, *, keys: bool = True) -> None:
        super().__init__(keys=keys)
        self.peers: Sequence[Participant] = [self]
        self.wrong: list[str] = []  #: what steps were given that nobody had answered

    def look_over(self, given: dict[str, str | None], ctx: StepContext) -> None:
        """A step was given results of earlier ones: these must be what a participant, or a person, had answered."""
        for step_, value in given.items():
            key = idempotency_key(ctx.saga, ctx.order_id, step_, "action")
            answers = [
                one.ledger.answers.get((name, key)) for one in self.peers for name in ("do", "look", "look by hand")
            ]
            if value is not None and value.rstrip("x") not in answers:
                self.wrong.append(f"{ctx.step} of order {ctx.order_id} was given {value[:40]!r} for {step_}")

    async def close(self, *, key: str) -> object | None:
        """The answer that was given under a key; where there is none, the key is closed for ever."""
        await self.latency()
        answer = self.answered(key)
        if answer is None:
            self.ledger.closed.add(("do", key))
        await self.latency()
        return answer

    def by_hand(self, key: str) -> object:
        """Done by a person, whatever was refused before; no request under this key is taken any more."""
        self.ledger.closed.add(("do", key))
        return self._apply(self.do.action, key, (), {})

    def answered(self, key: str) -> object | None:
        """The receipt of what was done under a key."""
        answer = self.ledger.answers.get(("do", key))
        return None if isinstance(answer, PermanentError) else answer


class Keeper(Participant):
    """One who recognises a repeat."""


class Forgetful(Participant):
    """One who does not, and must never be asked twice."""

    def __init__(self) -> None:
        super().__init__(keys=False)


@define
class Confusion:
    """Orders whose `when` raises, until somebody sees to it."""

    ids: set[str] = field(factory=set)
