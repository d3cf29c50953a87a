"""What happens to the machine and its processes while the weather is bad."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from random import Random
from typing import Any

from attrs import define, field

from atone import Saga

from .season import Season
from .weather import Weather

#: Deaths in a row, of a process that is not allowed to get anything done; more than park an order.
_STREAK = 14


@define(eq=False)
class Hazards:
    """Each of them goes on until the faults are to stop."""

    season: Season
    weather: Weather = field(init=False)
    chance: Random = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.weather, self.chance = self.season.weather, self.season.chance

    def all(self) -> Iterator[Coroutine[Any, Any, None]]:
        """Those of this weather."""
        weather = self.weather
        yield self._keep()
        for likely, hazard in (
            (weather.stops, self._stop), (weather.restarts, self._restart), (weather.jumps, self._jump),
            (weather.full, self._fill), (weather.curse, self._curse),
        ):  # fmt: skip
            if likely:
                yield hazard()

    async def _keep(self) -> None:
        """Processes are started again when they are dead."""
        season, dying = self.season, _STREAK * self.weather.streak
        while True:
            hosts = [one.host for one in season.living()]
            if hosts.count(False) < self.weather.clients:
                await season.boot(host=False)
            if hosts.count(True) < self.weather.processes:
                await season.boot(self._known())
                if dying and season.hosts():
                    dying -= 1
                    season.happened["process: streak"] += 1
                    season.hosts()[-1].left = self.chance.randint(50, 300)
            await asyncio.sleep(self.chance.uniform(0.01, 3.0 if self.weather.clients else 0.4))

    def _known(self) -> list[Saga[Any]]:
        """The versions that a new process knows."""
        sagas = self.season.sagas
        return self.chance.choice((sagas, sagas[:1], sagas[1:])) if len(sagas) > 1 else sagas

    async def _stop(self) -> None:
        while True:
            await asyncio.sleep(self.chance.expovariate(1 / self.weather.stops))
            for process in self.season.hosts()[:1]:
                self.season.happened["process: stopped"] += 1
                process.stopped = True
                await asyncio.sleep(self.chance.choice((1.0, 6.0, 14.0)))
                process.go_on()

    async def _restart(self) -> None:
        while True:
            await asyncio.sleep(self.chance.expovariate(1 / self.weather.restarts))
            for process in self.season.hosts()[:1]:
                await self.season.leave(process)

    async def _jump(self) -> None:
        while True:
            await asyncio.sleep(self.chance.expovariate(1 / self.weather.jumps))
            self.season.happened["clock: jumped"] += 1
            self.season.world.clock.jump(self.chance.choice((-10.0, -1.0, 1.0, 10.0, 3600.0)) * self.chance.random())

    async def _fill(self) -> None:
        while True:
            await asyncio.sleep(self.chance.uniform(0.2, 4))
            self.season.faults.full = True
            await asyncio.sleep(self.chance.uniform(0.2, 6))
            self.season.faults.full = False

    async def _curse(self) -> None:
        while True:
            await asyncio.sleep(self.chance.uniform(0.1, 1))
            self.season.faults.cursed = {self.chance.randrange(self.season.orders) for _ in range(4)}
            await asyncio.sleep(self.chance.uniform(0.5, 20))
            self.season.faults.cursed = set()
