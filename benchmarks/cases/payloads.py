"""Larger orders: the input and the results of all steps have so many bytes each."""

from __future__ import annotations

import asyncio

from attrs import frozen

from atone import Coordinator, Saga, SqliteStore, step

from .. import alone, bare
from ..case import Case, Setting
from ..drive import drive, during
from ..figure import Figure


@frozen
class Parcel:
    """The input, and what each step returns."""

    note: str


async def pack(parcel: Parcel) -> Parcel:
    """Return as much as came in."""
    await asyncio.sleep(0)
    return parcel


async def unpack() -> None:
    """Undo it."""


def _saga() -> Saga[Parcel]:
    steps = [step(name=name, pivot=name == "ship")(pack) for name in ("reserve", "charge", "ship")]
    for one in steps[:2]:
        one.compensation(unpack)
    return Saga("parcel", input=Parcel, steps=steps)


def ours(setting: Setting) -> list[Figure]:
    """Orders of this size."""

    async def measure() -> float:
        saga, parcel = _saga(), Parcel("x" * setting.number("bytes"))
        async with Coordinator(SqliteStore(setting.folder / "orders.db"), sagas=[saga]) as door:

            async def order(number: int) -> None:
                await (await door.start(saga, parcel, id=f"o-{number}")).outcome()

            flight = setting.number("flight")
            await drive(range(-flight, 0), order, flight=flight)
            return (await drive(during(setting.size["seconds"]), order, flight=flight)).rate

    return [Figure("", asyncio.run(measure()), "orders/s")]


def bare_payload(setting: Setting) -> list[Figure]:
    """The bare loop writes all it knows of an order at every commit."""
    return bare.figures(setting, payload=setting.number("bytes"))


def alone_payload(setting: Setting) -> list[Figure]:
    """One such value in every row."""
    return alone.figures(setting, payload=setting.number("bytes"))


def _case(name: str, size: int) -> Case:
    return Case(
        f"payload-{name}",
        f"orders whose input and results have {name} each, 64 in flight",
        size={"bytes": size, "flight": 64, "seconds": 3},
        quick={"bytes": size, "flight": 8, "seconds": 0.3},
        measures={"atone": ours, "bare": bare_payload, "sqlite": alone_payload},
    )


CASES = [_case("100B", 100), _case("1KiB", 1024), _case("64KiB", 65_536)]
