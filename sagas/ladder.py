"""How the end of an attempt is recorded, and how doubt is worked off, rung by rung.

An attempt that *returned* succeeded. One that was *refused* certainly had no effect, but says nothing of an
earlier one in doubt: it ends the retries and clears nothing. Every other end leaves the step in doubt: ask the
probe; send it again under the same key; and where both are used up, give up: the step stays in doubt.
What a step that was given up means for its order is not decided here but in `plan`.
"""

from __future__ import annotations

from ..actors import Resumed
from .draft import Draft
from .events import Ended, Finding, Late, Probed, Refused, Returned, Run, Unknown
from .progress import Failure, ParkReason, StepStatus, Work
from .retry import MOST_ATTEMPTS

#: An order that was at work at so many deaths of the process in a row is parked.
DEATHS_PARKED = 10

#: How the history names the kinds of work, in the order of `Work`.
_PREFIXES = ("", "PROBE_", "COMPENSATION_")
_CUT_OFF = Failure("Interrupted", "the attempt was cut off, and may have had its effect")


def ended(draft: Draft, event: Ended) -> None:
    """Record the end of an attempt; one that the order no longer waits for is only noted."""
    slot = draft.progress.slots[event.slot]
    if not slot.running or slot.work is not event.work or slot.sent[event.work] != event.number:
        draft.note("LATE", event.slot, event.number, remark=_words(event))
        return
    if draft.progress.deaths and _clears_deaths(draft, event):
        draft.progress.deaths = 0
    failure = None if isinstance(event.how, Returned) else event.how.failure
    draft.note(_words(event), event.slot, event.number, failure=failure)
    if isinstance(event.how, Unknown):
        draft.slot(event.slot).lingers = event.how.lingers
    if event.work is Work.COMPENSATION:
        _undone(draft, event.slot, event.how)
    elif isinstance(event.how, Returned):
        _succeeded(draft, event.slot, event.how.result)
    elif event.work is Work.PROBE:
        _probed(draft, event.slot, event.how)
    else:
        _not_done(draft, event.slot, event.how)


def _clears_deaths(draft: Draft, event: Ended) -> bool:
    """Whether this end shows that the process survives the order.

    A probe says nothing of the action that it asks about, and a member of a group nothing of those still under way.
    """
    return event.work is not Work.PROBE and sum(slot.running for slot in draft.progress.slots) == 1


def _words(event: Ended) -> str:
    what = _PREFIXES[event.work]
    match event.how:
        case Returned():
            return what + ("HAPPENED" if event.work is Work.PROBE else "RETURNED")
        case Refused():
            return what + "REFUSED"
        case Probed(finding):
            return what + finding
        case Unknown(counted=counted):
            return what + ("IN_DOUBT" if counted else "INTERRUPTED")


def late(draft: Draft, event: Late) -> None:
    """Record that a timed-out attempt has really ended. A late answer never changes a result."""
    slot = draft.progress.slots[event.slot]
    latest = Work.COMPENSATION if slot.sent[Work.COMPENSATION] else Work.ACTION
    if event.work is latest and slot.sent[latest] == event.number and not slot.running:
        draft.slot(event.slot).lingers = None
    draft.note("LATE", event.slot, event.number, remark=event.answer)


def resumed(draft: Draft, event: Resumed) -> None:
    """Every attempt in flight that did not live on was cut off: it is in doubt, and costs no budget.

    One that lives on although it has timed out is no longer waited for.
    """
    draft.note("RESUMED", remark="the process died" if event.died else None)
    draft.progress.deaths += event.died
    known = {Run(one.slot, one.work, one.number) for one in event.kept if isinstance(one, Ended)} | event.alive
    timed_out = {Run(one.slot, one.work, one.number): one for one in event.alive if isinstance(one, Ended)}
    lingering = {attempt.slot for attempt in event.alive if isinstance(attempt, (Run, Ended))}
    for index, slot in enumerate(draft.progress.slots):
        if slot.lingers is not None and index not in lingering:
            draft.slot(index).lingers = None
        if not slot.running or slot.work is None or (run := Run(index, slot.work, slot.sent[slot.work])) in known:
            continue
        if run in timed_out:
            ended(draft, timed_out[run])  # the report was lost when the order was set aside
        else:
            draft.note("INTERRUPTED", index, run.number)
            _cut_off(draft, index, run.work)
    if draft.progress.deaths >= DEATHS_PARKED and draft.progress.park is None:
        failure = Failure(
            "ProcessDied", f"the process died {draft.progress.deaths} times in a row with this order at work"
        )
        draft.park(ParkReason.CRASH_LOOP, None, failure)


