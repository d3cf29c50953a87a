"""What each parameter is given: decided by type, and by name where types leave it open."""

from collections.abc import Callable
from typing import Any, Literal, NewType, Protocol, TypedDict, runtime_checkable

import pytest
from attrs import frozen

from atone import DefinitionError, Saga, ServiceMissing, Step, StepContext, parallel, receive, step
from atone.sagas.inject import FromService, FromSlot, resolve_services
from atone.sagas.progress import Work
from tests.sagas.shapes import Approve, Decline, Order, compensatable, plain

Name = NewType("Name", str)


class Row(TypedDict):
    cents: int


@frozen
class Receipt:
    number: int = 0


@frozen
class Stamped(Receipt):
    pass


@frozen
class Label:
    pass


class Payments:
    pass


class Mail(Protocol):
    def send(self) -> None: ...


@runtime_checkable
class Carrier(Protocol):
    def ship(self) -> None: ...


class Van:
    def ship(self) -> None: ...


def giving(name: str, type_: Any) -> Step[..., Any]:
    """A step without effect that returns a value of a type."""

    async def act() -> None: ...

    act.__annotations__["return"] = type_
    return step(name=name, read_only=True)(act)


def needing(name: str = "last", /, **types: Any) -> Step[..., Any]:
    """A step without effect whose parameters have these types."""
    return step(name=name, read_only=True)(function(**types))


def function(**types: Any) -> Callable[..., Any]:
    """A function whose parameters have these types."""
    space: dict[str, Any] = {}
    exec(f"async def made({', '.join(types)}): ...", space)  # noqa: S102
    made: Callable[..., Any] = space["made"]
    made.__annotations__ = types
    return made


def arguments(steps: list[Any], values: dict[int, object], work: Work = Work.ACTION) -> dict[str, object]:
    """What the last of these steps is called with."""
    saga = Saga("s", input=Order, steps=steps)
    binding = saga.bindings[-1][work]
    assert binding is not None
    return binding.arguments(StepContext(key="k"), Order(5), values, {Payments: "the payments"})


def refused(steps: list[Any], match: str) -> None:
    """These steps are no saga, and the error says why."""
    with pytest.raises(DefinitionError, match=match):
        Saga("s", input=Order, steps=steps)


# ── values ────────────────────────────────────────────────────────────────────────────────────────


def test_input_results_messages_services_and_context_are_given_by_type() -> None:
    """Whatever the parameters are called."""
    steps = [
        giving("charge", Receipt),
        receive(Approve),
        needing(a=Order, b=Receipt, c=Approve, d=Payments, e=StepContext),
    ]

    assert {
        "a": Order(5), "b": Receipt(3), "c": Approve("ann"), "d": "the payments", "e": StepContext(key="k"),
    } == arguments(steps, {0: Receipt(3), 1: Approve("ann")})  # fmt: skip


def test_a_subclass_fits_its_base() -> None:
    """A step that returns the more special thing gives the more general one."""
    assert {"receipt": Stamped(1)} == arguments([giving("a", Stamped), needing(receipt=Receipt)], {0: Stamped(1)})
    refused([giving("a", Receipt), needing(receipt=Stamped | None)], "nothing before it gives such a value")


def test_a_generic_result_is_matched_as_it_is_written() -> None:
    """`list[Label]` is given to `list[Label]`, and not to `list[Receipt]`."""
    steps = [giving("a", list[Label]), giving("b", list[Receipt]), needing(labels=list[Label])]

    assert {"labels": [Label()]} == arguments(steps, {0: [Label()], 1: []})


def test_the_name_decides_between_two_values_of_one_type() -> None:
    """It is the name of the step, of the awaited message, or of the input's class."""
    steps = [giving("a", Receipt), giving("b", Receipt), needing(b=Receipt, a=Receipt)]

    assert {"b": Receipt(2), "a": Receipt(1)} == arguments(steps, {0: Receipt(1), 1: Receipt(2)})
    refused([*steps[:2], needing(receipt=Receipt)], "'receipt', which could be any of 'a', 'b': name the parameter")


def test_two_places_of_one_message_type_are_told_apart_by_name() -> None:
    """As are two steps."""
    steps = [receive(Approve, name="first"), receive(Approve, name="second"), needing(second=Approve)]

    assert {"second": Approve("bob")} == arguments(steps, {0: Approve("ann"), 1: Approve("bob")})


def test_only_earlier_places_give_values() -> None:
    """A later result is not there yet, and one of the same group may not be."""
    refused([needing("first", label=Label | None), giving("a", Label)], "nothing before it gives such a value")
    refused([parallel(needing("x", label=Label | None), giving("y", Label))], "nothing before it gives such a value")


