"""What becomes of a request to a fake service."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from random import Random
from typing import NoReturn

from attrs import frozen


class AnswerLost(ConnectionError):
    """What a caller sees when a request or its answer was lost: the effect may or may not be there."""


class Fate(StrEnum):
    """What becomes of one call."""

    OK = "ok"
    REFUSED = "refused"  #: `PermanentError`: certainly without effect
    LOST = "lost"  #: the request never arrived, and the caller sees an error
    APPLIED_ANSWER_LOST = "applied_answer_lost"  #: it took effect, and the caller sees an error
    LATE = "late"  #: the caller hears nothing; it takes effect long after the caller has given up
    HANG = "hang"  #: the caller hears nothing, and it never takes effect

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise ValueError(f"{value!r} is no fate of a call; there are: {', '.join(cls)}")


@frozen
class Outcomes:
    """Weights for drawing the fates of calls. Made by `outcomes`."""

    weights: Mapping[Fate, float]

    def draw(self, chance: Random, *, undo: bool) -> Fate:
        """The fate of one call; an undo is never refused by chance."""
        weights = {fate: weight for fate, weight in self.weights.items() if not (undo and fate is Fate.REFUSED)}
        return chance.choices(list(weights), list(weights.values()))[0]


def outcomes(
    *,
    ok: float = 1.0,
    refused: float = 0.0,
    lost: float = 0.0,
    applied_answer_lost: float = 0.0,
    late: float = 0.0,
    hang: float = 0.0,
) -> Outcomes:
    """Weights by which the fate of every call is drawn from the simulation's seed."""
    return Outcomes(dict(zip(Fate, (ok, refused, lost, applied_answer_lost, late, hang), strict=True)))
