"""What a step takes from the real world is named, with the line that takes it."""

import asyncio
import datetime as dt
import logging
import os
import random
import subprocess
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from atone.testing import Flaw, rehearse
from tests.testing.shop import Order, Payments
from tests.testing.test_rehearsal import flaws, repay, saga_of


async def sleepy(order: Order) -> None:
    """Block the loop."""
    time.sleep(0)  # noqa: ASYNC251


async def late(order: Order) -> None:
    """Look at the clock."""
    time.time()


async def dated(order: Order) -> None:
    """Look at the calendar."""
    dt.datetime.now(dt.UTC)


async def gambling(order: Order) -> None:
    """Roll a die."""
    random.randint(1, 6)


@pytest.mark.parametrize(
    ("act", "flaw"),
    [(sleepy, Flaw.BLOCKING), (late, Flaw.CLOCK), (dated, Flaw.CLOCK), (gambling, Flaw.CHANCE)],
    ids=["sleep", "time", "now", "random"],
)
def test_the_real_world_in_a_step(act: Callable[..., Any], flaw: Flaw) -> None:
    """It is named with its line, and may be allowed."""
    found = flaws(act)
    assert list(found) == [flaw]
    assert "test_spy.py:" in found[flaw]
    assert rehearse(saga_of(act, repay), Order(), [Payments], allow=[flaw]) == []


async def formatted(order: Order) -> None:
    """Look at the clock without saying so."""
    time.strftime("%Y")


async def local(order: Order) -> None:
    """The same."""
    time.localtime()


async def runs(order: Order) -> None:
    """Start a program."""
    subprocess.run(["true"], check=True)  # noqa: ASYNC221, S607


async def shouts(order: Order) -> None:
    """Start a shell."""
    os.system("true")  # noqa: ASYNC221, S605, S607  # pyright: ignore[reportDeprecated]


async def runs_in_a_thread(order: Order) -> None:
    """Start a program, and wait for it in good order."""
    await asyncio.to_thread(partial(subprocess.run, ["true"], check=True))


async def shouts_in_a_thread(order: Order) -> None:
    """Start a shell, and nothing else."""
    await asyncio.to_thread(os.system, "true")  # pyright: ignore[reportDeprecated]


async def sleeps_in_a_thread(order: Order) -> None:
    """Sleep, and nothing else."""
    await asyncio.to_thread(time.sleep, 0)


async def runs_beside(order: Order) -> None:
    """Start a program as asyncio does."""
    await asyncio.create_subprocess_exec("true")


async def connects(order: Order) -> None:
    """Reach out."""
    await asyncio.open_connection("127.0.0.1", 9)


def naps(order: Order) -> None:
    """In a thread of its own."""
    time.sleep(0)


async def naps_in_a_thread(order: Order) -> None:
    """The same."""
    await asyncio.to_thread(naps, order)


@pytest.mark.parametrize(
    ("act", "flaw", "words"),
    [
        (formatted, Flaw.CLOCK, r"reads time.strftime\(\) at test_spy.py:\d+"),
        (local, Flaw.CLOCK, r"reads time.localtime\(\) at test_spy.py:\d+"),
        (runs, Flaw.PROCESS, r"starts a real process at test_spy.py:\d+"),
        (shouts, Flaw.PROCESS, r"starts a real process at test_spy.py:\d+"),
        (runs_in_a_thread, Flaw.PROCESS, "starts a real process in a thread"),
        (shouts_in_a_thread, Flaw.PROCESS, "starts a real process in a thread"),
        (sleeps_in_a_thread, Flaw.SLEEP, r"calls time.sleep\(\) in a thread"),
        (runs_beside, Flaw.PROCESS, "a step started a real process: give it a fake service"),
        (connects, Flaw.NETWORK, "a step opened a real connection: give it a fake service"),
        (naps, Flaw.SLEEP, r"calls time.sleep\(\) at test_spy.py:\d+"),
        (naps_in_a_thread, Flaw.SLEEP, r"calls time.sleep\(\) at test_spy.py:\d+"),
    ],
)
def test_what_leaves_the_simulation_is_named_for_what_it_is(act: Callable[..., Any], flaw: Flaw, words: str) -> None:
    """Also where it is said by other means than a call of the step itself."""
    found = rehearse(saga_of(act, repay), Order(), [Payments])
    assert [one.check for one in found] == [flaw]
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(found[0].detail)
    assert rehearse(saga_of(act, repay), Order(), [Payments], allow=[flaw]) == []


def test_a_time_of_its_own_is_no_clock() -> None:
    """What is written as a date comes from the input."""

    async def dated(order: Order) -> None:
        moment = time.gmtime(order.cents)
        time.strftime("%Y", moment)
        time.asctime(moment)
        time.ctime(order.cents)

    assert flaws(dated) == {}


def test_what_is_logged_has_a_time() -> None:
    """It is the log's business to look at the clock."""

    async def logs(order: Order) -> None:
        record = logging.LogRecord("shop", logging.INFO, "", 0, "order of %s", (order.cents,), None)
        logging.Formatter("%(asctime)s %(message)s").format(record)

    assert flaws(logs) == {}


def test_a_step_that_ends_its_process() -> None:
    """Is named like any other that raises, and does not end the test run."""

    async def quits(order: Order) -> None:
        raise SystemExit(1)

    async def quits_undoing(payments: Payments) -> None:
        raise SystemExit(2)

    assert flaws(quits) == {Flaw.RAISES: "step 'pay' raised SystemExit(1)"}
    assert "SystemExit(2)" in flaws(local, quits_undoing)[Flaw.RAISES]
