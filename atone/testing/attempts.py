"""What must hold of attempts: how they begin, and what their ends may mean. Each check yields what it found instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from ..sagas.progress import Work
from ..sagas.runner import NO_ANSWER
from .evidence import Evidence
from .journal import GivenUp
from .trail import Trail

#: How history names the ends of attempts: the work, and whether it succeeded.
_ENDS = {
    "RETURNED": "action",
    "REFUSED": "action",
    "IN_DOUBT": "action",
    "PROBE_HAPPENED": "probe",
    "PROBE_REFUSED": "probe",
    "PROBE_IN_DOUBT": "probe",
    "PROBE_DID_NOT_HAPPEN": "probe",
    "PROBE_NEVER_WILL_HAPPEN": "probe",
    "PROBE_STILL_UNKNOWN": "probe",
    "COMPENSATION_RETURNED": "compensation",
    "COMPENSATION_REFUSED": "compensation",
    "COMPENSATION_IN_DOUBT": "compensation",
}
#: Ends after which nobody knows whether there was an effect.
_DOUBT = {"IN_DOUBT", "PROBE_IN_DOUBT", "COMPENSATION_IN_DOUBT"}
#: Nor after these: whoever did the work was cut off from it.
_OPEN = {*_DOUBT, "INTERRUPTED"}
_ANY_END = {*_ENDS, *_OPEN}
#: Ends that use up the attempts of a policy.
_USES_UP = {"IN_DOUBT": Work.ACTION, "REFUSED": Work.ACTION, "COMPENSATION_IN_DOUBT": Work.COMPENSATION}
_REFUSALS = {"REFUSED", "PROBE_REFUSED", "COMPENSATION_REFUSED"}
#: What the engine says of an attempt that did not answer in time.
_TIMED_OUT = f"TimeoutError: {NO_ANSWER}"
#: What says that the process, the task or the machine is in trouble, and nothing of the step's business.
_CUT_OFF = {"CancelledError", "KeyboardInterrupt", "SystemExit", "GeneratorExit", "MemoryError", "RecursionError"}
_DYING = {"KeyboardInterrupt", "SystemExit"}


def unannounced(trail: Trail) -> Iterator[str]:
    """Attempts that were begun twice or out of turn, and ends of attempts that never began."""
    seen: dict[tuple[str, str, int], int] = {}
    for intent in trail.intents:
        place = (intent.step, intent.work, intent.number)
        if place in seen:
            yield f"{intent.step}/{intent.work}/{intent.number} was begun twice"
        elif intent.number != 1 and (intent.step, intent.work, intent.number - 1) not in seen:
            yield f"{intent.step}/{intent.work}/{intent.number} was begun without the attempt before it"
        seen[place] = intent.seq
    ended: set[tuple[str, str, int]] = set()
    for row in trail.rows:
        work = _ENDS.get(row.entry.event)
        if work is None or row.entry.step is None or row.entry.attempt is None:
            continue
        place = (row.entry.step, work, row.entry.attempt)
        words = f"{row.entry.event} of {row.entry.step}, attempt {row.entry.attempt},"
        if seen.get(place, row.seq) >= row.seq:
            yield f"{words} was never begun before"
        if place in ended:
            yield f"{words} is the second end of that attempt"
        ended.add(place)


def over_before_begun(trail: Trail) -> Iterator[str]:
    """Attempts that were over in the very commit which announced them: nothing of them had been sent.

    What an end makes begin is announced by its own line, or a later one.
    """
    for row in trail.rows:
        entry = row.entry
        if entry.event in _ANY_END:
            its = [one for one in trail.intents if (one.step, one.number) == (entry.step, entry.attempt)]
            works = {_ENDS[entry.event]} if entry.event in _ENDS else {one.work for one in its}
            if any(one.revision == row.revision and one.seq < row.seq and one.work in works for one in its):
                yield f"{entry.event} of {entry.step}, attempt {entry.attempt}, is in the commit that announced it"


def sure_of_a_timeout(trail: Trail) -> Iterator[str]:
    """Attempts that did not answer in time, of which history claims to know the end."""
    for row in trail.rows:
        entry = row.entry
        if entry.event in _ENDS and entry.event not in _DOUBT and (entry.error or "").startswith(_TIMED_OUT):
            yield f"{entry.step}, attempt {entry.attempt}, did not answer in time, and history says {entry.event}"
        elif entry.event == "LATE" and (entry.note is None or entry.note.islower()):
            ends = {
                one.entry.event for one in trail.rows
                if one.seq < row.seq and (one.entry.step, one.entry.attempt) == (entry.step, entry.attempt)
                and one.entry.event in _ANY_END
            }  # fmt: skip
            if ends and not ends & _OPEN:
                yield f"{entry.step}, attempt {entry.attempt}, came late, and was {' and '.join(sorted(ends))} before"


def answered_in_vain(evidence: Evidence) -> Iterator[tuple[str | None, str]]:
    """Attempts that the engine had given up, and whose end it claims to know all the same."""
    for event in evidence.journal.of(GivenUp):
        sender = event.sender
        trail = evidence.trails.get(sender.order)
        for row in trail.rows if trail is not None else ():
            entry = row.entry
            its = (entry.step, entry.attempt, _ENDS.get(entry.event)) == (sender.step, sender.number, sender.work)
            if its and entry.event not in _DOUBT:
                yield sender.order, f"{sender} did not answer in time, and history says {entry.event}"


def blamed_on_the_step(trail: Trail) -> Iterator[str]:
    """Troubles of the process that were taken for a refusal; and anything that a dying process has recorded."""
    for row in trail.rows:
        kind = (row.entry.error or "").partition(":")[0]
        if kind in _DYING or (kind in _CUT_OFF and row.entry.event in _REFUSALS):
            yield f"{row.entry.event} of {row.entry.step}, attempt {row.entry.attempt}, is put down to {kind}"


def too_often(trail: Trail) -> Iterator[str]:
    """Steps that were tried more often than their policy allows, since a person last asked for more."""
    tries: Counter[tuple[str, Work]] = Counter()
    for row in trail.rows:
        entry = row.entry
        work, step = _USES_UP.get(entry.event), entry.step
        if work is not None and step is not None:
            tries[step, work] += 1
            place = trail.place(step) if tries[step, work] > 1 else None
            if trail.saga is not None and place is not None:
                most = trail.saga.retry(place, work).attempts
                if tries[step, work] > most:
                    yield f"{step} was tried {tries[step, work]} times, as {work.name.lower()}, and may be {most} times"
        elif entry.event == "RETRY" and (entry.note or "").startswith("ACCEPTED"):
            tries.clear()
