"""Kill the process everywhere, one history after another, and judge each of them."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar, cast, overload

from attrs import define
from cattrs import Converter

from ..sagas import Saga
from .campaign import Campaign, Provide
from .coverage import Coverage
from .rehearsal import rehearse
from .simulation import Simulation
from .spy import Flaw
from .story import SagaFailure, Story

I = TypeVar("I")  # noqa: E741  # the input; one letter, as type variables are


@overload
def crash_everywhere(
    saga: Saga[I],
    input: I,
    services: Provide = ...,
    *,
    crashes: int = ...,
    messages: Sequence[object] = ...,
    seed: int = ...,
    store: Literal["memory", "sqlite"] = ...,
    every: bool = ...,
    budget: float | None = ...,
    only: str | None = ...,
    allow: Sequence[Flaw] = ...,
    converter: Converter | None = ...,
) -> Coverage: ...
@overload
def crash_everywhere(
    *sagas: Saga[Any],
    services: Provide = ...,
    crashes: int = ...,
    seed: int = ...,
    store: Literal["memory", "sqlite"] = ...,
    every: bool = ...,
    budget: float | None = ...,
    only: str | None = ...,
    converter: Converter | None = ...,
) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., None]]: ...
def crash_everywhere(*args: Any, **options: Any) -> Any:
    """Kill the process at every crash point of a saga, let it recover, and judge what came of it.

    Called with a saga and an input, it rehearses the saga (see `rehearse`), runs one order of it, and returns a
    `Coverage`. Above an `async def` test that takes `sim`, it makes that test run once for each history.

    Histories are: the undisturbed run; runs in which one action of a `FakeService` is refused under one of its keys,
    or takes effect late and without an answer; runs that turn back for it, in which an undo is lost, is not answered,
    or (in a call with an input) is refused; those in which one thing went wrong, or none, killed before every callback
    since which the steps, the disk, a participant or the wire have moved (`every=True`: before every callback at all),
    but for keys between the first and the last of an action; and with `crashes=2` each of those killed once more in
    its recovery, but for those with late effects (`every=True`: those as well). `messages` are sent to the order.
    `budget` is in seconds; `converter` is as for a coordinator. Raises `SagaFailure`, whose text is the story of the
    first history that broke a promise; `only="charge=late@17"` runs that history alone, `"charge#2=late@17"` one about
    the second key.
    """
    sagas: list[Saga[Any]] = [one for one in args if isinstance(one, Saga)]
    rest = [one for one in args if not isinstance(one, Saga)]
    if "input" in options:
        rest.insert(0, options.pop("input"))
    decorates = not rest
    unknown = set(options) - _OPTIONS - (set() if decorates else _OPTIONS_OF_CALLS)
    several = not decorates and len(sagas) > 1
    if not sagas or unknown or several:
        what = f"has no option {', '.join(map(repr, sorted(unknown)))}" if unknown else "needs a saga"
        what = "runs one saga with one input" if several else what
        raise TypeError(f"crash_everywhere() {what}: crash_everywhere(saga, input, services, ...)")
    return _Decorator(sagas, options) if decorates else _crash(sagas[0], *rest, **options)


_OPTIONS = {"services", "crashes", "seed", "store", "every", "budget", "only", "converter"}
_OPTIONS_OF_CALLS = {"messages", "allow"}


def _crash(
    saga: Saga[Any],
    input: Any,
    services: Provide = (),
    *,
    messages: Sequence[object] = (),
    allow: Sequence[Flaw] = (),
    converter: Converter | None = None,
    **options: Any,
) -> Coverage:
    __tracebackhide__ = True
    seed = options.get("seed", 0)
    flaws = rehearse(saga, input, services, messages=messages, allow=allow, seed=seed, converter=converter)
    if flaws:
        raise SagaFailure(Story(violations=tuple(flaws)), flaws)

    async def scenario(sim: Simulation) -> None:
        id = await sim.start(saga, input, id="1")
        for message in messages:
            await sim.send(id, message)
        await sim.settle()

    return Campaign.of(saga.name, scenario, [saga], services, converter=converter, refuse_undos=True, **options).run()


@define(eq=False)
class _Decorator:
    """Waits for the test that it is put above."""

    sagas: Sequence[Saga[Any]]
    options: Mapping[str, Any]
    used: bool = False

    def __call__(self, test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
        """The test, run once for each history."""
        self.used = True
        signature = inspect.signature(test)
        if not inspect.iscoroutinefunction(test) or "sim" not in signature.parameters:
            name = getattr(test, "__name__", test)
            raise TypeError(f"@crash_everywhere goes above an `async def` test that takes `sim`: async def {name}(sim)")

        @functools.wraps(test)
        def every_history(**fixtures: Any) -> None:
            __tracebackhide__ = True

            def scenario(sim: Simulation) -> Awaitable[None]:
                return test(sim=sim, **fixtures)

            options = {name: value for name, value in self.options.items() if name != "services"}
            Campaign.of(test.__name__, scenario, self.sagas, self.options.get("services", ()), **options).run()

        wanted = [one for name, one in signature.parameters.items() if name != "sim"]
        cast("Any", every_history).__signature__ = signature.replace(parameters=wanted, return_annotation=None)
        del cast("Any", every_history).__wrapped__  # pytest would look behind it, and find the async function
        return every_history

    def __del__(self) -> None:
        if not self.used:
            warnings.warn(
                "crash_everywhere(saga) tried nothing: give it an input as well, or put it above a test",
                RuntimeWarning,
                stacklevel=2,
            )