def test_a_message_that_may_not_be_wanted_may_be_absent() -> None:
    """`when` makes it so; the parameter has to say that it knows."""
    maybe = receive(Approve, when=lambda _: True)

    refused([maybe, needing(approve=Approve)], r"'approve' for a value that may be absent: annotate it with `\| None`")
    assert {"approve": None} == arguments([maybe, needing(approve=Approve | None)], {})


def test_the_type_that_declines_never_reaches_a_step() -> None:
    """So the other type is certain, and need not be optional."""
    steps = [receive(Approve | Decline, decline=Decline), needing(approve=Approve)]

    assert {"approve": Approve("ann")} == arguments(steps, {0: Approve("ann")})


def test_one_of_several_types_is_given_only_where_it_came() -> None:
    """A parameter for the one message sees `None` where the other one came."""
    steps = [receive(Approve | Decline), needing(approve=Approve | None, decline=Decline | None)]

    assert {"approve": None, "decline": Decline("no")} == arguments(steps, {0: Decline("no")})
    assert {"approve": Approve("ann"), "decline": None} == arguments(steps, {0: Approve("ann")})
    refused([steps[0], needing(approve=Approve)], "may be absent")


def test_a_number_is_given_for_a_float_although_it_is_whole() -> None:
    """Type checkers allow that, and what came is certainly no `Label`: a refund must not be told that nothing came."""
    steps = [giving("a", float | Label), needing(paid=float | None, label=Label | None)]

    assert {"paid": 5, "label": None} == arguments(steps, {0: 5})
    assert {"paid": None, "label": Label()} == arguments(steps, {0: Label()})


def test_a_truth_is_not_given_for_a_float() -> None:
    """Although Python counts it among the whole numbers: where `True` came, no amount did."""
    steps = [giving("a", float | bool), needing(paid=float | None, sure=bool | None)]

    assert {"paid": None, "sure": True} == arguments(steps, {0: True})
    assert {"paid": 5, "sure": None} == arguments(steps, {0: 5})


def test_a_type_that_no_value_can_be_asked_for_is_told_apart_by_the_others() -> None:
    """`isinstance` knows no literals: a parameter for one must not make every call raise."""
    steps = [giving("a", Literal["ok"] | Label), needing(word=Literal["ok"] | None, label=Label | None)]

    assert {"word": "ok", "label": None} == arguments(steps, {0: "ok"})
    assert {"word": None, "label": Label()} == arguments(steps, {0: Label()})
    two = giving("a", Literal["ok"] | Name)
    refused([two, needing(word=Literal["ok"] | None)], "'word' for one of several types that no value tells apart")


def test_two_types_of_one_class_are_not_told_apart() -> None:
    """Two kinds of lists are lists: a refund that takes one of them would never be given any."""
    steps = [giving("a", list[int] | list[str]), needing(paid=list[int] | None)]
    refused(steps, "'paid' for one of several types that no value tells apart")


@pytest.mark.parametrize(("given", "wanted"), [(Name | str, Name), (Row | dict[str, int], Row)])
def test_a_type_that_is_another_one_at_run_time_is_not_told_apart_from_that(given: Any, wanted: Any) -> None:
    """A name is a text: a refund that takes one of them would never be given any."""
    refused(
        [giving("a", given), needing(paid=wanted | None)], "'paid' for one of several types that no value tells apart"
    )


def test_all_types_together_are_certain() -> None:
    """A parameter that takes whichever came is always given one."""
    steps = [receive(Approve | Decline), needing(verdict=Approve | Decline)]

    assert {"verdict": Decline("no")} == arguments(steps, {0: Decline("no")})


def test_a_result_that_may_be_none_may_be_absent() -> None:
    """A step that says so hands that on."""
    refused([giving("a", Label | None), needing(label=Label)], "may be absent")
    assert {"label": None} == arguments([giving("a", Label | None), needing(label=Label | None)], {})


def test_a_compensation_knows_that_its_own_result_may_be_absent() -> None:
    """An action in doubt has none; earlier steps certainly have."""
    made = giving("own", Receipt)
    made.read_only = False
    made.compensation(function(receipt=Receipt))
    refused([made], "the compensation of step 'own' has the parameter 'receipt' for a value that may be absent")

    made = giving("own", Receipt)
    made.read_only = False
    made.compensation(function(label=Label, receipt=Receipt | None))
    values: dict[int, object] = {0: Label()}
    assert {"label": Label(), "receipt": None} == arguments([giving("a", Label), made], values, Work.COMPENSATION)


def test_a_compensation_knows_that_the_results_of_its_group_may_be_absent() -> None:
    """The other members may have failed."""
    made = compensatable("own")
    made.undo = None
    made.compensation(function(label=Label))
    refused([parallel(giving("other", Label), made)], "may be absent")


