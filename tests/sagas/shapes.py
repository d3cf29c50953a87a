"""Small sagas whose steps do nothing: the planner never calls them."""

from typing import Any

from attrs import frozen

from atone import DidNotHappen, Probe, Retry, Step, step
from atone.sagas.events import Ended, Returned, Run, Unknown
from atone.sagas.progress import Failure, Progress, Slot
from atone.sagas.saga import Saga

ERROR = Failure("OSError", "the line is down")
DOUBT = Unknown(ERROR)
DONE = Returned(None)


@frozen
class Order:
    total_cents: int = 0


@frozen
class Approve:
    by: str = ""


@frozen
class Decline:
    why: str = ""


def steady(attempts: int) -> Retry:
    """A policy with a pause of one second, and no luck in it."""
    return Retry(attempts=attempts, first=1, factor=1, jitter=0)


def compensatable(name: str, *, attempts: int = 2, probe: bool = False, **options: Any) -> Step[..., Any]:
    """A step with a compensation that is tried twice."""
    made = plain(name, attempts=attempts, probe=probe, **options)

    @made.compensation(retry=steady(2))
    async def undo() -> None: ...

    return made


def plain(name: str, *, attempts: int = 2, probe: bool = False, **options: Any) -> Step[..., Any]:
    """A step without a compensation."""

    async def act() -> None: ...

    made: Step[..., Any] = step(name=name, retry=steady(attempts), **options)(act)
    return with_probe(made) if probe else made


def with_probe(made: Step[..., Any]) -> Step[..., Any]:
    """Add a probe that is asked twice."""

    @made.probe(retry=steady(2))
    async def ask() -> Probe[None]:
        return DidNotHappen()

    return made


def fresh(saga: Saga[Any]) -> Progress:
    """An order that has not begun."""
    return Progress(slots=[Slot() for _ in saga.slots])


def end(run: Run, how: Any = DONE) -> Ended:
    """The end of an attempt."""
    return Ended(run.slot, run.work, run.number, how)
