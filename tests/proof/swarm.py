"""Deterministic simulation of random sagas in random weather. The same index gives the same run, to the last bit.

A case is one simulation of many orders, in one machine with one or two processes that die, stop, come back and fence
each other off. When the faults stop, all must settle, and everything is judged.
"""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Literal

from atone import Coordinator, Status

from .counts import Case, Counts
from .hazards import Hazards
from .people import Customer, Operator, decided
from .season import Season
from .tickets import No, Note, Ticket, Yes

WORKERS = 2
PER_CASE = 40

_ROUNDS = 40  #: of operators at work, after which every order must have come to an end


def prepare(seed: int, _size: int, _folder: Path) -> Case:
    """Nothing to be done beforehand."""

    def case(index: int) -> Counts:
        season = play(f"{seed}/{index}", "sqlite" if index % 25 == 0 else "memory")
        try:
            wrong = [f"{one.check}: {one.detail} (order {one.order})" for one in season.judge()]
        finally:
            season.close()
        return Counts(histories=PER_CASE, violations=wrong)

    return case


def play(seed: str, kind: Literal["memory", "sqlite"] = "memory", orders: int = PER_CASE) -> Season:
    """Run one simulation to its end. The caller judges and closes it."""
    season = Season(seed, orders, kind)
    try:
        season.loop.call(_story(season))
    except BaseException:
        season.close()
        raise
    note(season)
    return season


def note(season: Season) -> None:
    """Count what was reached."""
    for record, rows in season.observer.records():
        season.happened[f"status: {record.snapshot.status}"] += 1
        for row in rows:
            season.happened[f"event: {row.entry.event}"] += 1
            if row.entry.event == "PARKED":
                season.happened[f"park: {row.entry.note}"] += 1
    for program in season.programs:
        season.happened.update(f"place: {kind}" for kind in program.kinds.values())


def trace(season: Season) -> str:
    """A fingerprint of everything that happened."""
    seen = hashlib.blake2b(digest_size=16)
    for record, rows in season.observer.records():
        seen.update(repr((record, rows)).encode())
    for service in season.services:
        seen.update(repr((service.ledger.lines, service.ledger.sent)).encode())
    seen.update(repr((season.promises, sorted(season.happened.items()), season.loop.steps)).encode())
    return seen.hexdigest()


async def _story(season: Season) -> None:
    """Bad weather, then good weather, then the end."""
    weather, chance = season.weather, season.chance
    machine = [asyncio.create_task(hazard) for hazard in Hazards(season).all()]
    tickets = [Ticket(str(number), chance.random() < 0.7, 1500 * weather.large) for number in range(season.orders)]
    people = [asyncio.create_task(Customer(season, ticket).serve()) for ticket in tickets]
    operator = asyncio.create_task(Operator(season).work())
    await asyncio.wait(people, timeout=30)
    await asyncio.sleep(chance.choice((0.0, 1.0, 5.0)))
    for task in machine:
        task.cancel()
    for ended in await asyncio.gather(*machine, return_exceptions=True):
        if not isinstance(ended, asyncio.CancelledError):  # it goes on until it is told to stop, or something broke it
            raise RuntimeError("a hazard has ended by itself") from ended  # noqa: TRY004  # no type is wrong
    await _calm_down(season)
    await asyncio.gather(*people, operator)
    for process in season.processes:
        if process.stopped:
            process.go_on()
    await season.settle()
    if chance.random() < 0.5:
        await _finish(season)
    season.happened["crash"] += season.world.deaths


async def _calm_down(season: Season) -> None:
    """No more faults; one process at least that knows everything."""
    season.calm = True
    faults = season.faults
    faults.commit = faults.read = 0.0
    faults.full = False
    faults.cursed.clear()
    for service in season.services:
        service.outcomes = None
    for process in season.processes:
        process.left = -1 if process.left > 0 else process.left
        process.dies_at = 0
        if process.stopped:
            process.go_on()
    await asyncio.sleep(1)
    for process in season.hosts():
        if season.weather.deploys:
            process.die()
    if not season.hosts():
        await season.boot()


async def _finish(season: Season) -> None:
    """Every order can be brought to an end."""
    operator = Operator(season)
    season.confusion.ids.clear()
    for _ in range(_ROUNDS):
        live = season.listed(*(status for status in Status if not status.final))
        if not live:
            season.happened["all ended"] += 1
            return
        for record in live:
            if record.snapshot.status == Status.PARKED:
                await operator.see_to(record, leave=False)
            elif record.snapshot.status == Status.SUSPENDED:
                await decided(season, record.id, lambda order: order.resume(by="erin", why="the end"))
            else:
                await _say_everything(season, record.id)
        await season.settle()
    for record in season.listed(*(status for status in Status if not status.final)):
        season.violate("L1 an end", "Every order can be brought to an end.", record.id, record.snapshot.status)


async def _say_everything(season: Season, id: str) -> None:
    async def say(one: Coordinator) -> None:
        for message in (Yes("erin"), Note("erin"), No("erin")):
            await one.order(id).send(message)

    await season.ask(say)