def _cut_off(draft: Draft, index: int, work: Work) -> None:
    if work is Work.ACTION:
        _in_doubt(draft, index, _CUT_OFF)
        climb(draft, index, ask=True, delay=0.0)
    else:
        draft.schedule(index, work)


def _spend(draft: Draft, index: int, work: Work, how: Refused | Unknown | Probed | Returned) -> None:
    """Use up one attempt of the budget, unless it was cut off from outside."""
    if not isinstance(how, Unknown) or how.counted:
        draft.spend(index, work)


# ── actions ───────────────────────────────────────────────────────────────────────────────────────


def _succeeded(draft: Draft, index: int, result: bytes | None) -> None:
    draft.idle(index, StepStatus.SUCCEEDED).error = None
    draft.keeps = index if result is not None else None


def _not_done(draft: Draft, index: int, how: Refused | Unknown | Probed | Returned) -> None:
    assert isinstance(how, (Refused, Unknown))
    slot = draft.slot(index)
    _spend(draft, index, Work.ACTION, how)
    if isinstance(how, Unknown):
        _in_doubt(draft, index, how.failure)
        climb(draft, index, ask=True, delay=draft.delay(index, Work.ACTION) if how.counted else 0.0)
    elif slot.doubt and not draft.saga.step(index).read_only:
        # This refusal cannot speak for the earlier attempt: it ends the retries and clears nothing.
        slot.error = how.failure
        slot.status = StepStatus.IN_DOUBT
        draft.spend(index, Work.ACTION, MOST_ATTEMPTS)  # however many a later release allows
        climb(draft, index, ask=True, delay=0.0)
    else:
        slot.error = how.failure
        draft.idle(index, StepStatus.FAILED)


def _in_doubt(draft: Draft, index: int, failure: Failure) -> None:
    slot = draft.slot(index)
    slot.status, slot.error, slot.running = StepStatus.IN_DOUBT, failure, False
    slot.doubt = not draft.saga.step(index).read_only


def climb(draft: Draft, index: int, *, ask: bool, delay: float) -> None:
    """Take the next rung: probe, retry, or give up. Once the order turns back, only the debt counts."""
    slot = draft.slot(index)
    if draft.progress.reason is not None:
        give_up(draft, index)
    elif ask and slot.doubt and draft.saga.calls[index][Work.PROBE] is not None:
        draft.spend(index, Work.PROBE, 0)
        draft.schedule(index, Work.PROBE)
    elif draft.may_retry(index):
        draft.schedule(index, Work.ACTION, delay)
    else:
        give_up(draft, index)


def give_up(draft: Draft, index: int) -> None:
    """No rung is left. What that means for the order depends on the zone, and is the planner's to say."""
    slot = draft.slot(index)
    draft.idle(index, StepStatus.IN_DOUBT if slot.doubt else StepStatus.FAILED)


# ── probes ────────────────────────────────────────────────────────────────────────────────────────


def _probed(draft: Draft, index: int, how: Refused | Unknown | Probed | Returned) -> None:
    slot = draft.slot(index)
    slot.running = False
    slot.lingers = None  # a probe has no effect: nothing has to wait for its end
    finding = how.finding if isinstance(how, Probed) else Finding.STILL_UNKNOWN
    if finding is Finding.NEVER_WILL_HAPPEN:
        draft.idle(index, StepStatus.FAILED).doubt = False
        return
    if finding is Finding.STILL_UNKNOWN and draft.progress.reason is None:
        _spend(draft, index, Work.PROBE, how)
        if slot.spent[Work.PROBE] < draft.saga.retry(index, Work.PROBE).attempts:
            draft.schedule(index, Work.PROBE, draft.delay(index, Work.PROBE))
            return
    climb(draft, index, ask=False, delay=draft.delay(index, Work.ACTION))


# ── compensations ─────────────────────────────────────────────────────────────────────────────────


def _undone(draft: Draft, index: int, how: Refused | Unknown | Probed | Returned) -> None:
    slot = draft.slot(index)
    slot.running = False
    if isinstance(how, Returned):
        draft.idle(index, StepStatus.COMPENSATED)
        slot.undo_error = None
        return
    slot.undo_error = how.failure
    _spend(draft, index, Work.COMPENSATION, how)
    more = slot.spent[Work.COMPENSATION] < draft.saga.retry(index, Work.COMPENSATION).attempts
    if more and not isinstance(how, Refused):
        draft.schedule(index, Work.COMPENSATION, draft.delay(index, Work.COMPENSATION))
    else:
        draft.idle(index, StepStatus.COMPENSATING)
