"""Fixtures and options for tests of sagas. Found by pytest where atone is installed; costs nothing unless it is used.

Whatever it needs is imported where it is needed: a test run that has no sagas in it must not pay for them.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import sys
from collections.abc import Generator, Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .testing import Simulation
    from .testing.durable import Durable
    from .testing.settings import Settings


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options for all crash tests of a run."""
    group = parser.getgroup("atone", "simulation of sagas")
    group.addoption("--saga-seed", type=int, default=None, help="the seed of every simulation, instead of its own")
    group.addoption("--saga-crash", default=None, help="run this one history only, as a failure names it")
    group.addoption("--saga-crashes", type=int, default=None, help="deaths of the process in one history: 0, 1 or 2")
    group.addoption("--saga-budget", type=float, default=None, help="seconds for each crash test")


@pytest.fixture
def sim(request: pytest.FixtureRequest) -> Iterator[Simulation]:
    """A simulated service: virtual time, a disk in memory, fake participants. See `atone.testing.Simulation`."""
    from .testing import Simulation  # noqa: PLC0415  # see above

    seed = request.config.getoption("--saga-seed", None)
    simulation = Simulation(seed=seed or 0)
    yield simulation
    simulation.close()


@pytest.fixture
def durable(tmp_path: Path) -> Durable:
    """A real file, and child processes on it that are really killed. See `atone.testing.Durable`."""
    from .testing.durable import Durable  # noqa: PLC0415  # see above

    return Durable(tmp_path / "orders.db")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Tell crash tests which test they are, and what the run asks of them."""
    option = item.config.getoption
    asked = [option(f"--saga-{what}") for what in ("seed", "crash", "crashes", "budget")]
    settings = _settings(load=any(one is not None for one in asked))
    if settings is None:
        return (yield)
    settings.test = _here(item)
    settings.seed, settings.crash, settings.crashes, settings.budget = asked
    settings.progress = _Progress(item.config)
    before = len(settings.lines)
    try:
        result = yield
        _judge(item)
        return result
    finally:
        settings.progress("")
        for line in settings.lines[before:]:
            item.add_report_section("call", "sagas", line)
        settings.test = ""


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run an `async def` test with a simulation where no other plugin does."""
    names = pyfuncitem._fixtureinfo.argnames  # noqa: SLF001  # what its parameters are
    if not inspect.iscoroutinefunction(pyfuncitem.obj) or not {"sim", "durable"} & set(names):
        return None
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how much was tried."""
    settings = _settings()
    if settings is not None and settings.lines:
        terminalreporter.section("crash tests of sagas")
        for line in settings.lines:
            terminalreporter.line(line)


def _judge(item: pytest.Item) -> None:
    """A test that has passed is asked what it did not look at: promises of its orders, and what it announced itself."""
    from .testing import Simulation  # noqa: PLC0415  # it is there: this run has settings

    sim = getattr(item, "funcargs", {}).get("sim")
    if not isinstance(sim, Simulation):
        return
    if sim.begun and not sim.told:
        sim.check()
    sim.demand()


def _here(item: pytest.Item) -> str:
    """The name of a test as one types it in the folder in which pytest was called."""
    file, colons, name = item.nodeid.partition("::")
    return os.path.relpath(item.config.rootpath / file, item.config.invocation_params.dir) + colons + name


def _settings(*, load: bool = False) -> Settings | None:
    """The settings of crash tests, if this run has any: a test may be the first to import what they are for."""
    name = "atone.testing.settings"
    module = import_module(name) if load else sys.modules.get(name)
    return module.settings if module is not None else None


class _Progress:
    """One line at the terminal that is written over and over; silent where there is none."""

    def __init__(self, config: pytest.Config) -> None:
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        self._write = reporter._tw if reporter is not None and reporter.isatty else None  # noqa: SLF001
        self._width = 0

    def __call__(self, text: str) -> None:
        if self._write is not None and (text or self._width):
            self._write.write("\r" + text.ljust(self._width) + ("" if text else "\r"), flush=True)
            self._width = len(text)
