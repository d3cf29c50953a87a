"""What a participant did, and what of it stands."""

from __future__ import annotations

from typing import Any

from attrs import define, field, frozen


@frozen
class Effect:
    """One line of a ledger."""

    at: float  #: seconds since the simulation began, which no clock that is set back disorders
    service: str
    action: str
    key: str  #: of the action, also where it is undone
    undone: bool = False  #: whether this line takes the effect back
    known: bool = True  #: of an undo: whether there was anything to take back


@define(eq=False)
class Ledger:
    """What one service did. An effect *stands* from when it is applied until it is undone."""

    lines: list[Effect] = field(factory=list)
    standing: dict[tuple[str, str], int] = field(factory=dict)  #: how often, by action and key
    answers: dict[tuple[str, str], object] = field(factory=dict)  #: first answers, by action and key
    closed: set[tuple[str, str]] = field(factory=set)  #: keys that were undone, for ever
    calls: list[tuple[str, str]] = field(factory=list)  #: every request that arrived: what was called, under which key
    sent: list[tuple[str, str]] = field(factory=list)  #: every request that left, whatever became of it
    #: what was asked for in these, by what was called and under which key
    arguments: dict[tuple[str, str], list[tuple[tuple[Any, ...], dict[str, Any]]]] = field(factory=dict)
    looked: list[tuple[str, str]] = field(factory=list)  #: every answer that was looked up, under which key
