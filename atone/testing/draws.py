"""What a `SagaMachine` draws from: inputs, messages, and the points at which a process dies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from attrs import frozen
from hypothesis import strategies as st
from hypothesis.errors import InvalidArgument, ResolutionFailed
from hypothesis.strategies import SearchStrategy

from ..sagas import Receive, Saga
from .outcomes import Fate, Outcomes
from .services import FakeService


@frozen
class Start:
    """What an order is started with."""

    saga: Saga[Any]
    input: Any


@frozen
class Request:
    """What a client may ask again."""

    order: str
    message: object | None  #: `None` for a cancel
    id: str


@frozen
class Mishap:
    """What becomes of the next call of a fake service."""

    call: str
    fate: Fate


@frozen
class Draws:
    """The strategies of one class of machines."""

    starts: SearchStrategy[Start]
    messages: SearchStrategy[Any] | None  #: `None` where no saga waits for any
    mishap: SearchStrategy[Mishap] | None  #: `None` where there is no fake service, or no fault
    plans: SearchStrategy[list[Mishap]]
    _calls: list[str]  #: of fake services: actions and undos

    @classmethod
    def of(
        cls,
        owner: str,
        *,
        sagas: Sequence[Saga[Any]],
        services: Sequence[object] | Mapping[Any, object],
        inputs: Mapping[Saga[Any], SearchStrategy[Any]],
        messages: Mapping[type, SearchStrategy[Any]],
        faults: Outcomes,
    ) -> Draws:
        """What there is to draw; raises `TypeError` where it cannot be found in type hints."""
        inputs = {one: inputs[one] if one in inputs else _hinted(owner, "inputs", one.input) for one in sagas}
        awaited = {kind for one in sagas for slot in one.slots if isinstance(slot, Receive) for kind in slot.types}
        sent = [
            messages[kind] if kind in messages else _hinted(owner, "messages", kind)
            for kind in sorted(awaited, key=lambda kind: kind.__name__)
        ]
        calls = _calls(services)
        mishaps = [
            Mishap(call, fate)
            for call, undoes in calls.items()
            for fate, weight in faults.weights.items()
            if weight and fate is not Fate.OK and not (undoes and fate is Fate.REFUSED)  # that would be final
        ]
        mishap = st.sampled_from(mishaps) if mishaps else None
        return cls(
            st.one_of([st.builds(Start, st.just(saga), input) for saga, input in inputs.items()]),
            st.one_of(sent) if sent else None,
            mishap,
            st.just([]) if mishap is None else st.lists(mishap, max_size=4),
            list(calls),
        )

    def deaths(self, commits: int) -> SearchStrategy[int | str]:
        """When a process dies: now, so many callbacks later, or at a named point that it may come to."""
        moments = [f"{call}:{when}_effect" for call in self._calls for when in ("before", "after")]
        next_ones = [f"commit {commits + n}:{when}" for n in (1, 2, 3) for when in ("before", "after")]
        return st.integers(0, 60) | st.sampled_from([*next_ones, *moments])


def _calls(services: Sequence[object] | Mapping[Any, object]) -> dict[str, bool]:
    """What can be asked of the fake services, and whether that undoes something."""
    provided = services.values() if isinstance(services, Mapping) else services
    kinds = [one if isinstance(one, type) else type(one) for one in provided]
    return {call: undoes for kind in kinds if issubclass(kind, FakeService) for call, undoes in kind.calls().items()}


def _hinted(owner: str, place: str, kind: type) -> SearchStrategy[Any]:
    """A strategy from type hints; raises `TypeError` with the remedy."""
    strategy: SearchStrategy[Any] = st.from_type(cast("type[Any]", kind))
    try:
        strategy.validate()
    except (ResolutionFailed, InvalidArgument) as error:
        msg = (
            f"{owner} cannot make {kind.__name__} from its type hints ({error}): "
            f"give it a strategy, {place} = {{...: st.builds({kind.__name__}, ...)}}"
        )
        raise TypeError(msg) from error
    return strategy
