"""Participants that remember, and misbehave as told."""

from random import Random

import pytest

from atone import PermanentError
from atone.testing import FakeService, Simulation, action, outcomes
from atone.testing.outcomes import Fate
from tests.testing.shop import Payments


class Bank(FakeService):
    @action(undo="give_back", find="find")
    def take(self, cents: int) -> int:
        """The balance after it."""
        return 1000 - cents

    look = action(read_only=True, find="looked")


async def test_an_effect_stands_until_it_is_undone() -> None:
    """The ledger knows what was applied, and what stands."""
    payments = Payments()
    await payments.charge(key="k", cents=5)
    assert payments.standing("k") == {"charge"}
    await payments.refund(key="k")
    assert payments.standing("k") == set()
    assert [(line.action, line.undone) for line in payments.ledger.lines] == [("charge", False), ("charge", True)]


async def test_a_repeat_gets_the_first_answer() -> None:
    """One effect for one key, and another for another."""
    payments = Payments()
    assert await payments.charge(key="k") == await payments.charge(key="k") == "charge-1"
    assert await payments.charge(key="l") == "charge-2"
    assert payments.ledger.standing == {("charge", "k"): 1, ("charge", "l"): 1}


async def test_a_key_that_was_undone_is_closed_for_ever() -> None:
    """Whether or not the action was ever seen; unless the participant keeps no tombstones."""
    payments, forgetful = Payments(), Payments(tombstones=False)
    for service in (payments, forgetful):
        await service.refund(key="k")
    with pytest.raises(PermanentError, match="undone"):
        await payments.charge(key="k")
    assert await forgetful.charge(key="k") == "charge-2"


async def test_without_keys_every_call_is_an_effect() -> None:
    """What a participant does that does not recognise a repeat."""
    payments = Payments(keys=False)
    await payments.charge(key="k")
    await payments.charge(key="k")
    assert payments.ledger.standing == {("charge", "k"): 2}


async def test_an_answer_can_be_made_by_a_function() -> None:
    """It is made once for each effect, can be looked up by its key, and a read-only action leaves no effect."""
    bank = Bank()
    assert await bank.take(key="k", cents=1) == 999
    assert await bank.take(key="k", cents=500) == 999
    assert await bank.find(key="k") == 999
    assert await bank.find(key="other") is None
    await bank.look(key="l")
    assert bank.ledger.standing == {("take", "k"): 1}


class Meter(FakeService):
    total = 0

    @action
    def add(self, number: int) -> None:
        """Answers nothing."""
        self.total += number


async def test_an_answer_that_is_none_is_an_answer() -> None:
    """A repeat gets it again, and has no second effect."""
    meter = Meter()
    for _ in range(2):
        assert await meter.add(5, key="k") is None
    assert (meter.total, meter.ledger.standing) == (5, {("add", "k"): 1})


async def test_what_was_refused_or_undone_is_not_found() -> None:
    """Only what stands is; and what an action answered that has no effect."""
    bank = Bank()
    with pytest.raises(PermanentError):
        bank.carry_out(bank.take, "refused", (), {"cents": 1}, refused=True)
    assert await bank.find(key="refused") is None
    await bank.take(key="k", cents=1)
    await bank.give_back(key="k")
    assert await bank.find(key="k") is None
    assert await bank.looked(key="l") is None
    with pytest.raises(PermanentError):
        bank.carry_out(bank.look, "m", (), {}, refused=True)
    assert await bank.looked(key="m") is None
    answer = await bank.look(key="l")
    assert await bank.looked(key="l") == answer


def test_fates_are_drawn_by_their_weights() -> None:
    """A weight of nothing is never drawn, and an undo is never refused by chance."""
    chance = Random(1)
    drawn = {outcomes(ok=1, refused=1).draw(chance, undo=False) for _ in range(50)}
    assert drawn == {Fate.OK, Fate.REFUSED}
    assert {outcomes(ok=1, refused=9).draw(chance, undo=True) for _ in range(50)} == {Fate.OK}


def test_a_fate_that_does_not_exist_is_refused() -> None:
    """A plan with a typing error fails where it is written."""
    with pytest.raises(ValueError, match="exploded"):
        Payments().charge.plan("exploded")


def test_a_method_that_was_not_declared_is_missed() -> None:
    """A fake has the methods that it declares, and no others."""
    with pytest.raises(AttributeError):
        Payments().repay(key="k")


def test_two_classes_of_one_name_are_told_apart() -> None:
    """Stories, crash points and what disturbs a call know a fake by its name."""
    fakes = [type("Payments", (FakeService,), {"charge": action()})() for _ in range(2)]
    with Simulation(provide=fakes):
        assert [one.name for one in fakes] == ["Payments", "Payments2"]