def test_a_probe_knows_what_its_action_knows() -> None:
    """Its own result is what it is to find out."""
    made = giving("own", Receipt)
    made.probe(function(receipt=Receipt | None))

    refused([made], "the probe of step 'own' has the parameter 'receipt', and nothing before it")


# ── signatures ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("source", ["def made(order): ...", "def made(order=3): ..."])
def test_a_parameter_without_a_type_is_refused(source: str) -> None:
    """Nothing could be matched."""
    space: dict[str, Any] = {}
    exec(source, space)  # noqa: S102

    refused([step(read_only=True)(space["made"])], "the action of step 'made'.*'order' without a type: annotate it")


def test_a_parameter_that_has_no_name_is_refused() -> None:
    """Arguments are passed by name."""

    def positional(order: Order, /) -> None: ...
    def starred(*orders: Order) -> None: ...
    def keywords(**orders: Order) -> None: ...

    for made in (positional, starred, keywords):
        refused([step(read_only=True)(made)], "cannot be passed by name: make it an ordinary one")


def test_an_annotation_that_cannot_be_resolved_is_refused() -> None:
    """The error names the function and the missing name."""
    refused(
        [needing(order="Nowhere")], "step 'last' has an annotation that cannot be resolved.*Nowhere.*import or define"
    )


def test_a_string_annotation_is_resolved() -> None:
    """`from __future__ import annotations` changes nothing."""
    made = step(read_only=True)(_later)

    assert {"label": Label()} == arguments([giving("a", Label), made], {0: Label()})


async def _later(label: "Label") -> None: ...


# ── services ──────────────────────────────────────────────────────────────────────────────────────


def services(provided: Any, **types: Any) -> dict[Any, object]:
    """What one step's parameters would be given."""
    saga = Saga("s", input=Order, steps=[needing(**types)])
    return resolve_services([one for one in saga.bindings[0] if one is not None], provided)


def test_a_service_is_found_by_isinstance() -> None:
    """A subclass and a checkable protocol count."""
    payments, van = type("Cards", (Payments,), {})(), Van()

    assert {Payments: payments, Carrier: van} == services([van, payments], p=Payments, c=Carrier)


def test_a_mapping_says_which_object_is_which() -> None:
    """So that fakes and protocols need not be instances; what it does not name is found among its objects."""
    payments = Payments()

    assert {Mail: 3, Payments: payments} == services({Mail: 3, object: payments}, m=Mail, p=Payments)


@pytest.mark.parametrize(
    ("provided", "words"),
    [
        ([], "no provided object is one"),
        ([Van()], "no provided object is one"),
        ([Payments(), Payments()], "2 provided objects are one"),
        ({int: Payments(), str: Payments()}, "2 provided objects are one"),
    ],
)
def test_a_service_is_provided_exactly_once(provided: Any, words: str) -> None:
    """The error names the step, the parameter, the type and both remedies."""
    with pytest.raises(
        ServiceMissing, match=f"step 'last' needs a Payments for its parameter 'p', and {words}.*provide="
    ):
        services(provided, p=Payments)


def test_a_protocol_that_cannot_be_checked_has_to_be_named() -> None:
    """`isinstance` does not answer for it."""
    with pytest.raises(ServiceMissing, match=r"needs a Mail.*provide=\{Mail: ...\}"):
        services([Van()], m=Mail)


def test_a_protocol_is_a_service_even_if_a_result_has_its_methods() -> None:
    """Values are matched by class, and services may be matched by shape."""
    saga = Saga("s", input=Order, steps=[giving("a", Van), needing(carrier=Carrier)])

    assert isinstance(_source(saga, "carrier"), FromService)


def test_a_service_is_always_there() -> None:
    """A parameter that may be `None` or of two types asks for a value, and there is none."""
    refused(
        [needing(p=Payments | None)], "'p', and nothing before it gives such a value: annotate it with the saga's input"
    )
    refused([needing(p=Payments | Van)], "nothing before it gives such a value")


def test_what_a_step_cannot_do_without_is_known() -> None:
    """So that nobody skips it."""
    saga = Saga(
        "s",
        input=Order,
        steps=[plain("ship", pivot=True), giving("a", Label), giving("b", Receipt), needing(l=Label, r=Receipt | None)],
    )

    assert FromSlot(1, optional=False) == _source(saga, "l")
    assert [False, True] == [saga.skippable(1), saga.skippable(2)]


def _source(saga: Saga[Any], name: str) -> object:
    binding = saga.bindings[-1][Work.ACTION]
    assert binding is not None
    return next(one.source for one in binding.parameters if one.name == name)
