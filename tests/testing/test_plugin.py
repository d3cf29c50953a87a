"""The pytest plugin, in test runs of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TESTS = """
import sys
from attrs import frozen
from atone import Saga, Status, StepContext, step
from atone.testing import FakeService, Simulation, action, crash_everywhere, verify

@frozen
class Order:
    cents: int = 1

class Payments(FakeService):
    charge = action(undo="refund")

@step
async def charge(order: Order, payments: Payments, ctx: StepContext) -> str:
    return await payments.charge(key=ctx.key)

@charge.compensation
async def refund(order: Order, payments: Payments, ctx: StepContext) -> None:
    {refund}

saga = Saga("pay", input=Order, steps=[charge])

async def test_fixture(sim):
    sim.provide(Payments)
    await sim.start(saga, Order(), id="1")
    await sim.settle()
    assert sim.seed == {seed}
    assert sim.status("1") is Status.COMPLETED
    sim.check()

@crash_everywhere(saga, services=[Payments])
async def test_everywhere(sim):
    sim[Payments].charge.plan(*["applied_answer_lost"] * 9)
    await sim.start(saga, Order(), id="1")
    await sim.settle()

def test_file(durable):
    assert not durable.path.exists()

def test_of_its_own():
    assert Simulation(saga).seed == {seed}
"""

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "120"}

RIGHT = "await payments.refund(key=ctx.action_key)"
WRONG = "pass"


def pytest_in(folder: Path, *options: str, plugin: bool = True) -> subprocess.CompletedProcess[str]:
    """Run pytest there, as a user does."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *options]
    command += ["-p", "atone.pytest_plugin"] if plugin else ["-p", "no:atone.pytest_plugin"]
    return subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=100, check=False
    )


