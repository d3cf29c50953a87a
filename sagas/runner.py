"""Where the user's functions run: one task per attempt, a timeout each, and the truth about how it ended.

A timeout ends the waiting, not the attempt: it is in doubt at once, its task is cancelled, and until it has really
ended (or the grace is over) the planner sends nothing else under its key. No exception is trusted to mean that
nothing happened, except the one that says so.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, cast

from attrs import define, field

from ..actors import Runtime, Timers, within
from ..storage import Codec
from .attempt import Attempt
from .behaviour import WORDS, OrderState, failure
from .context import StepContext, idempotency_key
from .errors import PermanentError
from .events import Ended, Finding, Late, Overlap, Probed, Refused, Returned, Run, Unknown
from .progress import Failure, Work
from .saga import Saga
from .step import DidNotHappen, Happened, NeverWillHappen, StillUnknown

logger = logging.getLogger("atone")

#: What history says of an attempt that was given up, before the seconds.
NO_ANSWER = "no answer within "
#: Seconds that the two clocks may differ by without any of them having been set.
_ROUNDING = 0.001
_FINDINGS: dict[type, Finding] = {
    DidNotHappen: Finding.DID_NOT_HAPPEN,
    NeverWillHappen: Finding.NEVER_WILL_HAPPEN,
    StillUnknown: Finding.STILL_UNKNOWN,
}


@define(eq=False, repr=False)
class Runner:
    """Performs what the planner asks for, and reports how each attempt ended."""

    runtime: Runtime
    timers: Timers
    codec: Codec
    services: Mapping[Any, object]
    epoch: int
    overlap_grace: float  #: seconds
    post: Callable[[int, object], None] = field(init=False)
    _attempts: dict[int, tuple[Attempt, ...]] = field(factory=dict)
    #: those that were cut off and have not ended, by their places and tasks
    _stopped: dict[tuple[int, int], dict[asyncio.Task[None], Attempt]] = field(factory=dict)

    def perform(self, key: int, state: object, effects: tuple[object, ...]) -> None:
        """Begin attempts whose intent is on disk."""
        assert isinstance(state, OrderState)
        for run in effects:
            assert isinstance(run, Run)
            call = state.saga.calls[run.slot][run.work]
            if call is None:  # a probe that was there when it was asked for, and is not in the saga of today
                self.post(key, Ended(run.slot, run.work, run.number, Probed(Finding.STILL_UNKNOWN)))
                continue
            attempt = Attempt(self.runtime, self.expire, key, state, run, call)
            attempt.waits = not call.is_async or bool(self._before(attempt))
            self.timers.start(attempt, call.timeout)
            self._attempts[key] = (*self._attempts.get(key, ()), attempt)
            attempt.task = self.runtime.spawn(self._run(attempt))

    def alive(self, key: int) -> frozenset[Hashable]:
        """The attempts of an order that have not really ended; of one that timed out the report, should it be lost."""
        return frozenset([attempt.timed_out or attempt.run for attempt in self._attempts.get(key, ())])

    def stop(self, key: int) -> None:
        """Cut the attempts of an order off; they are in doubt when the order is taken up again.

        What runs in a thread goes on and reports its end as ever: nothing must be sent beside it.
        """
        for attempt in self._attempts.get(key, ()):
            self._stop(attempt)

    def stop_all(self) -> None:
        """Cut off every attempt."""
        for key in list(self._attempts):
            self.stop(key)

    def stop_unsent(self) -> None:
        """Cut off what still waits for an earlier attempt of its step to end: a leaving host sends nothing more."""
        for attempts in list(self._attempts.values()):
            for attempt in attempts:
                if attempt.waits and self._before(attempt):
                    self._stop(attempt)

    async def ended(self) -> None:
        """Wait until attempts that were cut off have run their `finally` blocks; await no thread."""
        for attempt in self._lingering():
            if attempt.in_thread:  # of a runner before this one: nothing will be sent beside it any more
                attempt.task.cancel()
        for attempts in list(self._attempts.values()):
            for attempt in attempts:
                self._cut_off(attempt)
        self._attempts.clear()
        if tasks := [attempt.task for attempt in self._lingering()]:
            await asyncio.wait(tasks)

    def follow(self, before: Runner) -> None:
        """Send nothing beside what the runner before this one, of another epoch, has left that has not ended."""
        for attempts in before._attempts.values():
            for attempt in attempts:  # in a thread: to cancel its task would not end it, and would hide that it runs
                before._give_up(attempt)
        before._attempts.clear()
        self._stopped = before._stopped

    def _stop(self, attempt: Attempt) -> None:
        attempt.stopped = True  # before it is asked whether it is in a thread, which says so first, and asks then
        if attempt.in_thread:
            attempt.stopped, attempt.unwanted = False, True
        else:
            self._forget(attempt)
            self._cut_off(attempt)

    def _cut_off(self, attempt: Attempt) -> None:
        self._give_up(attempt)
        attempt.task.cancel()

    def _give_up(self, attempt: Attempt) -> None:
        """Hear no more of it but that it has ended."""
        attempt.stopped = True
        self.timers.cancel(attempt)
        self._stopped.setdefault(attempt.place, {})[attempt.task] = attempt
        attempt.task.add_done_callback(partial(self._gone, attempt.place))

    def _gone(self, place: tuple[int, int], task: asyncio.Task[None]) -> None:
        ending = self._stopped[place]
        del ending[task]
        if not ending:
            del self._stopped[place]

    def _lingering(self) -> list[Attempt]:
        """All that were cut off and have not ended."""
        return [attempt for ending in self._stopped.values() for attempt in ending.values()]

    @property
    def busy(self) -> bool:
        """Whether any attempt is under way, or was cut off and may yet end; a thread that was left behind never may."""
        return bool(self._attempts) or any(not attempt.in_thread for attempt in self._lingering())

    async def _run(self, attempt: Attempt) -> None:
        """Call the user's function and report the end. KeyboardInterrupt and SystemExit are never recorded."""
        how: Returned | Refused | Unknown | Probed
        try:
            call = attempt.call
            if attempt.waits:
                await self._ending(attempt)
            if call.is_async:
                if attempt.waits:
                    attempt.begin()
                result = await call.function(**self._arguments(attempt))
            else:
                result = await self.runtime.in_thread(partial(attempt.call_in_thread, self._arguments(attempt)))
                if inspect.isawaitable(result):
                    result = await self._hidden(attempt, result)
            how = self._stored(attempt, result) if attempt.run.work is Work.ACTION else self._found(attempt, result)
        except PermanentError as error:
            how = Refused(failure(error))
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001  # whatever else it raises, the effect may have happened
            how = Unknown(failure(error), counted=not attempt.unwanted or attempt.in_thread)
        if not attempt.stopped:
            self._report(attempt, how)

    async def _hidden(self, attempt: Attempt, call: Awaitable[object]) -> object:
        """Make the call of an `async def` that a decorator hid: nothing has been done yet, and nothing is done late."""
        attempt.in_thread = False
        if attempt.timed_out or attempt.stopped or attempt.unwanted:
            if isinstance(call, Coroutine):
                call.close()
                msg = "the attempt was to end before its decorator had called it, and was not sent"
                raise TimeoutError(msg)
            attempt.task.cancel()  # it may be under way, and nobody could ask it to end as long as a thread had it
        return await call

    async def _ending(self, attempt: Attempt) -> None:
        """Wait until what was cut off of this step, or has timed out, has ended or has had its grace."""
        if before := self._before(attempt):
            with suppress(TimeoutError):
                async with within(self.runtime, max(map(self._grace, before.values()))):
                    await asyncio.wait(before)
        for other in (beside := self._before(attempt)).values():
            self.post(attempt.key, Overlap(other.run.slot, other.run.number))
        if beside:
            await asyncio.sleep(0)  # an order that crashes at this news is set aside, and this attempt cut off

    def _before(self, attempt: Attempt) -> dict[asyncio.Task[None], Attempt]:
        """What was cut off of its step and has not ended, or has timed out and still has some of its grace."""
        others = [one for one in self._attempts.get(attempt.key, ()) if one.place == attempt.place]
        return self._stopped.get(attempt.place, {}) | {one.task: one for one in others if self._grace(one) > _ROUNDING}

    def _grace(self, attempt: Attempt) -> float:
        """Seconds in which it may still end by itself.

        The planner counts those of one that timed out by the clock on the wall, which may be set: no money on that.
        A probe has no effect, and nothing waits for its end.
        """
        if attempt.stopped:
            return self.overlap_grace
        if attempt.expired is None or attempt.run.work is Work.PROBE:
            return 0.0
        return attempt.expired + self.overlap_grace - self.runtime.monotonic()

    def _arguments(self, attempt: Attempt) -> dict[str, object]:
        state, run = attempt.state, attempt.run
        binding = state.saga.bindings[run.slot][run.work]
        assert binding is not None, "what is called was bound"
        context = self._context(attempt) if binding.wants_context else _NOBODY
        return binding.arguments(context, state.input, state.values, self.services)

    def _context(self, attempt: Attempt) -> StepContext:
        state, run = attempt.state, attempt.run
        step = state.saga.slots[run.slot].name
        key = partial(idempotency_key, state.saga.name, state.id, step)
        action_key = key("action")
        own = action_key if run.work is Work.ACTION else key(WORDS[run.work])
        return StepContext(
            key=own, action_key=action_key, saga=state.saga.name, order_id=state.id, step=step,
            attempt=run.number, epoch=self.epoch,
        )  # fmt: skip

    def _found(self, attempt: Attempt, result: object) -> Returned | Probed:
        """What a probe has found out; a compensation returns nothing."""
        if attempt.run.work is Work.COMPENSATION:
            return Returned(None)
        if isinstance(result, Happened):
            return self._stored(attempt, cast("Happened[object]", result).result)
        if type(result) not in _FINDINGS:
            msg = f"a probe returned {type(result).__name__}: return Happened(result) or one of the other answers"
            raise TypeError(msg)
        return Probed(_FINDINGS[type(result)])

    def _stored(self, attempt: Attempt, result: object) -> Returned:
        """A result as it is stored, and as later steps get it; what this raises leaves the step in doubt."""
        saga, slot = attempt.state.saga, attempt.run.slot
        if result is None:
            return Returned(None)
        what = f"the result of step {saga.slots[slot].name!r}"
        return Returned(*self.codec.round_trip(result, saga.results[slot], what))

    def expire(self, attempt: Attempt) -> None:
        """The timeout: the attempt is in doubt now, and asked to end. A thread cannot be asked."""
        if (left := self._left(attempt)) > 0:
            self.timers.start(attempt, left)
            return
        error = Failure("TimeoutError", f"{NO_ANSWER}{attempt.call.timeout:g} s")
        lingers, run = self.runtime.now() + self.overlap_grace, attempt.run
        attempt.expired = self.runtime.monotonic()
        attempt.timed_out = Ended(run.slot, run.work, run.number, Unknown(error, lingers=lingers))
        self.post(attempt.key, attempt.timed_out)
        if not attempt.in_thread:
            attempt.task.cancel()

    def _left(self, attempt: Attempt) -> float:
        """Seconds that an attempt which had to wait still has: orders must not roll back because of a queue."""
        timeout = attempt.call.timeout
        if attempt.waits:
            name = attempt.state.saga.slots[attempt.run.slot].name
            what = "the attempt before it to end" if self._before(attempt) else "a worker thread"
            logger.warning("step %r of order %r has waited %g s for %s", name, attempt.state.id, timeout, what)
            return timeout
        return 0.0 if attempt.begun is None else attempt.begun + timeout - self.runtime.monotonic()

    def _report(self, attempt: Attempt, how: Returned | Refused | Unknown | Probed) -> None:
        run = attempt.run
        self._forget(attempt)
        if attempt.timed_out:
            answer = None if isinstance(how, Unknown) else type(how).__name__.lower()
            self.post(attempt.key, Late(run.slot, run.work, run.number, answer))
        else:
            self.timers.cancel(attempt)
            self.post(attempt.key, Ended(run.slot, run.work, run.number, how))

    def _forget(self, attempt: Attempt) -> None:
        others = self._attempts.pop(attempt.key)
        if len(others) > 1:
            self._attempts[attempt.key] = tuple([one for one in others if one is not attempt])


_NOBODY = StepContext(key="")


def result_bytes(codec: Codec, saga: Saga[Any], step: str, result: object) -> bytes | None:
    """The bytes of a result that an operator gives for a step; raises where a later step could not be given it."""
    index = next(i for i, slot in enumerate(saga.slots) if slot.name == step)
    what = f"the result of step {step!r}"
    if saga.results[index] is None:
        body = codec.encode(result, what)
    else:
        body, _ = codec.round_trip(result, saga.results[index], what)
    return None if result is None else body
