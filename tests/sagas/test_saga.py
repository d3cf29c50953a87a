"""What is checked when a saga is defined, and what its fingerprint covers."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import frozen

from atone import DefinitionError, Retry, Saga, Step, parallel, receive, step
from atone.sagas.progress import Work
from atone.sagas.saga import Zone
from tests.sagas.shapes import Approve, Decline, Order, compensatable, plain, with_probe


@frozen
class Receipt:
    pass


def saga(*steps: Any, **options: Any) -> Saga[Order]:
    """A saga of these steps."""
    return Saga(options.pop("name", "s"), input=Order, steps=steps, **options)


# ── definitions ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("steps", "options", "words"),
    [
        ([], {}, "at least one step"),
        ([compensatable("a")], {"name": ""}, "needs a name"),
        ([lambda: None], {}, "give functions with @step above them"),
        (
            [compensatable("a"), plain("ship")],
            {},
            r"'ship'.*cannot be undone: add @ship.compensation, or say read_only=True",
        ),
        ([parallel(compensatable("a"), plain("b")), plain("ship", pivot=True)], {}, "'b'.*cannot be undone"),
        ([plain("ship", pivot=True), plain("land", pivot=True)], {}, "the pivots ship, land: keep one"),
        ([compensatable("take it")], {}, "a place named 'take it': use a name without blanks"),
        ([compensatable("a"), compensatable("a")], {}, "two places named a: give one of them a name="),
        ([receive(Approve), receive(Approve)], {}, "two places named approve"),
        ([parallel(compensatable("a"), compensatable("b")), compensatable("b")], {}, "two places named b"),
        ([compensatable("a", read_only=True)], {}, "'a': it is read-only and has a compensation: drop read_only"),
        ([compensatable("ship", pivot=True)], {}, "'ship': it is the pivot and has a compensation.*drop one"),
        (
            [plain("ship", pivot=True), receive(Approve | Decline, decline=Decline)],
            {},
            "after the pivot.*drop decline=",
        ),
        ([plain("ship", pivot=True), receive(Approve, timeout=timedelta(1))], {}, "after the pivot.*drop.*timeout="),
        ([compensatable("a")], {"deadline": timedelta(0)}, "deadline of 0:00:00: give a timedelta above zero"),
    ],
)
def test_what_could_lose_money_or_never_run_is_refused(steps: list[Any], options: dict[str, Any], words: str) -> None:
    """The error names the saga, the place and the remedy."""
    with pytest.raises(DefinitionError, match=words):
        saga(*steps, **options)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ([compensatable("a")], "at least two steps"),
        ([compensatable("a"), receive(Approve)], "give plain steps only, no receive and no further group"),
        ([compensatable("a"), parallel(compensatable("b"), compensatable("c"))], "no further group"),
        ([compensatable("a"), plain("ship", pivot=True)], "the pivot 'ship'.*put it after the group"),
    ],
)
def test_a_group_holds_plain_steps(members: list[Any], words: str) -> None:
    """Anything else in it is refused where it is written."""
    with pytest.raises(DefinitionError, match=words):
        parallel(*members)


def test_a_step_after_the_pivot_needs_no_compensation() -> None:
    """Nor does the pivot itself; and a saga may do without a pivot."""
    assert (0, 1) == (
        saga(plain("ship", pivot=True), plain("mail")).pivot,
        saga(compensatable("a"), plain("p", pivot=True)).pivot,
    )
    assert saga(compensatable("a")).pivot is None


def test_places_are_numbered_in_order_of_definition() -> None:
    """Groups share a node, and each member has a slot."""
    ship = plain("ship", pivot=True)
    made = saga(
        compensatable("a"), parallel(compensatable("b"), compensatable("c")), receive(Approve), ship, plain("mail")
    )

    assert ["a", "b", "c", "approve", "ship", "mail"] == [slot.name for slot in made.slots]
    assert ((0,), (1, 2), (3,), (4,), (5,)) == made.nodes
    assert 4 == made.index(ship)
    zones = [made.zone(index) for index in range(6)]
    assert [Zone.COMPENSATABLE] * 4 + [Zone.PIVOT, Zone.RETRIABLE] == zones
    assert [True, False] == [made.receives("Approve"), made.receives("Decline")]
    assert made.calls[4][Work.COMPENSATION] is None
    with pytest.raises(KeyError):
        made.index(plain("ship", pivot=True))


# ── fingerprints ──────────────────────────────────────────────────────────────────────────────────


def returning(type_: Any, **options: Any) -> Step[..., Any]:
    """A step that returns a type."""

    async def act() -> None: ...

    act.__annotations__["return"] = type_
    return step(name="a", read_only=True, **options)(act)


BASE = ("a", "b")


def base(*, undo: bool = True, **options: Any) -> Saga[Order]:
    """A saga with a bit of everything, some of it changed."""
    verdict = options.get("verdict", receive(Approve | Decline, decline=Decline, name="verdict"))
    first = options.get("first", compensatable("a"))
    return saga(
        first,
        options.get("second", compensatable("b")),
        verdict,
        options.get("ship", plain("ship", pivot=True)),
        *options.get("rest", ()),
    )


def test_the_same_definition_has_the_same_fingerprint() -> None:
    """In every process, on every machine."""
    assert base().fingerprint == base().fingerprint
    assert "346a55eb5fba9129" == base().fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"first": compensatable("c")},
        {"first": compensatable("b"), "second": compensatable("a")},
        {"first": plain("a", read_only=True)},
        {"rest": [plain("mail")]},
        {"ship": compensatable("ship")},
        {"verdict": receive(Approve, name="verdict")},
        {"verdict": receive(Approve | Decline, name="verdict")},
        {"verdict": receive(Approve | Decline, decline=Approve, name="verdict")},
        {"verdict": receive(Approve | Decline, decline=Decline, name="other")},
        {"verdict": compensatable("verdict")},
    ],
)
def test_what_a_snapshot_relies_on_changes_the_fingerprint(change: dict[str, Any]) -> None:
    """Names, order, kinds, groups and the types of messages."""
    assert base().fingerprint != base(**change).fingerprint


def test_a_group_changes_the_fingerprint() -> None:
    """The same steps one after another are another saga."""
    one, two = compensatable("a"), compensatable("b")

    assert saga(one, two).fingerprint != saga(parallel(one, two)).fingerprint


def test_a_compensation_changes_the_fingerprint() -> None:
    """Steps after the pivot may have one, or not."""
    assert (
        saga(plain("p", pivot=True), plain("a")).fingerprint
        != saga(plain("p", pivot=True), compensatable("a")).fingerprint
    )


def test_the_names_of_types_change_the_fingerprint() -> None:
    """Those of results, and that of the input."""
    types = [Receipt, Receipt | None, Order, type("Receipt", (), {})]
    prints = [saga(returning(type_)).fingerprint for type_ in types]

    assert prints[0] == prints[3]
    assert 3 == len(set(prints))
    assert saga(compensatable("a")).fingerprint != Saga("s", input=Receipt, steps=[compensatable("a")]).fingerprint


@pytest.mark.parametrize(
    "change",
    [
        {"first": compensatable("a", timeout=99)},
        {"first": compensatable("a", attempts=9)},
        {"first": compensatable("a", probe=True)},
        {"first": compensatable("a", repeatable=False)},
        {"verdict": receive(Decline | Approve, decline=Decline, name="verdict")},
        {"verdict": receive(Approve | Decline, decline=Decline, name="verdict", timeout=timedelta(1))},
        {"verdict": receive(Approve | Decline, decline=Decline, name="verdict", when=lambda _: True)},
    ],
)
def test_what_a_snapshot_does_not_rely_on_leaves_the_fingerprint(change: dict[str, Any]) -> None:
    """Code, policies, predicates, timeouts and texts may change while orders are under way."""
    assert base().fingerprint == base(**change).fingerprint


def test_code_and_deadline_leave_the_fingerprint() -> None:
    """A mended step goes on with its orders."""

    @step(name="a", retry=Retry(attempts=5))
    async def mended() -> None:
        """Do it right."""
        raise NotImplementedError

    @mended.compensation
    def undo(order: Order) -> None:
        """Undo it right."""

    assert saga(compensatable("a")).fingerprint == saga(with_probe(mended), deadline=timedelta(1)).fingerprint


@pytest.mark.parametrize(
    ("rubbish", "words"),
    [
        (lambda: Saga("s", version="1", input=Order, steps=[compensatable("a")]), "version"),  # type: ignore[arg-type]
        (lambda: Saga("s", version=2**70, input=Order, steps=[compensatable("a")]), "version"),
        (lambda: Saga("\ud800", input=Order, steps=[compensatable("a")]), "can be printed"),
        (lambda: Saga("s", input=Order, steps=[compensatable("a")], deadline=5), "timedelta"),  # type: ignore[arg-type]
        (lambda: receive(Order, timeout=5), "timedelta"),  # type: ignore[arg-type]
        (lambda: step(timeout="5")(noted), "seconds"),  # type: ignore[call-overload]
        (lambda: step(retry=5)(noted), "Retry"),  # type: ignore[call-overload]
    ],
)
def test_rubbish_in_a_definition_is_named(rubbish: Callable[[], object], words: str) -> None:
    """What is of the wrong kind is found when it is written, and the error says what to write instead."""
    with pytest.raises(DefinitionError, match=words):
        rubbish()


async def noted() -> None:
    """A step's function."""
