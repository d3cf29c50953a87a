"""A saga as a picture: Mermaid text that renders on most code hosts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, product

from ..storage import frozen


@frozen
class Place:
    """One step or awaited message, as far as a picture needs it."""

    name: str
    zone: str
    kind: str  #: step, read-only, pivot or receive
    undoes: bool  #: whether it has a compensation that can run
    turns_back: bool  #: whether a decline or a timeout turns the order back here


def flowchart(nodes: Sequence[Sequence[Place]]) -> Iterator[str]:
    """The lines of a Mermaid flowchart: forward with solid arrows, the way back with dotted ones."""
    places = [place for node in nodes for place in node]
    names = (f"n{number}" for number in range(len(places)))
    levels = [["start"], *([next(names) for _ in node] for node in nodes), ["completed([COMPLETED])"]]
    yield "flowchart TD"
    yield "    start([start])"
    for zone in ("compensatable", "pivot", "retriable"):
        boxes = [f"        n{i}{_box(place)}" for i, place in enumerate(places) if place.zone == zone]
        if boxes:
            yield from (f"    subgraph {zone}", *boxes, "    end")
    for before, after in pairwise(levels):
        yield from (f"    {first} --> {second}" for first, second in product(before, after))
    yield from _way_back(places, [f"n{i}" for i, place in enumerate(places) if place.turns_back])


def _box(place: Place) -> str:
    if place.kind == "receive":
        return f'{{{{"{place.name}"}}}}'
    if place.kind == "pivot":
        return f'[["{place.name}"]]'
    return f'["{place.name}"]'


def _way_back(places: Sequence[Place], ends: Sequence[str]) -> Iterator[str]:
    undone = [(f"n{i}", f"u{i}", place.name) for i, place in enumerate(places) if place.undoes]
    if not undone and not ends:
        return
    if undone:
        yield "    subgraph rollback"
        yield from (f'        {undo}["undo {name}"]' for _, undo, name in undone)
        yield "    end"
    back = [*(undo for _, undo, _ in reversed(undone)), "compensated([COMPENSATED])"]
    yield from (f"    {step} -. fails .-> {undo}" for step, undo, _ in undone)
    yield from (f"    {first} -.-> {second}" for first, second in pairwise(back))
    yield from (f"    {end} -. turns back .-> {_undo_before(end, undone)}" for end in ends)


def _undo_before(end: str, undone: Sequence[tuple[str, str, str]]) -> str:
    """The first compensation on the way back from a place."""
    number = int(end[1:])
    return next((undo for step, undo, _ in reversed(undone) if int(step[1:]) <= number), "compensated([COMPENSATED])")
