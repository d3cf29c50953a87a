"""Injection by type: what each parameter of a user's function will be given. Decided when a saga is defined."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, NewType, Union, get_args, get_origin, get_type_hints, is_typeddict

from attrs import field

from ..storage import frozen
from .context import StepContext
from .errors import DefinitionError, ServiceMissing


@frozen
class Offer:
    """A value that a function may ask for: the saga's input, an earlier result, or a received message."""

    name: str
    types: frozenset[Any]
    slot: int | None  #: `None` for the saga's input
    optional: bool = False  #: whether the value may be absent


@frozen
class FromContext:
    """The parameter gets the `StepContext`."""


@frozen
class FromInput:
    """The parameter gets the saga's input."""


@frozen
class FromSlot:
    """The parameter gets the result of a step or a received message, or `None`."""

    slot: int
    optional: bool
    fits: tuple[type, ...] = ()
    others: tuple[type, ...] = ()  #: a value of one of these that does not fit counts as absent

    def is_other(self, value: object) -> bool:
        """Whether a value is not meant for this parameter. `True` is not, where a float is: it has its own class."""
        return type(value) in self.others or (isinstance(value, self.others) and not isinstance(value, self.fits))


@frozen
class FromService:
    """The parameter gets a service that the coordinator was given."""

    type: Any


@frozen
class Parameter:
    """One parameter of a function, and where its value comes from."""

    name: str
    source: FromContext | FromInput | FromSlot | FromService


@frozen
class Binding:
    """How to call one of the user's functions."""

    where: str  #: for errors: which function of which step
    parameters: tuple[Parameter, ...]
    wants_context: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        wants = any(isinstance(parameter.source, FromContext) for parameter in self.parameters)
        object.__setattr__(self, "wants_context", wants)

    @property
    def services(self) -> tuple[tuple[str, Any], ...]:
        """Name and type of every parameter that needs a service."""
        return tuple((p.name, p.source.type) for p in self.parameters if isinstance(p.source, FromService))

    def needs(self, slot: int) -> bool:
        """Whether the function cannot do without the value of this slot."""
        return any(
            isinstance(p.source, FromSlot) and p.source.slot == slot and not p.source.optional for p in self.parameters
        )

    def arguments(
        self,
        context: StepContext,
        input: object,
        values: Mapping[int, object],
        services: Mapping[Any, object],
    ) -> dict[str, object]:
        """The keyword arguments for one call."""
        arguments: dict[str, object] = {}
        for parameter in self.parameters:
            source = parameter.source
            if isinstance(source, FromInput):
                arguments[parameter.name] = input
            elif isinstance(source, FromSlot):
                value = values.get(source.slot)
                arguments[parameter.name] = None if source.is_other(value) else value
            elif isinstance(source, FromService):
                arguments[parameter.name] = services[source.type]
            else:
                arguments[parameter.name] = context
        return arguments