@pytest.fixture
def user(tmp_path: Path) -> Path:
    """A user's folder of tests."""
    tests = TESTS.replace("{refund}", RIGHT).replace("{seed}", "0")
    (tmp_path / "test_user.py").write_text(tests, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("anyio", ["anyio", "no:anyio"])
def test_fixtures_work_with_and_without_another_plugin_for_async(user: Path, anyio: str) -> None:
    """`sim`, `durable` and the decorator; and the summary says how much was tried."""
    run = pytest_in(user, "-p", anyio)
    assert "4 passed" in run.stdout, run.stdout + run.stderr
    assert "crash tests of sagas" in run.stdout
    assert "test_everywhere: " in run.stdout


def test_anyio_may_run_the_test_itself(user: Path) -> None:
    """Where it is told to."""
    (user / "pytest.ini").write_text("[pytest]\nanyio_mode = auto\n", encoding="utf-8")
    run = pytest_in(user)
    assert "passed" in run.stdout, run.stdout + run.stderr
    assert "failed" not in run.stdout


def test_a_seed_for_the_whole_run(user: Path) -> None:
    """It reaches the fixture, the crash tests, and simulations of a test's own."""
    test = user / "test_user.py"
    test.write_text(test.read_text(encoding="utf-8").replace("seed == 0", "seed == 9"), encoding="utf-8")
    assert "4 passed" in pytest_in(user, "--saga-seed=9").stdout


def test_options_reach_a_test_that_imports_the_kit_itself(user: Path) -> None:
    """It is the first to do so, and its options were read before."""
    lines = ["from test_user import saga, Order, Payments", "from atone.testing import crash_everywhere"]
    lines.append("assert crash_everywhere(saga, Order(), [Payments]).histories == 1")
    late = "def test_late():\n" + "".join(f"    {line}\n" for line in lines)
    (user / "test_late.py").write_text(late, encoding="utf-8")
    run = pytest_in(user, "test_late.py", "--saga-crash=@5", "-p", "no:anyio")
    assert "1 passed" in run.stdout, run.stdout + run.stderr


def test_a_failure_names_the_command_that_repeats_it(user: Path) -> None:
    """And that command runs the one history, which fails in the same way."""
    test = user / "test_user.py"
    test.write_text(test.read_text(encoding="utf-8").replace(RIGHT, WRONG), encoding="utf-8")
    run = pytest_in(user)
    assert "1 failed, 3 passed" in run.stdout, run.stdout
    again = next(line for line in run.stdout.splitlines() if "again: pytest" in line)
    options = again.partition("again: pytest ")[2].replace("'", "").split()
    assert options[0] == "test_user.py::test_everywhere"
    once = pytest_in(user, *options)
    assert "1 failed" in once.stdout
    assert "S2 net zero" in run.stdout
    assert "S2 net zero" in once.stdout


@pytest.mark.parametrize(("refund", "verdict"), [(RIGHT, "1 passed"), (WRONG, "S2 net zero")])
def test_a_test_that_asks_for_no_judgement_is_judged(user: Path, refund: str, verdict: str) -> None:
    """All that it asserts is true, and the money is gone."""
    test = user / "test_user.py"
    test.write_text(test.read_text(encoding="utf-8").replace(RIGHT, refund), encoding="utf-8")
    plain = """
from atone import Status
from test_user import Order, Payments, saga

async def test_plain(sim):
    sim.provide(Payments)
    sim[Payments].charge.plan(*["applied_answer_lost"] * 9)
    await sim.start(saga, Order(), id="1")
    await sim.settle()
    assert sim.status("1") is Status.COMPENSATED
"""
    (user / "test_plain.py").write_text(plain, encoding="utf-8")
    run = pytest_in(user, "test_plain.py", "-p", "no:anyio")
    assert verdict in run.stdout, run.stdout + run.stderr


def test_a_judgement_in_the_middle_is_not_the_last(user: Path) -> None:
    """What is lost behind it does not go by."""
    test = user / "test_user.py"
    test.write_text(test.read_text(encoding="utf-8").replace(RIGHT, WRONG), encoding="utf-8")
    plain = """
from test_user import Order, Payments, saga

async def test_plain(sim):
    sim.provide(Payments)
    await sim.start(saga, Order(), id="1")
    await sim.settle()
    sim.check()
    sim[Payments].charge.plan(*["applied_answer_lost"] * 9)
    await sim.start(saga, Order(), id="2")
    await sim.settle()

async def test_of_a_bug(sim):
    sim.provide(Payments)
    sim[Payments].charge.plan(*["applied_answer_lost"] * 9)
    await sim.start(saga, Order(), id="1")
    await sim.settle()
    assert [one.check for one in sim.violations()] == ["S2 net zero"]
"""
    (user / "test_plain.py").write_text(plain, encoding="utf-8")
    run = pytest_in(user, "test_plain.py", "-p", "no:anyio")
    assert "1 failed, 1 passed" in run.stdout, run.stdout + run.stderr
    assert "FAILED test_plain.py::test_plain" in run.stdout


def test_crashes_and_budget_can_be_set_for_the_run(user: Path) -> None:
    """For a night's run, and for a quick one."""
    assert " pairs, " in pytest_in(user, "--saga-crashes=2").stdout
    assert "(out of budget)" in pytest_in(user, "--saga-crashes=2", "--saga-budget=0.05").stdout


def test_a_run_without_sagas_pays_nothing(tmp_path: Path) -> None:
    """The test kit is not even imported."""
    (tmp_path / "test_other.py").write_text(
        "import sys\n\ndef test_it():\n    assert 'atone.testing' not in sys.modules\n", encoding="utf-8"
    )
    run = pytest_in(tmp_path)
    assert "1 passed" in run.stdout, run.stdout + run.stderr


def test_crash_tests_need_no_plugin(user: Path) -> None:
    """The decorator works by itself."""
    run = pytest_in(user, "-k", "everywhere", plugin=False)
    assert "1 passed" in run.stdout, run.stdout + run.stderr
