"""What must hold of every order, as named checks over history, records and the ledgers of participants.

This is the only place that says so. A simulation, `crash_everywhere` and `verify` of a real file ask the same
checks; each looks at as much evidence as there is. The names S1 to S20 and L1 are those of docs/testing.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from attrs import frozen

from . import (
    answers,
    attempts,
    bounds,
    deliveries,
    effects,
    forward,
    histories,
    ownership,
    promises,
    purity,
    repeats,
    requests,
    sickness,
    timers,
    turning,
    undoing,
)
from .evidence import Evidence, Violation
from .trail import Trail

#: Yields the order and the detail of each violation.
Find = Callable[[Evidence], Iterator[tuple[str | None, str]]]


@frozen
class Check:
    """One promise, and how it is seen to be broken."""

    name: str
    sentence: str
    find: Find


def judge(evidence: Evidence) -> list[Violation]:
    """Every violation that the evidence shows."""
    found = list(evidence.found)
    for check in CHECKS:
        found += [Violation(check.name, check.sentence, order, detail) for order, detail in check.find(evidence)]
    return found


def _each(find: Callable[[Trail], Iterator[str]]) -> Find:
    """A check that looks at one order at a time; those that cannot be read are S15's business."""

    def look(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
        for id, trail in evidence.trails.items():
            if trail.record.damage is None:
                yield from ((id, detail) for detail in find(trail))

    return look


def _exactly(find: Callable[[Trail], Iterator[str]]) -> Find:
    """The same, for what only those can judge who know each setting of the sagas."""
    look_at = _each(find)

    def look(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
        return look_at(evidence) if evidence.exact else iter(())

    return look


def _either(*finds: Find) -> Find:
    """A check that looks at several kinds of evidence."""

    def look(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
        for find in finds:
            yield from find(evidence)

    return look


def _none(_evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Noticed while it happens; see `Evidence.found`."""
    yield from ()


SHUTDOWN = Check("S20 shutdown is no cancel", "A host that leaves or dies undoes nothing by it, and begins no more.",
                 _either(_exactly(undoing.undone_for_no_reason), ownership.begun_when_leaving))  # fmt: skip
SICK = Check("S10 nothing begins while the store is sick",
             "After a failed commit no step begins until the store was opened again.",
             sickness.begun_while_sick)  # fmt: skip
WHOLE = Check("S8 one commit",
              "History has no gaps, each line begins where the last one ended, the record where they end.",
              _each(histories.gaps))  # fmt: skip
SOUND = Check("S15 sound bytes", "Every stored byte is what was written.", histories.damaged)

CHECKS: tuple[Check, ...] = (
    Check("S1 intent first", "Every attempt is announced on disk before it is sent, and ends at most once.",
          _either(_each(attempts.unannounced), requests.sent_early)),
    Check("S1 one at a time", "An attempt begins when the one before has ended, and nothing is undone beside a step.",
          _either(_each(repeats.at_once), _each(attempts.over_before_begun), requests.beside_another)),
    Check("S2 no forgotten effect", "An order is COMPENSATED only when all that may have happened was undone.",
          _each(undoing.forgotten)),
    Check("S2 net zero", "An order that ended COMPENSATED leaves no effect at any participant.", effects.left_behind),
    Check("S3 order of undoing", "Steps are undone in reverse order, one acknowledged before the next.",
          _each(undoing.disordered)),
    Check("S3 order at participants", "Participants see effects undone in reverse order of the saga.",
          effects.undone_in_order),
    Check("S4 one end", "An order that has ended never changes again.", _each(histories.two_ends)),
    Check("S4 past the pivot", "Once the pivot may have happened, nothing turns back.", _each(histories.past_pivot)),
    Check("S4 in order", "A step begins when all that stands before it is done, and every awaited message came.",
          _each(forward.out_of_order)),
    Check("S4 no repeat", "What has succeeded, was undone or refused is not sent again, unless a person asks for it.",
          _each(repeats.once_more)),
    Check("S4 turning back", "An order turns back for a reason that stands in history, and never goes forward again.",
          _each(turning.without_reason)),
    Check("S4 complete", "An order is COMPLETED only when every step succeeded, and every awaited message came.",
          _each(forward.unfinished)),
    Check("S4 exactly once", "Every effect of a COMPLETED order stands exactly once.", effects.not_once),
    Check("S5 stable keys", "Participants are called under keys made from `ctx.key` or `ctx.action_key`.",
          _either(effects.strange_keys, requests.under_strange_keys)),
    Check("S6 one writer", "No order was written by an owner that was replaced, or never was.",
          _either(ownership.from_the_future, ownership.from_the_past)),
    Check("S7 an answer is durable", "What a client was told is on disk.",
          _either(promises.lost, answers.given_early, answers.vanished)),
    WHOLE,
    Check("S9 nothing on the unknown", "When a commit has failed, an order is read again before it is moved on.",
          sickness.built_on_the_unknown),
    SICK,
    Check("S11 once", "A request changes an order at most once, however often it comes.",
          _either(deliveries.received_twice, deliveries.taken_twice)),
    Check("S12 cancel means stop",
          "After an accepted cancel, a decline or a time that is over no step begins; the order is never COMPLETED.",
          _each(forward.stopped_and_went_on)),
    Check("S12 held means still", "Nothing begins in an order that is suspended or parked, until that is lifted.",
          _each(forward.begun_while_held)),
    Check("S12 truthful answers", "What a client was answered is true, and stays so.",
          _either(promises.contradicted, answers.untrue, answers.undecided, _each(turning.cancelled_already))),
    Check("S12 too late", "TOO_LATE is said only where the pivot had begun before, on disk.",
          _each(histories.too_late_too_early)),
    Check("S13 time", "Nothing that waits for a time ends before it, by the clock that was written down.",
          _either(timers.ended_too_early, timers.begun_too_early)),
    Check("S14 a timeout is doubt", "Of an attempt that did not answer in time nobody claims to know the end.",
          _either(_each(attempts.sure_of_a_timeout), attempts.answered_in_vain)),
    SOUND,
    Check("S16 no undoing is skipped", "A compensation that keeps failing waits for a person; it is never passed over.",
          _each(undoing.given_up)),
    Check("S17 troubles are no refusal", "A cancelled task, full memory, a dying process: none is taken for a refusal.",
          _each(attempts.blamed_on_the_step)),
    Check("S18 pure decisions", "What is decided follows from what is on disk and the event, and from nothing else.",
          purity.differed),
    Check("S19 bounds", "What is too large, or one too many, is refused before it is on disk.",
          _each(bounds.too_large)),
    Check("S19 refused means nothing", "What was refused has left nothing behind.", bounds.refused_and_there),
    SHUTDOWN,
    Check("L1 bounded retries", "No step is tried more often than its policy allows, until a person asks for more.",
          _exactly(attempts.too_often)),
    Check("L1 a way out", "An order that has not ended is at work, waits, or is parked with a reason.",
          _each(histories.no_way_out)),
)  # fmt: skip

#: Noticed while a simulation runs.
UNCAUGHT = Check("nothing uncaught", "Nothing raises what nobody catches, and no step leaves the simulation.", _none)
STUCK = Check("L1 an end", "Every order comes to an end, or waits for somebody, once faults stop.", _none)