def bind(function: Callable[..., Any], where: str, offers: Sequence[Offer]) -> Binding:
    """Decide what each parameter of `function` gets; raises `DefinitionError` naming the remedy."""
    hints = type_hints(function, where)
    parameters: list[Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        name = parameter.name
        if parameter.kind in {parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            msg = f"{where} has the parameter {name!r} that cannot be passed by name: make it an ordinary one"
            raise DefinitionError(msg)
        if name not in hints:
            msg = f"{where} has the parameter {name!r} without a type: annotate it, since values are matched by type"
            raise DefinitionError(msg)
        parameters.append(Parameter(name, _source(name, hints[name], where, offers)))
    return Binding(where, tuple(parameters))


def type_hints(function: Callable[..., Any], where: str) -> dict[str, Any]:
    """The annotations of a function, resolved; raises `DefinitionError` for a name that is not there."""
    try:
        return get_type_hints(function)
    except (NameError, TypeError) as error:
        msg = f"{where} has an annotation that cannot be resolved ({error}): import or define that name at module level"
        raise DefinitionError(msg) from error


def members(annotation: Any) -> tuple[frozenset[Any], bool]:
    """The types of an annotation without `None`, and whether `None` was one of them."""
    parts = get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)
    return frozenset(part for part in parts if part not in {None, NoneType}), NoneType in parts or None in parts


def snake(name: str) -> str:
    """`OrderLine` becomes `order_line`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _source(
    name: str, annotation: Any, where: str, offers: Sequence[Offer]
) -> FromContext | FromInput | FromSlot | FromService:
    types, may_be_none = members(annotation)
    if types == frozenset({StepContext}):
        return FromContext()
    matches = [offer for offer in offers if any(_fits(given, types) for given in offer.types)]
    if len(matches) > 1:
        named = [offer for offer in matches if offer.name == name]
        if len(named) != 1:
            msg = (
                f"{where} has the parameter {name!r}, which could be any of "
                f"{', '.join(repr(offer.name) for offer in matches)}: name the parameter after the one it means"
            )
            raise DefinitionError(msg)
        matches = named
    if not matches:
        return _service(name, types, where, may_be_none=may_be_none)
    offer = matches[0]
    if offer.slot is None:
        return FromInput()
    fitting = frozenset(given for given in offer.types if _fits(given, types))
    others = offer.types - fitting
    if (offer.optional or others) and not may_be_none:
        msg = f"{where} has the parameter {name!r} for a value that may be absent: annotate it with `| None`"
        raise DefinitionError(msg)
    if not others:
        return FromSlot(offer.slot, may_be_none)
    fits, apart = _classes(fitting, offer.types), _classes(others, offer.types)
    told_apart = not {*fits} & {*apart}
    if told_apart and all(map(_is_askable, fits)):
        return FromSlot(offer.slot, may_be_none, fits, (object, *apart))
    if told_apart and all(map(_is_askable, apart)):
        return FromSlot(offer.slot, may_be_none, (), apart)
    msg = f"{where} has the parameter {name!r} for one of several types that no value tells apart: use classes"
    raise DefinitionError(msg)


def _classes(types: Iterable[Any], offered: Iterable[Any]) -> tuple[Any, ...]:
    """The classes that values of these types have. A whole number is a float, too, where that is what was offered."""
    found = tuple(class_ for one in types for class_ in _run_time(one))
    return (*found, int) if float in found and int not in offered else found


def _run_time(one: Any) -> tuple[Any, ...]:
    """What values of a type are: a `Literal` is of its words' classes, a `NewType` of the one it is made from."""
    if get_origin(one) is Literal:
        return tuple({type(word) for word in get_args(one)})
    while isinstance(one, NewType):
        one = one.__supertype__
    return (dict,) if is_typeddict(one) else (get_origin(one) or one,)


def _is_askable(class_: Any) -> bool:
    """Whether `isinstance` knows it."""
    try:
        isinstance(None, class_)
    except TypeError:
        return False
    return True


def _fits(given: Any, wanted: Iterable[Any]) -> bool:
    return any(
        given == one or (_is_class(given) and _is_class(one) and issubclass(given, one))
        for one in wanted
        if not (isinstance(one, type) and getattr(one, "_is_protocol", False))
    )


def _is_class(one: Any) -> bool:
    """Whether a value tells of it by its class: of `object` all do, of a `TypedDict` none."""
    return isinstance(one, type) and one is not object and not is_typeddict(one)


def _service(name: str, types: frozenset[Any], where: str, *, may_be_none: bool) -> FromService:
    if len(types) != 1 or may_be_none:
        msg = (
            f"{where} has the parameter {name!r}, and nothing before it gives such a value: "
            "annotate it with the saga's input, an earlier result, a received message, one service or StepContext"
        )
        raise DefinitionError(msg)
    (type_,) = types
    return FromService(type_)


def resolve_services(
    bindings: Iterable[Binding], provided: Sequence[object] | Mapping[Any, object]
) -> dict[Any, object]:
    """Find the one provided object for every service; raises `ServiceMissing` naming the remedy."""
    services: dict[Any, object] = {}
    for binding in bindings:
        for name, type_ in binding.services:
            if type_ not in services:
                services[type_] = _provider(name, type_, binding.where, provided)
    return services


def _provider(name: str, type_: Any, where: str, provided: Sequence[object] | Mapping[Any, object]) -> object:
    if isinstance(provided, Mapping) and type_ in provided:
        return provided[type_]
    label = getattr(type_, "__name__", repr(type_))
    objects = list(provided.values()) if isinstance(provided, Mapping) else list(provided)
    matches = [one for one in objects if _is_instance(one, type_)]
    if len(matches) == 1:
        return matches[0]
    found = f"{len(matches)} provided objects are one" if matches else "no provided object is one"
    msg = (
        f"{where} needs a {label} for its parameter {name!r}, and {found}: "
        f"give the coordinator exactly one, or say which with provide={{{label}: ...}}"
    )
    raise ServiceMissing(msg)


def _is_instance(one: object, type_: Any) -> bool:
    try:
        return isinstance(one, type_)
    except TypeError:  # a protocol that is not @runtime_checkable, or a generic: only provide={...} can say
        return False
