"""The simulated loop: time, chance, death, and the private members of asyncio that it stands on."""

import asyncio
import heapq
import logging
import threading
import time
from functools import partial
from random import Random

import anyio
import pytest

from atone.storage.errors import StoreBusy
from atone.testing.fuse import Fuse, Killed
from atone.testing.indoors import OutsideWorld
from atone.testing.loop import SimLoop


def make(seed: int = 0, fuse: Fuse | None = None) -> SimLoop:
    """A loop of that seed."""
    return SimLoop(Random(seed), fuse=fuse)


def test_asyncio_still_has_the_members_that_the_loop_replaces() -> None:
    """What is private may change with any release of Python: this is where it would be noticed."""
    loop = asyncio.BaseEventLoop()
    try:
        assert not loop._ready  # type: ignore[attr-defined]
        assert loop._scheduled == []  # type: ignore[attr-defined]
        loop.call_later(5, print)
        loop.call_soon(print)
        handle = heapq.heappop(loop._scheduled)  # type: ignore[attr-defined]
        assert (handle._scheduled, handle._cancelled) == (True, False)
        assert callable(loop._ready.popleft()._run)  # type: ignore[attr-defined]
        for name in ("_run_once", "_process_events", "_timer_handle_cancelled", "_write_to_self", "_thread_id"):
            assert hasattr(loop, name) or name in {"_write_to_self", "_process_events"}
        assert callable(asyncio._unregister_task)
    finally:
        loop.close()


def test_a_year_takes_no_time() -> None:
    """Virtual time jumps to the next timer."""
    loop = make()
    began = time.perf_counter()
    loop.call(asyncio.sleep(365 * 24 * 3600))
    loop.abandon()
    assert loop.time() == 365 * 24 * 3600
    assert time.perf_counter() - began < 5


async def race(log: list[int]) -> None:
    """Twenty tasks that all want to be first."""

    async def one(number: int) -> None:
        await asyncio.sleep(0)
        log.append(number)

    async with asyncio.TaskGroup() as tasks:
        for number in range(20):
            tasks.create_task(one(number))


def order_of(seed: int) -> list[int]:
    """Who came first."""
    log: list[int] = []
    loop = make(seed)
    loop.call(race(log))
    loop.abandon()
    return log


def test_a_seed_is_a_schedule() -> None:
    """The same seed gives the same order, other seeds give others."""
    assert order_of(7) == order_of(7)
    assert len({tuple(order_of(seed)) for seed in range(20)}) > 10


def test_structured_concurrency_works_unmodified() -> None:
    """Timeouts, queues, shields and task groups of asyncio and anyio run on the loop."""

    async def everything() -> str:
        queue: asyncio.Queue[int] = asyncio.Queue()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await queue.get()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(queue.put, 1)
        with anyio.move_on_after(60) as scope:
            await anyio.sleep_forever()
        assert scope.cancelled_caught
        assert await asyncio.wait_for(asyncio.shield(queue.get()), 1) == 1
        return await asyncio.to_thread(lambda: threading.current_thread().name)

    loop = make()
    assert loop.call(everything()) == threading.current_thread().name
    assert loop.time() == 63
    loop.abandon()


def test_death_is_not_an_exception() -> None:
    """The callback before which the process dies does not run, and no `except` ever learns of it."""
    log: list[object] = []

    async def work() -> None:
        for number in range(10):
            try:
                await asyncio.sleep(0)
            except Exception as error:  # noqa: BLE001  # that is the point
                log.append(error)
            log.append(number)

    loop = make(fuse=Fuse(at=(4,), armed=True))
    with pytest.raises(Killed):
        loop.call(work())
    loop.abandon()
    assert log == [0, 1]


def test_what_a_dead_process_leaves_is_closed_without_a_word() -> None:
    """Tasks that were waiting or had not begun, locks they held and `finally` blocks that wait cause no noise."""
    log: list[str] = []

    async def stubborn() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            log.append("finally")
            await asyncio.sleep(1)
            log.append("never")

    async def main() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stubborn())
            await asyncio.sleep(1)
            tasks.create_task(stubborn())
            loop.fuse.burnt = True

    loop = make()
    with pytest.raises(Killed):
        loop.call(main())
    loop.abandon()
    assert set(log) == {"finally"}
    assert loop.is_closed()


async def test_a_simulation_runs_inside_another_loop() -> None:
    """The outer loop stands still meanwhile, and is the running one again afterwards."""
    loop = make()
    loop.call(asyncio.sleep(100))
    loop.abandon()
    assert asyncio.get_running_loop() is not loop
    await asyncio.sleep(0)


def test_a_program_that_waits_for_ever_is_reported() -> None:
    """Nothing ready and no timer is no way to end."""

    async def forever() -> None:
        await asyncio.Event().wait()

    loop = make()
    with pytest.raises(RuntimeError, match="waits for ever"):
        loop.call(forever())
    loop.abandon()


def test_the_real_world_is_refused_by_name() -> None:
    """Sockets, look-ups, processes and threads of its own are no part of a simulation."""

    async def connect() -> None:
        await asyncio.open_connection("127.0.0.1", 80)

    async def run() -> None:
        await asyncio.create_subprocess_exec("true")

    for work, words in ((connect, "connection"), (run, "process")):
        loop = make()
        with pytest.raises(OutsideWorld, match=words):
            loop.call(work())
        assert len(loop.problems) == 1
        loop.abandon()


def test_an_exception_that_the_engine_heals_is_kept_unless_it_is_the_disks() -> None:
    """What is only logged is a finding as well: nothing but a disk fails without anybody's fault."""
    loop = make()
    for error in (LookupError("a slip"), StoreBusy("a disk", "nobody", 0.1)):
        loop.call_soon(partial(logging.getLogger("atone").warning, "it crashed", exc_info=error))
    loop.call(asyncio.sleep(1))
    loop.abandon()
    assert loop.problems == ["it crashed: LookupError('a slip')"]


def test_an_exception_that_nobody_catches_is_kept() -> None:
    """A callback that raises is a finding."""
    loop = make()
    loop.call_soon(lambda: 1 / 0)
    loop.call(asyncio.sleep(1))
    loop.abandon()
    assert len(loop.problems) == 1
    assert "ZeroDivisionError" in loop.problems[0]
