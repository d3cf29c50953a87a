"""A saga: an ordered list of steps, parallel groups and awaited messages, checked when it is defined."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from enum import Enum
from typing import Any, Generic, TypeVar

from ..storage import Definition, frozen
from .diagram import Box, flowchart
from .errors import DefinitionError
from .inject import Binding, Offer, bind, members, snake, type_hints
from .progress import Work
from .receive import Receive
from .retry import BEFORE_PIVOT, UNTIL_DONE, Retry, seconds
from .step import Call, Step

I = TypeVar("I")  # noqa: E741  # the input; one letter, as type variables are

AnyStep = Step[..., Any]


class Zone(Enum):
    """Which way a step recovers: the saga's theory in three words (Garcia-Molina and Salem, 1987; Richardson, 2018)."""

    COMPENSATABLE = "compensatable"  #: before the pivot: undone when the order turns back
    PIVOT = "pivot"  #: the point of no return
    RETRIABLE = "retriable"  #: after the pivot: tried until it is done


@frozen
class Group:
    """Steps that run at the same time. Made by `parallel`."""

    steps: tuple[AnyStep, ...]


def parallel(*steps: AnyStep) -> Group:
    """Run steps at the same time; the order goes on when all of them succeeded.

    When one fails, attempts under way finish, no new one starts, and all that may have happened is
    undone, one after another, in reverse order of this list.
    """
    for member in steps:
        if not isinstance(member, Step):
            msg = f"parallel() got {member!r}: give plain steps only, no receive and no further group"
            raise DefinitionError(msg)
        if member.pivot:
            msg = f"parallel() got the pivot {member.name!r}: a pivot stands alone, so put it after the group"
            raise DefinitionError(msg)
    if len(steps) < 2:  # noqa: PLR2004  # one alone is not parallel
        msg = "parallel() needs at least two steps: write a single step into the list itself"
        raise DefinitionError(msg)
    return Group(steps)


