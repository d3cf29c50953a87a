"""Hypothesis strategies: what is said to a saga, what goes wrong around it, and in which order things happen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

from attrs import evolve
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument, ResolutionFailed
from hypothesis.strategies import DrawFn, SearchStrategy

from ..sagas import Receive, Saga, Step
from .happenings import ClockJump, CommitsFail, Death, Fault, FaultPlan, Mail, Mishap, NoRoom, Stall, Standby
from .outcomes import Fate, Outcomes, outcomes
from .services import FakeService
from .site import named

Services = Sequence[object] | Mapping[Any, object]

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
#: Seconds after which something happens: within a call of a step, between its tries, and when all is quiet.
MOMENTS = (0.0, 0.01, 0.03, 0.1, 1.0, 10.0, MINUTE)
#: Callbacks of a small history.
CALLBACKS = 60
#: Every way in which a call can go wrong.
ANY = outcomes(refused=1, lost=1, applied_answer_lost=1, late=1, hang=1)


def schedules() -> SearchStrategy[int]:
    """Seeds of a `Simulation`: each is another order of what happens at once, and other latencies."""
    return st.integers(0, 9999)


def crash_points(saga: Saga[Any], services: Services = ()) -> SearchStrategy[int | str]:
    """Where a process may die: names for `Simulation.crash_at`, or numbers of callbacks for `crash_in`.

    The names are those of the commits of an order that goes through the saga once, there and back, and of the
    effects of fake services.
    """
    commits = 2 * sum(isinstance(slot, Step) for slot in saga.slots) + 2
    return deaths(calls(services), range(1, commits + 1)).filter(bool)


def fault_plans(saga: Saga[Any], services: Services = (), *, faults: Outcomes = ANY) -> SearchStrategy[FaultPlan]:
    """What participants, disk, clock and process will do in a history of one saga.

    `services` are the participants, as for a `Simulation`; of `faults`, calls have the fates whose weight is not
    zero. An undo is never refused: that would be final. Plans shrink towards nothing, and towards what needs no
    special moment.
    """
    mishap = mishaps(services, faults)
    trouble = [
        st.builds(CommitsFail, st.integers(1, 3), applied=st.booleans()),
        st.builds(NoRoom, st.sampled_from([1.0, MINUTE, HOUR])),
        st.builds(ClockJump, jumps()),
        st.builds(Standby),
        st.builds(Stall, stalls()),
    ]
    return st.builds(
        _plan,
        st.just([]) if mishap is None else st.lists(mishap, max_size=4),
        st.lists(_at_times(st.builds(Death, crash_points(saga, services))), max_size=2),
        st.lists(st.one_of([_at_times(one) for one in trouble]), max_size=3),
        schedules(),
    )


def messages(
    saga: Saga[Any],
    given: Mapping[type, SearchStrategy[Any]] | None = None,
    *,
    order: str = "1",
    max_size: int = 4,
) -> SearchStrategy[list[Mail]]:
    """What clients may say to an order of a saga, and when: too early, in any order, twice under one id, or too late.

    Made from the type hints of what the saga's receives take, or by strategies `given` for some of these types.
    Raises `TypeError` where a type cannot be made from its hints. A saga that awaits nothing is told nothing.
    """
    content = contents([saga], given or {}, "given")
    if content is None:
        return st.just([])
    return _mails(content, st.sampled_from(_moments(saga)), order, max_size)


@st.composite
def _mails(
    draw: DrawFn, content: SearchStrategy[Any], moment: SearchStrategy[float], order: str, max_size: int
) -> list[Mail]:
    said = draw(st.lists(st.tuples(content, moment), max_size=max_size))
    mails = [Mail(message, id=f"message {n}", order=order, at=at) for n, (message, at) in enumerate(said, 1)]
    if mails:
        repeats = draw(st.lists(st.tuples(st.sampled_from(mails), moment), max_size=2))
        mails += [evolve(mail, at=at) for mail, at in repeats]
    return mails


def _moments(saga: Saga[Any]) -> list[float]:
    """When messages come: soon, and right before and after each wait is over."""
    waits = [slot.timeout for slot in saga.slots if isinstance(slot, Receive)]
    ends = {wait for wait in waits if wait is not None}
    return [*MOMENTS, *sorted(max(end + margin, 0.0) for end in ends for margin in (-1, 1)), DAY]


def _plan(calls: list[Fault], deaths: list[Fault], trouble: list[Fault], seed: int) -> FaultPlan:
    return FaultPlan(*calls, *deaths, *trouble, seed=seed)


def _at_times(fault: SearchStrategy[Any]) -> SearchStrategy[Any]:
    return fault | st.builds(evolve, fault, at=st.sampled_from(MOMENTS))  # at once more often: most orders are brief


# ── what a `SagaMachine` draws from as well ──


def jumps() -> SearchStrategy[float]:
    """Seconds by which a clock is set."""
    return st.sampled_from([MINUTE, HOUR, DAY, -MINUTE, -HOUR])


def stalls() -> SearchStrategy[float]:
    """Seconds for which a process stands still: long enough to be replaced, or not."""
    return st.sampled_from([15.0, 3.0])


def mishaps(services: Services, faults: Outcomes) -> SearchStrategy[Mishap] | None:
    """What becomes of the next call of a fake service; `None` where there is none, or no fault."""
    found = [
        Mishap(call, fate)
        for call, undoes in calls(services).items()
        for fate, weight in faults.weights.items()
        if weight and fate is not Fate.OK and not (undoes and fate is Fate.REFUSED)
    ]
    return st.sampled_from(found) if found else None


def deaths(calls: Iterable[str], commits: Iterable[int]) -> SearchStrategy[int | str]:
    """When a process dies: now (0), so many callbacks later, or at a named point that it may come to."""
    effects = [f"{call}:{when}_effect" for call in calls for when in ("before", "after")]
    written = [f"commit {number}:{when}" for number in commits for when in ("before", "after")]
    return st.integers(0, CALLBACKS) | st.sampled_from([*written, *effects])


def calls(services: Services) -> dict[str, bool]:
    """What can be asked of the fake services, and whether that undoes something."""
    kinds = [one if isinstance(one, type) else type(one) for _, one in named(services)]
    return {call: undoes for kind in kinds if issubclass(kind, FakeService) for call, undoes in kind.calls().items()}


def contents(
    sagas: Sequence[Saga[Any]], given: Mapping[type, SearchStrategy[Any]], where: str
) -> SearchStrategy[Any] | None:
    """What can be sent to sagas, in no envelope; `None` where none of them waits for any."""
    awaited = {kind for one in sagas for slot in one.slots if isinstance(slot, Receive) for kind in slot.types}
    sent = [
        given[kind] if kind in given else hinted(kind, where)
        for kind in sorted(awaited, key=lambda kind: kind.__name__)
    ]
    return st.one_of(sent) if sent else None


def hinted(kind: type, where: str) -> SearchStrategy[Any]:
    """A strategy from type hints; raises `TypeError` with the remedy, and where it belongs."""
    strategy: SearchStrategy[Any] = st.from_type(cast("type[Any]", kind))
    try:
        strategy.validate()
    except (ResolutionFailed, InvalidArgument) as error:
        name = kind.__name__
        msg = (
            f"{name} cannot be made from its type hints ({error}): "
            f"give a strategy for it, {where} = {{...: st.builds({name}, ...)}}"
        )
        raise TypeError(msg) from error
    return strategy
