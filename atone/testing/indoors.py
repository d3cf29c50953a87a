"""An event loop that is closed to the real world: no sockets, no processes, no threads."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, NoReturn

from ..storage import StoreError
from .spy import Flaw


class OutsideWorld(RuntimeError):
    """The simulated program reached for the real world, which no seed can reproduce."""

    def __init__(self, what: str, flaw: Flaw) -> None:
        super().__init__(what)
        self.flaw = flaw


class IndoorLoop(asyncio.BaseEventLoop):
    """Refuses what no seed could reproduce, and remembers who tried."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []  #: exceptions that nobody caught, and attempts to leave the simulation
        self.log: Callable[[str], object] = lambda _text: None  #: told what was logged with an exception
        self.set_exception_handler(_remember)

    async def getaddrinfo(self, host: Any, port: Any, **_options: Any) -> Any:  # noqa: ARG002
        """No network."""
        self.refuse(f"a step looked up the real host {host!r}: give it a fake service")

    async def create_connection(self, *_args: Any, **_options: Any) -> Any:
        """No network."""
        self.refuse("a step opened a real connection: give it a fake service")

    async def sock_connect(self, *_args: Any, **_options: Any) -> Any:
        """No network."""
        self.refuse("a step opened a real socket: give it a fake service")

    async def subprocess_exec(self, *_args: Any, **_options: Any) -> Any:
        """No processes."""
        self.refuse("a step started a real process: give it a fake service", Flaw.PROCESS)

    subprocess_shell = subprocess_exec

    def refuse(self, what: str, flaw: Flaw = Flaw.NETWORK) -> NoReturn:
        """Raise `OutsideWorld`; a finding even where somebody catches it."""
        self.problems.append(what)
        raise OutsideWorld(what, flaw)

    def _process_events(self, event_list: object) -> None:
        """There are no files."""

    def _write_to_self(self) -> None:
        """There is nobody else to wake."""


def _remember(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception that nobody caught is a finding, and no line in a log that nobody reads."""
    assert isinstance(loop, IndoorLoop)
    error = context.get("exception")
    shown = "" if error is None else f": {type(error).__name__}: {error}"
    loop.problems.append(f"{context.get('message', 'an exception that nobody caught')}{shown}")


def _outdoors(record: logging.LogRecord) -> bool:
    """What is logged of the troubles of a simulation is in its story, and no news of this service.

    An exception in it is a finding, although the engine has healed it: unless it is the disk's, which fails as told.
    """
    loop = asyncio._get_running_loop()  # noqa: SLF001  # the public one raises
    if not isinstance(loop, IndoorLoop):
        return True
    if record.exc_info is not None and record.exc_info[1] is not None:
        error = record.exc_info[1]
        loop.log(text := f"{record.getMessage()}: {error!r}")
        if not isinstance(error, StoreError):
            loop.problems.append(text)
    return False


for _name in ("atone", "atone.storage.sqlite", "atone.storage.checkpoint"):
    logging.getLogger(_name).addFilter(_outdoors)
