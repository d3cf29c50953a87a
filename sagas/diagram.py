"""A saga as a picture: Mermaid text that renders on most code hosts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, product

from ..storage import frozen


@frozen
class Box:
    """One step or awaited message, as far as a picture needs it."""

    name: str
    zone: str
    kind: str  #: step, read-only, pivot or receive
    undoes: bool  #: whether it has a compensation that can run
    turns_back: bool  #: whether a decline or a timeout turns the order back here


def flowchart(nodes: Sequence[Sequence[Box]]) -> Iterator[str]:
    """The lines of a Mermaid flowchart: forward with solid arrows, the way back with dotted ones."""
    boxes = [box for node in nodes for box in node]
    names = (f"n{number}" for number in range(len(boxes)))
    levels = [["start"], *([next(names) for _ in node] for node in nodes), ["completed([COMPLETED])"]]
    yield "flowchart TD"
    yield "    start([start])"
    for zone in ("compensatable", "pivot", "retriable"):
        shapes = [f"        n{i}{_shape(box)}" for i, box in enumerate(boxes) if box.zone == zone]
        if shapes:
            yield from (f"    subgraph {zone}", *shapes, "    end")
    for before, after in pairwise(levels):
        yield from (f"    {first} --> {second}" for first, second in product(before, after))
    yield from _way_back(boxes, [f"n{i}" for i, box in enumerate(boxes) if box.turns_back])


def _shape(box: Box) -> str:
    if box.kind == "receive":
        return f'{{{{"{box.name}"}}}}'
    if box.kind == "pivot":
        return f'[["{box.name}"]]'
    return f'["{box.name}"]'


def _way_back(boxes: Sequence[Box], ends: Sequence[str]) -> Iterator[str]:
    undone = [(f"n{i}", f"u{i}", box.name) for i, box in enumerate(boxes) if box.undoes]
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
    """The first compensation on the way back from a box."""
    number = int(end[1:])
    return next((undo for step, undo, _ in reversed(undone) if int(step[1:]) <= number), "compensated([COMPENSATED])")
