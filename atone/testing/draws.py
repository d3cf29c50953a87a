"""What a `SagaMachine` draws from: inputs, messages, and what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import frozen
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ..sagas import Saga
from .happenings import Mishap
from .outcomes import Outcomes
from .strategies import calls, contents, deaths, hinted, mishaps


@frozen
class Start:
    """What an order is started with."""

    saga: Saga[Any]
    input: Any


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
        begun = [
            st.builds(Start, st.just(one), inputs[one] if one in inputs else hinted(one.input, f"{owner}.inputs"))
            for one in sagas
        ]
        mishap = mishaps(services, faults)
        return cls(
            st.one_of(begun),
            contents(sagas, messages, f"{owner}.messages"),
            mishap,
            st.just([]) if mishap is None else st.lists(mishap, max_size=4),
            list(calls(services)),
        )

    def deaths(self, commits: int) -> SearchStrategy[int | str]:
        """When a process dies: now, so many callbacks later, or at a named point that it may come to."""
        return deaths(self._calls, range(commits + 1, commits + 4))
