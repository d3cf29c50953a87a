"""What must hold of every order, as named checks over history, records and the ledgers of participants.

This is the only place that says so. A simulation, `crash_everywhere` and `verify` of a real file ask the same
checks; each looks at as much evidence as there is. The names S1 to S20 and L1 are those of docs/testing.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import frozen

from . import effects, histories, promises
from .evidence import Evidence, Trail, Violation


@frozen
class Check:
    """One promise, and how it is seen to be broken."""

    name: str
    sentence: str
    find: Callable[[Evidence], Iterator[tuple[str | None, str]]]  #: order and detail of each violation


def judge(evidence: Evidence) -> list[Violation]:
    """Every violation that the evidence shows."""
    found = list(evidence.found)
    for check in CHECKS:
        found += [Violation(check.name, check.sentence, order, detail) for order, detail in check.find(evidence)]
    return found


def _each(find: Callable[[Trail], Iterator[str]]) -> Callable[[Evidence], Iterator[tuple[str | None, str]]]:
    """A check that looks at one order at a time; those that cannot be read are S15's business."""

    def look(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
        for id, trail in evidence.trails.items():
            if trail.record.damage is None:
                yield from ((id, detail) for detail in find(trail))

    return look


def _none(_evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Noticed while it happens; see `Evidence.found`."""
    yield from ()


SOUND = Check("S15 sound bytes", "Every stored byte is what was written.", histories.damaged)

CHECKS: tuple[Check, ...] = (
    Check("S1 intent first", "Every attempt is announced on disk before it is sent, and ends at most once.",
          _each(histories.unannounced)),
    Check("S2 no forgotten effect", "An order is COMPENSATED only when all that may have happened was undone.",
          _each(histories.forgotten)),
    Check("S2 net zero", "An order that ended COMPENSATED leaves no effect at any participant.", effects.left_behind),
    Check("S3 order of undoing", "Steps are undone in reverse order, one acknowledged before the next.",
          _each(histories.disordered)),
    Check("S3 order at participants", "Participants see effects undone in reverse order of the saga.",
          effects.undone_in_order),
    Check("S4 one end", "An order that has ended never changes again.", _each(histories.two_ends)),
    Check("S4 past the pivot", "Once the pivot may have happened, nothing turns back.", _each(histories.past_pivot)),
    Check("S4 complete", "An order is COMPLETED only when every step succeeded.", _each(histories.unfinished)),
    Check("S4 exactly once", "Every effect of a COMPLETED order stands exactly once.", effects.not_once),
    Check("S5 stable keys", "Participants are called under keys made from `ctx.key` or `ctx.action_key`.",
          effects.strange_keys),
    Check("S6 one writer", "No order was written by an owner that never was.", histories.from_the_future),
    Check("S7 an answer is durable", "What a client was told is on disk.", promises.lost),
    Check("S8 one commit", "History has no gaps, each line begins where the last one ended, the record where they end.",
          _each(histories.gaps)),
    Check("S12 cancel means stop", "After an accepted cancel no step begins, and the order is never COMPLETED.",
          _each(histories.cancelled_and_went_on)),
    Check("S12 truthful answers", "What a cancel was answered is true, and stays so.", promises.untrue),
    SOUND,
    Check("L1 a way out", "An order that has not ended is at work, waits, or is parked with a reason.",
          _each(histories.no_way_out)),
)  # fmt: skip

#: Noticed while a simulation runs.
SENT_EARLY = Check("S1 intent first", "No request leaves before its intent is on disk.", _none)
UNCAUGHT = Check("nothing uncaught", "Nothing raises what nobody catches, and no step leaves the simulation.", _none)
STUCK = Check("L1 an end", "Every order comes to an end, or waits for somebody, once faults stop.", _none)
