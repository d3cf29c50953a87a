"""A disk that fails or is full, and a second process on it."""

from collections.abc import Iterator

import pytest

from atone import CancelAnswer, DiskFailed, DiskFull, Status
from atone.testing import Simulation
from tests.testing.shop import SERVICES, Approve, Order, Payments, patient, shop


@pytest.fixture(params=["memory", "sqlite"])
def shopping(request: pytest.FixtureRequest) -> Iterator[Simulation]:
    """The shop, on each kind of store."""
    simulation = Simulation(shop, patient, provide=SERVICES, store=request.param)
    yield simulation
    simulation.close()


def told(sim: Simulation, lane: str) -> list[str]:
    """What a story says in one lane."""
    return [one.text for one in sim.story().moments if one.lane == lane]


@pytest.mark.parametrize("applied", [True, False, None])
async def test_a_commit_that_fails_loses_nothing(shopping: Simulation, applied: bool | None) -> None:
    """Whether or not it reached the disk, the order goes on from what is there."""
    await shopping.start(shop, Order())
    shopping.fail_commits(2, applied=applied)
    await shopping.settle()
    assert shopping.world.trouble.failing == []
    assert shopping.status("1") is Status.COMPLETED
    assert shopping.effects("1") == {"reserve", "charge", "ship"}
    shopping.check()


@pytest.mark.parametrize("applied", [True, False])
async def test_a_start_that_failed_may_be_on_disk(shopping: Simulation, applied: bool) -> None:
    """Its client is told the truth: nobody knows; and asks again."""
    shopping.fail_commits(applied=applied)
    with pytest.raises(DiskFailed):
        await shopping.start(shop, Order())
    assert shopping.ends() == ["RUNNING"] * applied
    await shopping.advance(5)
    await shopping.start(shop, Order())
    await shopping.settle()
    assert shopping.status("1") is Status.COMPLETED
    shopping.check()


async def test_a_full_disk_stops_everything_until_it_has_room(shopping: Simulation) -> None:
    """No step begins meanwhile; work goes on by itself."""
    await shopping.start(patient, Order())
    await shopping.advance(1)
    shopping.fill_disk()
    with pytest.raises(DiskFull):
        await shopping.send("1", Approve())
    await shopping.advance(60)
    assert not shopping[Payments].ledger.calls
    shopping.free_disk()
    await shopping.advance(5)
    await shopping.send("1", Approve())
    await shopping.settle()
    assert shopping.status("1") is Status.COMPLETED
    shopping.check()


async def test_a_crash_on_a_full_disk_is_survived(shopping: Simulation) -> None:
    """The process starts again, and waits for room."""
    await shopping.start(shop, Order())
    shopping.fill_disk()
    shopping.crash()
    await shopping.advance(30)
    shopping.free_disk()
    await shopping.settle()
    assert shopping.status("1") is Status.COMPLETED
    shopping.check()


async def test_a_second_process_takes_over_from_one_that_stalls(shopping: Simulation) -> None:
    """The first finds itself fenced when it goes on, and every effect stands once."""
    shopping[Payments].charge.plan("hang")
    await shopping.stand_by()
    await shopping.start(shop, Order())
    await shopping.stall(20)
    await shopping.settle()
    assert shopping.status("1") is Status.COMPLETED
    assert shopping.effects("1") == {"reserve", "charge", "ship"}
    assert {record.epoch for record, _ in shopping.evidence().orders} == {2}
    assert told(shopping, "process")[-2:] == ["1 stands still for 20 s", "1 goes on"]
    shopping.check()


async def test_what_a_stalled_process_had_sent_still_arrives(shopping: Simulation) -> None:
    """The wire does not stand still; and the process hears of it when it goes on."""
    await shopping.start(shop, Order())
    while not shopping.world.wire:
        await shopping.advance(0.001)
    await shopping.stall(2)
    assert len(shopping.services) == 3
    assert "reserve" in shopping.effects("1")
    await shopping.settle()
    assert shopping.status("1") is Status.COMPLETED
    shopping.check()


async def test_takeovers_back_and_forth(shopping: Simulation) -> None:
    """Each time the one that stalled stands by afterwards."""
    await shopping.stand_by()
    await shopping.start(patient, Order())
    for _ in range(3):
        await shopping.stall(15)
        await shopping.advance(1)
    await shopping.send("1", Approve())
    await shopping.settle()
    assert shopping.status("1") is Status.COMPLETED
    assert [one for one in told(shopping, "process") if "stands still" in one] == [
        "1 stands still for 15 s", "2 stands still for 15 s", "1 stands still for 15 s",
    ]  # fmt: skip
    shopping.check()


async def test_clients_ask_any_process(shopping: Simulation) -> None:
    """A standby accepts what the host then does."""
    await shopping.stand_by()
    for number in range(6):
        id = await shopping.start(patient, Order(), id=str(number))
        assert await shopping.cancel(id) is CancelAnswer.ACCEPTED
    await shopping.settle()
    assert set(shopping.ends()) == {Status.COMPENSATED}
    shopping.check()


async def test_the_machine_dies_with_both_processes(shopping: Simulation) -> None:
    """Also while one of them stands still."""
    await shopping.stand_by()
    await shopping.start(shop, Order())
    shopping.crash_at("charge:after_effect")
    await shopping.stall(20)
    await shopping.settle()
    assert shopping.lives == 2
    assert shopping.status("1") is Status.COMPLETED
    shopping.check()


async def test_a_process_that_stalls_alone_goes_on(shopping: Simulation) -> None:
    """Its lease has run out, and nobody else has taken it."""
    await shopping.start(shop, Order())
    await shopping.stall(60)
    await shopping.settle()
    assert shopping.status("1") is Status.COMPLETED
    shopping.check()


async def test_two_processes_leave_in_good_order(shopping: Simulation) -> None:
    """And one starts again."""
    await shopping.stand_by()
    await shopping.start(patient, Order())
    await shopping.restart()
    await shopping.send("1", Approve())
    await shopping.settle()
    assert shopping.status("1") is Status.COMPLETED
    shopping.check()
