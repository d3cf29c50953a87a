"""What a seed decides is not decided again by addresses; and what a simulation leaves behind in memory: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Coroutine
from random import Random
from typing import Any, cast
from weakref import ref

import anyio
from anyio._backends import _asyncio as anyio_asyncio

from atone.testing.loop import SimLoop
from atone.testing.tasks import SimTask


async def cancelled(log: list[int]) -> None:
    """Tasks of two groups, one within the other, of which the outer one is cancelled."""

    async def one(number: int) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            log.append(number)

    async with anyio.create_task_group() as outer, anyio.create_task_group() as inner:
        for number in range(12):
            (inner if number % 3 else outer).start_soon(one, number)
        await anyio.sleep(1)
        outer.cancel_scope.cancel()


def order() -> list[int]:
    """In which order they heard of it."""
    log: list[int] = []
    loop = SimLoop(Random(7))
    loop.call(cancelled(log))
    loop.abandon()
    return log


def test_anyio_cancels_in_an_order_that_a_seed_reproduces() -> None:
    """However the scopes of a group happen to lie in memory."""
    first, kept = order(), []
    for size in range(20):
        kept.append([bytearray(100 + size) for _ in range(size)])
        assert order() == first


def test_anyio_still_has_the_members_that_are_replaced() -> None:
    """What is private may change with any release of it: this is where it would be noticed."""
    assert hasattr(anyio.CancelScope, "__init__")
    assert hasattr(anyio_asyncio.CancelScope, "_child_scopes")
    assert hasattr(anyio_asyncio, "_task_states")


def test_scopes_outside_of_a_simulation_are_left_as_anyio_makes_them() -> None:
    """A service that imports `verify` runs on the anyio that it has installed."""

    async def kept() -> type:
        return type(cast("Any", anyio.CancelScope())._child_scopes)

    assert asyncio.run(kept()) is set


def test_nothing_is_kept_of_the_tasks_of_the_dead() -> None:
    """Neither by asyncio nor by anyio, which forget a task when it ends."""

    async def forever() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.sleep_forever)

    loop = SimLoop(Random(0))
    tasks = [ref(loop.create_task(forever())) for _ in range(3)]
    loop.call(asyncio.sleep(1))
    assert all(task() is not None for task in tasks)
    loop.abandon()
    del loop
    gc.collect()
    assert all(task() is None for task in tasks)


def test_the_dead_begin_nothing_on_a_loop_of_the_living() -> None:
    """What a `finally` block begins would stay in the loop of the thread, with all that it holds."""

    async def closing() -> None: ...

    async def close_in_the_end() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.shield(closing())

    with contextlib.closing(asyncio.new_event_loop()) as living:
        asyncio.set_event_loop(living)
        loop = SimLoop(Random(0))
        loop.create_task(close_in_the_end())
        loop.call(asyncio.sleep(1))
        loop.abandon()
        asyncio.set_event_loop(None)
        assert asyncio.all_tasks(living) == set()


def test_a_task_that_had_not_begun_is_let_go_with_what_it_was_to_run() -> None:
    """A group of anyio runs it in a coroutine of its own, and Python would complain of it much later."""
    made: list[ref[Coroutine[Any, Any, None]]] = []

    def to_run() -> Coroutine[Any, Any, None]:
        coroutine = anyio.sleep_forever()
        made.append(ref(coroutine))
        return coroutine

    async def begin() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(to_run)

    loop = SimLoop(Random(0))
    loop.create_task(begin())
    loop.run(lambda: bool(made))
    assert made[0]() is not None
    loop.abandon()
    assert made[0]() is None


def test_a_thread_may_begin_tasks_of_its_own_while_the_dead_are_buried() -> None:
    """What anyio knows of tasks is shared by all loops of a process: a test run may have others."""
    states = cast("Any", anyio_asyncio)._task_states

    class Restless(SimTask):
        def get_loop(self) -> Any:
            states[asyncio.Task(asyncio.sleep(0), loop=other)] = None
            return super().get_loop()

    other = asyncio.new_event_loop()
    states[Restless(asyncio.sleep(0), loop=other, number=1)] = None
    loop = SimLoop(Random(0))
    loop.call(asyncio.sleep(1))
    loop.abandon()
    assert len(asyncio.all_tasks(other)) > 1
    other.run_until_complete(asyncio.gather(*asyncio.all_tasks(other)))
    other.close()
