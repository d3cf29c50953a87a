"""A step: an action paired with its compensation, and perhaps a probe."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, Generic, ParamSpec, TypeVar, overload

from attrs import field

from ..storage import frozen
from .errors import DefinitionError
from .retry import LONGEST, PROBING, UNTIL_DONE, Retry

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

#: Seconds that a call may take when the step does not say.
DEFAULT_TIMEOUT = 30.0


@frozen
class Happened(Generic[R]):
    """A probe's answer: the action took place, with this result."""

    result: R


@frozen
class DidNotHappen:
    """A probe's answer: not so far. Permits a retry under the same key; a late request may still arrive."""


@frozen
class NeverWillHappen:
    """A probe's answer: the participant has closed the key. The only answer that clears the debt."""


@frozen
class StillUnknown:
    """A probe's answer: it cannot tell. Raising or hanging means the same."""


#: What a probe returns.
Probe = Happened[R] | DidNotHappen | NeverWillHappen | StillUnknown


@frozen
class Call:
    """A function of the user's, and how it is called."""

    function: Callable[..., Any]
    timeout: float  #: seconds
    retry: Retry | None  #: `None` where the place in the saga decides
    is_async: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "is_async", inspect.iscoroutinefunction(self.function))
        if inspect.isgeneratorfunction(self.function) or inspect.isasyncgenfunction(self.function):
            name = getattr(self.function, "__name__", "step")
            msg = f"{name!r} is a generator, whose body would never run: drop its `yield`"
            raise DefinitionError(msg)
        timeout: object = self.timeout
        if not isinstance(timeout, int | float) or not 0 < timeout <= LONGEST:
            name = getattr(self.function, "__name__", "step")
            msg = f"{name!r} has a timeout of {self.timeout!r} s: give seconds above zero, up to a thousand years"
            raise DefinitionError(msg)
        if not isinstance(self.retry, Retry | None):
            name = getattr(self.function, "__name__", "step")
            msg = f"{name!r} has {self.retry!r} for its retry: give a Retry(...)"
            raise DefinitionError(msg)


class Step(Generic[P, R]):
    """An action with its compensation. Made by `@step`; stays callable as the plain function it was."""

    def __init__(self, action: Call, *, name: str, pivot: bool, read_only: bool, repeatable: bool) -> None:
        self.action = action
        self.name = name
        self.pivot = pivot
        self.read_only = read_only
        self.repeatable = repeatable
        self.undo: Call | None = None
        self.ask: Call | None = None
        self.__doc__ = action.function.__doc__

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Call the action itself, as a unit test does: what it returns is what the function returns."""
        return self.action.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<step {self.name!r}>"

    @overload
    def compensation(self, function: F, /) -> F: ...
    @overload
    def compensation(self, /, *, timeout: float = ..., retry: Retry = ...) -> Callable[[F], F]: ...
    def compensation(
        self, function: F | None = None, /, *, timeout: float = DEFAULT_TIMEOUT, retry: Retry = UNTIL_DONE
    ) -> F | Callable[[F], F]:
        """Declare what undoes the action. It must be safe when the action never happened.

        It gets the action's result, or `None` where the action is in doubt. It is repeated until it
        returns; when it raises `PermanentError` or uses up its attempts, the order is parked.
        """

        def declare(function: F) -> F:
            if self.undo is not None:
                msg = f"step {self.name!r} has two compensations: keep one"
                raise DefinitionError(msg)
            self.undo = Call(function, timeout, retry)
            return function

        return declare if function is None else declare(function)

    @overload
    def probe(self, function: F, /) -> F: ...
    @overload
    def probe(self, /, *, timeout: float = ..., retry: Retry = ...) -> Callable[[F], F]: ...
    def probe(
        self, function: F | None = None, /, *, timeout: float = DEFAULT_TIMEOUT, retry: Retry = PROBING
    ) -> F | Callable[[F], F]:
        """Declare how to ask the participant what became of an attempt in doubt. It must change nothing."""

        def declare(function: F) -> F:
            if self.ask is not None:
                msg = f"step {self.name!r} has two probes: keep one"
                raise DefinitionError(msg)
            self.ask = Call(function, timeout, retry)
            return function

        return declare if function is None else declare(function)


class _Decorator:
    """What `@step(...)` returns: makes a step of an `async def` or a plain `def`."""

    def __init__(self, **options: Any) -> None:
        self._options = options

    @overload
    def __call__(self, action: Callable[P, Awaitable[R]], /) -> Step[P, R]: ...
    @overload
    def __call__(self, action: Callable[P, R], /) -> Step[P, R]: ...
    def __call__(self, action: Callable[..., Any], /) -> Step[..., Any]:
        return _make(action, **self._options)


@overload
def step(action: Callable[P, Awaitable[R]], /) -> Step[P, R]: ...
@overload
def step(action: Callable[P, R], /) -> Step[P, R]: ...
@overload
def step(
    *,
    timeout: float = ...,
    retry: Retry | None = ...,
    pivot: bool = ...,
    read_only: bool = ...,
    repeatable: bool = ...,
    name: str | None = ...,
) -> _Decorator: ...
def step(action: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a step of a function; an `async def` runs in the event loop, a `def` in a worker thread.

    `timeout` is in seconds and applies to each attempt, from the call; one that runs out leaves the attempt in doubt.
    `retry` says how often an attempt in doubt is repeated under the same key: 3 attempts when not given,
    20 after the pivot. `pivot=True` marks the point of no return: once it is begun, the order goes
    forward. `read_only=True` says that the action has no effect, so that nothing is ever owed for it.
    `repeatable=False` says that the participant cannot recognise a repeat: the action is never sent twice.
    """
    return _make(action, **options) if action is not None else _Decorator(**options)


def _make(
    action: Callable[..., Any],
    *,
    timeout: float = DEFAULT_TIMEOUT,
    retry: Retry | None = None,
    pivot: bool = False,
    read_only: bool = False,
    repeatable: bool = True,
    name: str | None = None,
) -> Step[..., Any]:
    if inspect.isclass(action) or not callable(action):
        msg = f"@step needs a function, not {action!r}: put it above a `def` or an `async def`"
        raise DefinitionError(msg)
    if name is None:
        name = str(getattr(action, "__name__", ""))
    if pivot and read_only:
        msg = f"step {name!r} is both the pivot and read-only: a pivot has an effect, so drop one of them"
        raise DefinitionError(msg)
    return Step(Call(action, timeout, retry), name=name, pivot=pivot, read_only=read_only, repeatable=repeatable)
