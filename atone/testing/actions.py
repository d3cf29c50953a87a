"""What a fake service can be asked: its declared actions, their undos, and what looks an answer up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol, Self, cast, overload

from attrs import define, frozen

from ..sagas import PermanentError
from .ledger import Ledger
from .outcomes import Fate


class Participant(Protocol):
    """Who is asked."""

    ledger: Ledger
    plans: dict[str, list[Fate]]

    @property
    def name(self) -> str:
        """The name of the service in stories."""
        ...

    def request(self, call: Call, key: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Coroutine[Any, Any, Any]:
        """One request on its way there and back."""
        ...

    def latency(self) -> Awaitable[None]:
        """Let a little time pass, as a network does."""
        ...


@define(eq=False)
class Action:
    """What a service can do: an action, the name of its undo, and of what looks its answer up."""

    answer: Callable[..., Any] | None
    undo: str | None
    find: str | None
    read_only: bool
    name: str = ""


class Declaration:
    """Stands in the class body; becomes a `Call` on the instance."""

    def __init__(self, action: Action) -> None:
        self.action = action

    def __call__(self, answer: Callable[..., Any]) -> Self:
        """Decorate the function that makes the answer."""
        self.action.answer = answer
        return self

    def __set_name__(self, owner: type, name: str) -> None:
        action = self.action
        action.name = name
        if action.undo is not None:
            setattr(owner, action.undo, _Derived(lambda service: Call(service, action, action.undo or "", undo=True)))
        if action.find is not None:
            setattr(owner, action.find, _Derived(lambda service: Lookup(service, action)))

    @overload
    def __get__(self, service: None, _owner: type) -> Self: ...
    @overload
    def __get__(self, service: Participant, _owner: type) -> Call: ...
    def __get__(self, service: Participant | None, _owner: type) -> Self | Call:
        return self if service is None else Call(service, self.action, self.action.name, undo=False)


class _Derived:
    """A method that a declaration names."""

    def __init__(self, make: Callable[[Participant], Any]) -> None:
        self._make = make

    def __get__(self, service: Participant | None, _owner: type) -> Any:
        return self if service is None else self._make(service)


def action(
    answer: Callable[..., Any] | None = None,
    *,
    undo: str | None = None,
    find: str | None = None,
    read_only: bool = False,
) -> Declaration:
    """Declare an action of a `FakeService`.

    `undo` names the method that takes it back, `find` one that looks its answer up by key (for probes): `None`
    where no such effect stands, because nothing came, it was refused, or it was undone.
    `read_only` says that it has no effect. The answer is a receipt such as `"charge-1"`, or what `answer` returns
    when called with the service and the call's arguments, once for each effect; `action` also decorates it.
    """
    return Declaration(Action(answer, undo, find, read_only))


@frozen
class Lookup:
    """The method that `find` named: the answer to an action whose effect stands under a key, or else `None`."""

    service: Participant
    action: Action

    async def __call__(self, *, key: str) -> Any:
        """Ask what became of a key; of what was refused, or undone, there is nothing to be found."""
        ledger, place = self.service.ledger, (self.action.name, key)
        ledger.looked.append((self.action.find or "", key))
        await self.service.latency()
        answer = ledger.answers.get(place)
        stands = self.action.read_only or ledger.standing.get(place, 0) > 0
        return answer if stands and not isinstance(answer, PermanentError) else None


@frozen
class Call:
    """An action, or its undo, of one service: call it, or plan what becomes of its next calls."""

    service: Participant
    action: Action
    name: str
    undo: bool

    def plan(self, *fates: str) -> None:
        """The fates of the next calls, one after another: `plan("lost", "ok")`."""
        self.service.plans.setdefault(self.name, []).extend(map(Fate, fates))

    def __call__(self, *args: Any, key: str = "", **kwargs: Any) -> Awaitable[Any]:
        """Send the request under an idempotency key; raises `PermanentError` where it is refused."""
        name = f"{self.service.name}.{self.name}"
        if not key or not isinstance(key, str):
            made = "ctx.action_key" if self.undo else "ctx.key"
            raise TypeError(f"{name} was called without a key: write {self.name}(key={made}, ...)")
        request = self.service.request(self, key, args, kwargs)
        cast("Any", request).__qualname__ = name  # for the warning where nobody awaits it
        return request
