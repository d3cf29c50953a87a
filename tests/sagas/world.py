"""The world outside: participants that remember each call, and steps that call them."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Protocol

from attrs import define, field, frozen, make_class

from atone import (
    DidNotHappen,
    Happened,
    NeverWillHappen,
    PermanentError,
    Probe,
    Retry,
    Saga,
    Step,
    StepContext,
    StillUnknown,
    step,
)


@frozen
class Order:
    total_cents: int = 0


@frozen
class Approve:
    by: str = "alice"


@frozen
class Decline:
    why: str = "too dear"


Answer = BaseException | asyncio.Event | Callable[[], Awaitable[object]] | None


class Process(Protocol):
    """Whether somebody is left to hear an answer."""

    alive: bool


@define(eq=False)
class World:
    """What really happened. Each function answers by its script, then as usual."""

    log: list[str] = field(factory=list)  #: "reserve#1" for a call, with its attempt
    script: dict[str, list[Answer]] = field(factory=lambda: defaultdict(list))
    refuses: set[str] = field(factory=set)  #: functions that say no whenever they are called
    contexts: list[tuple[str, StepContext]] = field(factory=list)
    given: list[tuple[str, object]] = field(factory=list)  #: what each compensation got for its result
    applied: list[str] = field(factory=list)  #: action keys with an effect that stands
    closed: set[str] = field(factory=set)  #: action keys that were compensated, for ever
    on_call: list[Callable[[str, StepContext], None]] = field(factory=list)
    running: list[str] = field(factory=list)

    def count(self, name: str) -> int:
        """How often a function was called."""
        return sum(line.partition("#")[0] == name for line in self.log)

    def will_refuse(self, name: str) -> bool:
        """Whether the next call certainly has no effect."""
        script = self.script[name]
        return name in self.refuses or bool(script and isinstance(script[0], PermanentError))

    async def called(self, name: str, ctx: StepContext) -> object:
        """Note a call, and answer it by the script."""
        self.log.append(f"{name}#{ctx.attempt}")
        self.contexts.append((name, ctx))
        for look in self.on_call:
            look(name, ctx)
        answer = self.script[name].pop(0) if self.script[name] else None
        answer = PermanentError("refused") if name in self.refuses else answer
        self.running.append(name)
        try:
            if isinstance(answer, asyncio.Event):
                await answer.wait()
                return None
            if isinstance(answer, BaseException):
                raise answer
            return await answer() if answer is not None else None
        finally:
            self.running.remove(name)


@define(eq=False)
class Line:
    """How the steps of one process reach the world. It goes dead with the process."""

    world: World
    process: Process

    async def act(self, name: str, ctx: StepContext) -> object:
        """Have an effect, once per key, unless its key was compensated. Scripts come after the effect."""
        await self._connected()
        known = ctx.key in self.world.closed or ctx.key in self.world.applied
        if not known and not self.world.will_refuse(name):
            self.world.applied.append(ctx.key)
        result = await self.world.called(name, ctx)
        await self._connected()
        return result

    async def undo(self, name: str, ctx: StepContext, result: object) -> None:
        """Take an effect back, and refuse it for ever."""
        await self._connected()
        self.world.given.append((name, result))
        await self.world.called(f"{name}.undo", ctx)
        self.world.closed.add(ctx.action_key)
        if ctx.action_key in self.world.applied:
            self.world.applied.remove(ctx.action_key)
        await self._connected()

    async def ask(self, name: str, ctx: StepContext) -> object:
        """Look at what happened."""
        await self._connected()
        return await self.world.called(f"{name}.probe", ctx)

    async def _connected(self) -> None:
        if not self.process.alive:
            await asyncio.Event().wait()


def effect(
    name: str, *, undo: bool = True, undo_retry: Retry | None = None, probe: bool = False, **options: Any
) -> Step[..., Any]:
    """A step of that name whose functions call the world. Its result is a class of its own."""
    result: Any = make_class(name.title(), {"number": field(type=int)}, frozen=True)

    async def act(line: Line, ctx: StepContext) -> result:
        return await line.act(name, ctx) or result(ctx.attempt)

    made: Step[..., Any] = step(name=name, **options)(act)
    if undo:

        async def take_back(mine: result | None, line: Line, ctx: StepContext) -> None:
            await line.undo(name, ctx, mine)

        if undo_retry is None:
            made.compensation(take_back)
        else:
            made.compensation(retry=undo_retry)(take_back)
    if probe:

        async def ask(line: Line, ctx: StepContext) -> Probe[result]:
            found: Any = await line.ask(name, ctx)
            return Happened(result(ctx.attempt)) if found is Happened else (found or StillUnknown)()

        made.probe(retry=Retry(attempts=2, first=1.0, factor=1.0, jitter=0.0))(ask)
    return made


def finding(found: Any) -> Callable[[], Awaitable[object]]:
    """A probe's answer, for a script: one of its classes."""
    assert found in {Happened, DidNotHappen, NeverWillHappen, StillUnknown}

    async def answer() -> object:
        return found

    return answer


def deaf(gate: asyncio.Event) -> Callable[[], Awaitable[None]]:
    """An attempt that cannot be ended from outside, and returns when the gate opens."""

    async def wait() -> None:
        while not gate.is_set():
            with suppress(asyncio.CancelledError):
                await gate.wait()

    return wait


def slow_to_end(gate: asyncio.Event) -> Callable[[], Awaitable[None]]:
    """An attempt that does nothing until it is cut off, and ends when the gate opens."""

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await gate.wait()

    return wait


def line_of(*steps: Any, **options: Any) -> Saga[Order]:
    """A saga of these steps."""
    return Saga("line", input=Order, steps=list(steps), **options)


def shop(retry: Retry | None = None, **options: Any) -> Saga[Order]:
    """Reserve and charge, the pivot, and a confirmation."""
    more: dict[str, Any] = {} if retry is None else {"retry": retry}
    return line_of(
        effect("reserve", **more), effect("charge", **more), effect("ship", pivot=True, undo=False, **more),
        effect("confirm", undo=False, **more), **options,
    )  # fmt: skip