class Saga(Generic[I]):
    """What an order goes through. `input` is the class of what it is started with.

    Steps and awaited messages are numbered through as `slots`; `nodes` are what is done one after another,
    each a tuple of slots. `deadline` is the time an order may take until its pivot begins, once a host has begun it.

    Raises `DefinitionError` for a definition that could lose money or never run.
    """

    def __init__(
        self,
        name: str,
        *,
        version: int = 1,
        input: type[I],  # the word that users know
        steps: Sequence[AnyStep | Group | Receive],
        deadline: timedelta | None = None,
    ) -> None:
        self.name = name
        self.version = version
        self.input = input
        self.deadline = seconds(deadline, f"saga {name!r} has a deadline")
        self.slots: tuple[AnyStep | Receive, ...] = tuple(_flatten(steps))
        self.nodes = tuple(_number(steps))
        self.pivot = next((i for i, slot in enumerate(self.slots) if isinstance(slot, Step) and slot.pivot), None)
        self._check()
        self.calls = tuple(_calls(slot) for slot in self.slots)
        self.results = tuple(self._result_type(slot) for slot in self.slots)
        self.bindings = tuple(self._bind(i) for i in range(len(self.slots)))
        self.fingerprint = self._fingerprint()
        self.definition = Definition(name, version, self.fingerprint)
        self._index = {id(slot): i for i, slot in enumerate(self.slots)}

    def __repr__(self) -> str:
        return f"<saga {self.name!r} version {self.version}>"

    def zone(self, index: int) -> Zone:
        """Which way the slot recovers."""
        if self.pivot is None or index < self.pivot:
            return Zone.COMPENSATABLE
        return Zone.PIVOT if index == self.pivot else Zone.RETRIABLE

    def retry(self, index: int, work: Work) -> Retry:
        """The retry policy for one kind of work of a step, with the default of its zone."""
        call = self.calls[index][work]
        if call is not None and call.retry is not None:
            return call.retry
        return UNTIL_DONE if self.zone(index) is Zone.RETRIABLE else BEFORE_PIVOT

    def step(self, index: int) -> AnyStep:
        """The step at a slot that is known to be one."""
        slot = self.slots[index]
        assert isinstance(slot, Step)
        return slot

    def index(self, slot: AnyStep | Receive) -> int:
        """The number of a step or awaited message of this saga; raises `KeyError` for another's."""
        return self._index[id(slot)]

    def skippable(self, index: int) -> bool:
        """Whether the order can go on without the result of this step."""
        return not any(
            binding.needs(index) for bound in self.bindings[index + 1 :] for binding in bound if binding is not None
        )

    def receives(self, kind: str) -> bool:
        """Whether any place of the saga awaits messages of the type with this name."""
        return any(isinstance(slot, Receive) and slot.expects(kind) for slot in self.slots)

    def diagram(self) -> str:
        """The saga as a Mermaid flowchart, with its zones and its way back."""
        return "\n".join(flowchart([[self._box(index) for index in node] for node in self.nodes]))

    def _box(self, index: int) -> Box:
        slot, zone = self.slots[index], self.zone(index)
        if isinstance(slot, Receive):
            back = bool(slot.declines) or slot.timeout is not None
            return Box(slot.name, zone.value, "receive", undoes=False, turns_back=back)
        kind = "pivot" if slot.pivot else "read-only" if slot.read_only else "step"
        undoes = slot.undo is not None and zone is Zone.COMPENSATABLE
        back = slot.pivot or (slot.read_only and zone is Zone.COMPENSATABLE)
        return Box(slot.name, zone.value, kind, undoes=undoes, turns_back=back)

    def _check(self) -> None:
        name: object = self.name
        if not isinstance(name, str) or not name.isprintable() or not name or not self.slots:
            msg = f"saga {self.name!r} needs a name that can be printed, and at least one step"
            raise DefinitionError(msg)
        if type(self.version) is not int or not 0 < self.version < 2**31:
            msg = f"saga {self.name!r} has the version {self.version!r}: give a whole number from 1 on"
            raise DefinitionError(msg)
        names = [slot.name for slot in self.slots]
        odd = next((name for name in names if not name or not name.isprintable() or set(name) & set(" /")), None)
        if odd is not None:
            msg = (
                f"saga {self.name!r} has a place named {odd!r}: use a name without blanks and slashes, as history does"
            )
            raise DefinitionError(msg)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            msg = f"saga {self.name!r} has two places named {', '.join(twice)}: give one of them a name= of its own"
            raise DefinitionError(msg)
        pivots = [slot.name for slot in self.slots if isinstance(slot, Step) and slot.pivot]
        if len(pivots) > 1:
            msg = (
                f"saga {self.name!r} has the pivots {', '.join(pivots)}: keep one, since only one can be the last word"
            )
            raise DefinitionError(msg)
        for index, slot in enumerate(self.slots):
            problem = (
                self._receive_problem(index, slot) if isinstance(slot, Receive) else self._step_problem(index, slot)
            )
            if problem:
                msg = f"saga {self.name!r}, {slot.name!r}: {problem}"
                raise DefinitionError(msg)

    def _step_problem(self, index: int, step: AnyStep) -> str | None:
        if step.read_only and step.undo is not None:
            return "it is read-only and has a compensation: drop read_only=True if it has an effect"
        if step.pivot and step.undo is not None:
            return "it is the pivot and has a compensation, which could never run: drop one of them"
        owed = self.zone(index) is Zone.COMPENSATABLE and not step.read_only
        if owed and step.undo is None:
            return (
                f"it stands before the pivot and cannot be undone: add @{step.name}.compensation, "
                "or say read_only=True if it has no effect"
            )
        return None

    def _receive_problem(self, index: int, receive: Receive) -> str | None:
        if self.zone(index) is Zone.RETRIABLE and (receive.declines or receive.timeout is not None):
            return "it stands after the pivot, where nothing turns back: drop decline= and timeout=, or move it"
        return None

    def _result_type(self, slot: AnyStep | Receive) -> Any:
        if isinstance(slot, Receive):
            return None
        where = f"saga {self.name!r}: the action of step {slot.name!r}"
        return type_hints(slot.action.function, where).get("return", Any)

    def _bind(self, index: int) -> tuple[Binding | None, Binding | None, Binding | None]:
        slot = self.slots[index]
        if isinstance(slot, Receive):
            return (None, None, None)
        node = next(node for node in self.nodes if index in node)
        before = [self._input_offer(), *(self._offer(i, optional=False) for i in range(node[0]))]
        undoing = [*before, *(self._offer(i, optional=True) for i in node)]

        def bound(call: Call | None, what: str, offers: list[Offer]) -> Binding | None:
            where = f"saga {self.name!r}: the {what} of step {slot.name!r}"
            return bind(call.function, where, [one for one in offers if one.types]) if call is not None else None

        return (
            bound(slot.action, "action", before),
            bound(slot.ask, "probe", before),
            bound(slot.undo, "compensation", undoing),
        )

    def _input_offer(self) -> Offer:
        return Offer(snake(getattr(self.input, "__name__", "input")), frozenset({self.input}), None)

    def _offer(self, index: int, *, optional: bool) -> Offer:
        slot = self.slots[index]
        if isinstance(slot, Receive):
            wanted = frozenset(type_ for type_ in slot.types if type_.__name__ not in slot.declines)
            return Offer(slot.name, wanted, index, optional or slot.when is not None)
        types, may_be_none = members(self.results[index])
        return Offer(slot.name, types - {Any}, index, optional or may_be_none)

    def _fingerprint(self) -> str:
        """Covers what a stored snapshot relies on; never code, predicates, timeouts or texts."""
        shape = [self.name, getattr(self.input, "__name__", ""), [list(node) for node in self.nodes]]
        shape += [_shape(slot, result) for slot, result in zip(self.slots, self.results, strict=True)]
        return hashlib.blake2b(json.dumps(shape).encode(), digest_size=8).hexdigest()


def _shape(slot: AnyStep | Receive, result: Any) -> list[object]:
    if isinstance(slot, Receive):
        return ["receive", slot.name, sorted(type_.__name__ for type_ in slot.types), sorted(slot.declines)]
    types, may_be_none = members(result)
    names = sorted(getattr(type_, "__name__", str(type_)) for type_ in types)
    return ["step", slot.name, slot.pivot, slot.read_only, slot.undo is not None, names, may_be_none]


def _calls(slot: AnyStep | Receive) -> tuple[Call | None, Call | None, Call | None]:
    """The user's functions of a step, by `Work`."""
    return (None, None, None) if isinstance(slot, Receive) else (slot.action, slot.ask, slot.undo)


def _flatten(steps: Sequence[AnyStep | Group | Receive]) -> Iterator[AnyStep | Receive]:
    for one in steps:
        if isinstance(one, Group):
            yield from one.steps
        elif isinstance(one, (Step, Receive)):
            yield one
        else:
            msg = f"a saga's steps hold {one!r}: give functions with @step above them, parallel() or receive()"
            raise DefinitionError(msg)


def _number(steps: Sequence[AnyStep | Group | Receive]) -> Iterator[tuple[int, ...]]:
    count = 0
    for one in steps:
        size = len(one.steps) if isinstance(one, Group) else 1
        yield tuple(range(count, count + size))
        count += size
