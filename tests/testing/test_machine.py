"""The machine that Hypothesis drives."""

import builtins
import subprocess
import sys
import unittest
from collections import Counter
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

import atone.testing
from atone import Saga, SendAnswer, Status, step
from atone.testing import SagaFailure, SagaMachine, outcomes
from tests.testing.shop import SERVICES, Approve, Carrier, Order, Payments, Stock, forgetful, patient, shop


def run(machine: type[SagaMachine], examples: int = 50, steps: int = 20) -> None:
    """Run a machine, the same way each time."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            machine.TestCase.settings, max_examples=examples, stateful_step_count=steps, derandomize=True,
            database=None, print_blob=False, report_multiple_bugs=False,
        ),
    )  # fmt: skip


def steps_of(failure: BaseException) -> list[str]:
    """What Hypothesis says it did, without what it always does."""
    lines = "\n".join(failure.__notes__).splitlines()
    always = ("state = ", "state.promises_hold(", "state.teardown(")
    return [line for line in lines if "state." in line and not line.startswith(always)]


#: What the bugs below do not need.
QUIET = ("process_dies", "process_stalls", "second_process_stands_by", "commits_fail", "disk_fills", "clock_jumps")


class Shop(SagaMachine):
    sagas = (shop, patient)
    services = SERVICES


class Watched(Shop):
    """Notes what happens."""

    seen: ClassVar[Counter[str]] = Counter()

    def teardown(self) -> None:
        ends, settle = [], self.sim.settle

        async def settled() -> None:
            await settle()
            ends.extend(self.sim.ends())

        self.sim.settle = settled  # type: ignore[method-assign]  # to look before the simulation is closed
        super().teardown()
        self.seen.update([*ends, *(one.text for one in self.sim.world.moments if not one.lane.startswith("order"))])


def test_a_sound_machine_runs_green() -> None:
    """Two sagas, three participants, and everything that may go wrong."""
    run(Shop)


def test_every_inherited_rule_is_reached_and_does_something() -> None:
    """Sometimes: each fault happens, each answer is given, and orders end in every way."""
    Watched.seen.clear()
    run(Watched, examples=200, steps=40)
    for words in (
        "killed before callback", "the disk is full", "the disk has room", "a second one starts",
        "1 stands still for 15", "2 stands still", "stands still for 3 s",
        "the clock jumps by +", "the clock jumps by -", "starts again",
        ": ACCEPTED", ": ALREADY_CANCELLING", ": ALREADY_FINISHED", ": DUPLICATE", ": NEVER_EXPECTED",
        "will be: lost", "will be: refused", "will be: late", "will be: hang", "will be: applied answer lost",
        "arrives late", "its key was undone", "fails, and is on disk", "fails, and is not on disk",
    ):  # fmt: skip
        assert any(words in one for one in Watched.seen), words
    assert {Status.COMPLETED, Status.COMPENSATED} <= set(Watched.seen)


# ── what it finds ──


class Forgetful(SagaMachine):
    sagas = (forgetful,)
    services = (Payments, Carrier)
    without = QUIET


def test_a_planted_bug_is_found_and_shrunk() -> None:
    """Money that stays away, in fewer steps than were drawn, and the story says so.

    How few is up to Hypothesis, which gives up shrinking after some time: no number is promised here.
    """
    with pytest.raises(SagaFailure, match="S2 net zero") as caught:
        run(Forgetful, steps=20)
    assert len(steps_of(caught.value)) < 20
    assert "charge ✔" in str(caught.value)


def test_a_participant_that_knows_no_keys_is_found() -> None:
    """It charges twice when an answer is lost."""

    class Careless(SagaMachine):
        sagas = (shop,)
        services = (Stock, Payments(keys=False), Carrier)
        faults = outcomes(applied_answer_lost=1)
        without = QUIET

    with pytest.raises(SagaFailure, match="S4 exactly once"):
        run(Careless, steps=8)


# ── rules of one's own ──


def test_rules_and_invariants_of_the_users_own() -> None:
    """They use what every machine has: start, send, cancel, effects, status, and the services."""

    class Own(Shop):
        @rule(order=SagaMachine.orders, by=st.sampled_from(["alice", "bob"]))
        def approve(self, order: str, by: str) -> None:
            self.send(order, Approve(by))
            self.advance(1)
            used.update([by, self.status(order)])

        @rule(target=SagaMachine.orders)
        def start_a_large_one(self) -> str:
            order = self.start(patient, Order(cents=1_000_000))
            self.advance(1)
            self.cancel(order)
            return order

        @invariant()
        def nothing_is_shipped_unpaid(self) -> None:
            used.update(self.sim.ends())
            shipped = {key for _, key in self[Carrier].ledger.standing}
            used.update(["looked"] * bool(shipped))
            for order in self.started:
                effects = self.effects(order)
                assert "ship" not in effects or "charge" in effects

        without = ("disk_fills", "commits_fail")  # then every start is answered

    used: Counter[str] = Counter()
    run(Own)
    assert {"alice", "bob", "looked", Status.COMPLETED, Status.COMPENSATED} <= set(used)


def test_a_failed_assertion_of_ones_own_tells_the_story() -> None:
    """As a note below it."""

    class Own(SagaMachine):
        sagas = (shop,)
        services = SERVICES

        @invariant()
        def nothing_is_ever_shipped(self) -> None:
            assert not self[Carrier].ledger.standing, "shipped"

    with pytest.raises(AssertionError, match="shipped") as caught:
        run(Own, steps=3)
    assert "ship ✔" in "\n".join(caught.value.__notes__)


# ── what it is given ──


def test_rules_can_be_left_out() -> None:
    """By name; one that is not there is refused."""

    class Calm(Watched):
        seen: ClassVar[Counter[str]] = Counter()
        without = ("process_dies",)

    run(Calm)
    assert Calm.seen
    assert not any("killed" in one for one in Calm.seen)
    type("Calmer", (Calm,), {"without": "disk_fills"})
    type("AsCalm", (Calm,), {})


@pytest.mark.parametrize("name", ["process_flies", "promises_hold", "teardown", "start", "sim"])
def test_only_rules_can_be_left_out(name: str) -> None:
    """A machine without its checks would find nothing; the error names the rules there are."""
    with pytest.raises(TypeError, match=f"without '{name}', which is no rule; rules are: .*cancel_order, clock_jumps"):
        type("Wrong", (Shop,), {"without": [name]})


def test_inputs_and_messages_can_be_given() -> None:
    """Instead of what type hints say."""

    class Given(Watched):
        seen: ClassVar[Counter[str]] = Counter()
        inputs = {shop: st.just(Order(cents=7)), patient: st.just(Order(cents=8))}  # noqa: RUF012
        messages = {Approve: st.just(Approve(by="carol"))}  # noqa: RUF012

        def start(self, saga: Saga[Any], input: Any) -> str:
            inputs.add(input)
            return super().start(saga, input)

        def send(self, order: str, message: object) -> SendAnswer | None:
            messages.add(message)
            return super().send(order, message)

    inputs: set[Any] = set()
    messages: set[Any] = set()
    run(Given)
    assert inputs == {Order(cents=7), Order(cents=8)}
    assert Approve(by="carol") in messages
    assert not any(isinstance(one, Approve) and one.by != "carol" for one in messages)


class Opaque:
    """What nobody can make."""

    def __init__(self, secret):  # type: ignore[no-untyped-def]  # which is the point
        self.secret = secret


@dataclass(frozen=True)
class Sealed:
    """An order with something in it that nobody can make."""

    secret: Opaque


def test_an_input_that_cannot_be_made_is_named() -> None:
    """When the class is defined, with the remedy."""

    @step(pivot=True)
    async def look(order: Sealed) -> None: ...

    with pytest.raises(TypeError, match="Sealed cannot be made from its type hints") as caught:
        type("Locked", (SagaMachine,), {"sagas": [Saga("locked", input=Sealed, steps=[look])]})

    assert "Locked.inputs = {...: st.builds(Sealed, ...)}" in str(caught.value)


def test_the_real_store_can_be_used() -> None:
    """With every statement and setting."""

    class OnFile(Shop):
        store = "sqlite"

    run(OnFile, examples=10)


def test_it_is_a_test_case() -> None:
    """As Hypothesis's own machines are."""
    assert issubclass(Shop.TestCase, unittest.TestCase)


def test_the_rest_of_the_kit_needs_no_hypothesis() -> None:
    """A simulation runs where it is not installed."""
    program = "import sys; sys.modules['hypothesis'] = None; from atone.testing import Simulation; Simulation().ends()"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_hypothesis_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """By each of those that need it."""
    import_ = builtins.__import__

    def refuse(name: str, *args: Any, **options: Any) -> Any:
        if name.partition(".")[0] == "hypothesis":
            raise ModuleNotFoundError(f"No module named {name!r}", name="hypothesis")
        return import_(name, *args, **options)

    for name in ("machine", "rules", "driven", "draws", "strategies"):
        monkeypatch.delitem(sys.modules, f"atone.testing.{name}", raising=False)
        monkeypatch.delattr(atone.testing, name, raising=False)
    monkeypatch.setattr(builtins, "__import__", refuse)
    for name in ("SagaMachine", "fault_plans", "messages", "crash_points", "schedules"):
        with pytest.raises(ModuleNotFoundError, match=rf"{name} needs .* 'atone\[testing\]'"):
            getattr(atone.testing, name)
    with pytest.raises(AttributeError, match="Nonsense"):
        _ = atone.testing.Nonsense
