"""Each function of a step tried alone, in the ways that a crash would try it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import define

from ..sagas import DidNotHappen, Happened, NeverWillHappen, PermanentError, Step
from .outcomes import Fate
from .spy import Flaw
from .stage import Stage

#: What may become of a request without effect, and how it is said.
_TROUBLES = {Fate.LOST: "was lost", Fate.REFUSED: "was refused", Fate.HANG: "got no answer"}
#: Requests of one function that are disturbed, one in each trial: where there are more, the first and the last.
_MOST = 20


@define(eq=False)
class Trial:
    """What is known of the step that is tried."""

    index: int
    step: Step[..., Any]
    stage: Callable[[], Stage]  #: a new world, in which all steps before this one succeeded
    note: Callable[[Flaw, str], None]

    def _left(self, stage: Stage, before: Counter[tuple[str, str]]) -> str:
        """What stands that did not stand before."""
        return ", ".join(sorted({name for name, _ in stage.effects() - before}))


class ActionTrial(Trial):
    """An action, called twice and without its answers."""

    def run(self) -> None:
        """Try it."""
        self._twice()
        self._unanswered()

    def _twice(self) -> None:
        stage, name = self.stage(), self.step.name
        if not stage.act(self.index):
            return
        effects, keys = stage.effects(), list(stage.patience.sent)
        if not stage.act(self.index, attempt=2, quietly=True):
            self.note(Flaw.NOT_IDEMPOTENT, f"step {name!r} raised {stage.error!r} when it was called again")
            return
        again = [one for one in stage.patience.sent[len(keys) :] if one not in keys]
        if again:
            first = [one for one in keys if one[0] == again[0][0]] or keys
            used = f" under {first[-1][1]!r}" if first else " not at all"
            self.note(
                Flaw.KEY_VARIES, f"step {name!r} called {again[0][0]}{used}, and at attempt 2 under {again[0][1]!r}"
            )
        elif stage.effects() != effects:
            self.note(
                Flaw.NOT_IDEMPOTENT, f"step {name!r} was called twice under one key: {self._left(stage, effects)} twice"
            )
        for call, said, other in stage.varied():
            self.note(
                Flaw.REQUEST_VARIES, f"step {name!r} called {call}({said}), and under the same key {call}({other})"
            )

    def _unanswered(self) -> None:
        """Let each of its requests in turn take effect without an answer: at once, and when nobody waits for it."""
        asked = self.stage()
        before, first = asked.effects(), len(asked.patience.sent)
        asked.act(self.index, quietly=True)
        for call, number in _numbered(asked.patience.sent[first:]):
            self._lose(call, number, before)
            self._delay(call, number, before)

    def _lose(self, call: str, number: int, before: Counter[tuple[str, str]]) -> None:
        """A step must not say then that nothing happened."""
        stage = self.stage()
        stage.disturb(call, number, Fate.APPLIED_ANSWER_LOST)
        if not stage.act(self.index, quietly=True):
            self._denies(stage, before, f"the answer of {call} was lost")

    def _delay(self, call: str, number: int, before: Counter[tuple[str, str]]) -> None:
        """A step must end when its timeout has come, and not take its own for a refusal: the request still arrives."""
        stage = self.stage()
        stage.disturb(call, number, Fate.LATE)
        succeeded = stage.act(self.index, quietly=True)
        stage.wait()
        if not succeeded:
            self._denies(stage, before, f"{call} took effect late")
        if stage.patience.overtime:
            what = f"called {stage.patience.overtime[0]} after its timeout: let asyncio.CancelledError out"
            self.note(Flaw.LINGERS, f"step {self.step.name!r} got no answer of {call}, and {what}")

    def _denies(self, stage: Stage, before: Counter[tuple[str, str]], when: str) -> None:
        left = self._left(stage, before)
        if left and isinstance(stage.error, PermanentError):
            self.note(Flaw.RAISES, f"step {self.step.name!r} raised {stage.error!r} when {when}, and {left} stands")


class UndoTrial(Trial):
    """A compensation, with the result and without it, without its action, and in trouble."""

    def run(self) -> None:
        """Try it."""
        stage, what = self.stage(), f"the compensation of {self.step.name!r}"
        before = stage.effects()
        if not stage.act(self.index, quietly=True):
            return
        if self.step.read_only:
            self._compare(before, stage, f"step {self.step.name!r} says read_only=True")
            return
        if not stage.undo(self.index, what, Flaw.RAISES):
            return
        sound = self._compare(before, stage, f"{what} has run")
        stage.undo(self.index, f"{what}, called twice,")
        stage = self.stage()
        if stage.act(self.index, quietly=True):
            stage.values.pop(self.index, None)
            if stage.undo(self.index, f"{what}, called with None after its action,") and sound:
                words = f"{what} has run with None for the result, as after a lost answer"
                sound = self._compare(before, stage, words)
        self._early(what, sound=sound)
        asked = self._in_trouble(what, known=True)
        self._in_trouble(what, known=False, but=asked)

    def _early(self, what: str, *, sound: bool) -> None:
        """Undo what never happened, or not yet: where its request comes after that, it must be refused."""
        stage = self.stage()
        before = stage.effects()
        if not stage.undo(self.index, f"{what}, called although it never happened,") or not sound:
            return
        stage.note = lambda _flaw, _detail: None  # the action is not on trial here
        stage.act(self.index, quietly=True)
        left = ", ".join(sorted({name for name, _ in stage.effects() - before if stage.closes_keys(name)}))
        if left:
            self.note(
                Flaw.MISSING_COMPENSATION,
                f"{what} has run before the request of its action came, and {left} stands then: "
                "ask for the undo in any case, which closes the key",
            )

    def _in_trouble(self, what: str, *, known: bool, but: Sequence[tuple[str, int]] = ()) -> list[tuple[str, int]]:
        """Let each of its requests fail in turn: it must not return then, as long as its action's effect stands."""
        stage, done, first = self._acted(known=known)
        stage.undo(self.index, what, quietly=True)
        kept, requests = stage.effects(), _numbered(stage.patience.sent[first:])
        for request in requests:
            if request not in but:
                self._fail(request, what, known=known, owed=done - kept)
        return requests

    def _fail(self, request: tuple[str, int], what: str, *, known: bool, owed: Counter[tuple[str, str]]) -> None:
        call, number = request
        for fate, words in _TROUBLES.items():
            stage, _, _ = self._acted(known=known)
            stage.disturb(call, number, fate)
            if stage.undo(self.index, what, quietly=True) and stage.effects() & owed:
                left = ", ".join(sorted({name for name, _ in stage.effects() & owed}))
                self.note(
                    Flaw.SWALLOWS, f"{what} returned although {call} {words}, and {left} stands: let the error out"
                )
                return

    def _acted(self, *, known: bool) -> tuple[Stage, Counter[tuple[str, str]], int]:
        """A world in which its action has happened, what stands there, and how many requests that took."""
        stage = self.stage()
        stage.act(self.index, quietly=True)
        if not known:
            stage.values.pop(self.index, None)
        return stage, stage.effects(), len(stage.patience.sent)

    def _compare(self, before: Counter[tuple[str, str]], stage: Stage, what: str) -> bool:
        """Whether nothing stands that did not stand before."""
        left = self._left(stage, before)
        if left:
            self.note(Flaw.MISSING_COMPENSATION, f"{what}, and {left} stands{stage.astray()}")
        return not left


class ProbeTrial(Trial):
    """A probe, before its action and after it."""

    def run(self) -> None:
        """Try it."""
        if self._before():
            self._after()

    def _before(self) -> bool:
        """Whether it gave a sound answer. What has an effect only afterwards had not happened, and was possible."""
        stage, when = self.stage(), "before its action"
        before = stage.effects()
        answer = stage.probe(self.index, when)
        stage.act(self.index, quietly=True)
        left = self._left(stage, before)
        if left and isinstance(answer, Happened):
            self._wrong(when, "Happened", f"{left} had not happened yet")
        elif left and isinstance(answer, NeverWillHappen):
            self._wrong(when, "NeverWillHappen", f"{left} took effect after it: close the key, or say DidNotHappen()")
        return answer is not None

    def _after(self) -> None:
        stage, when = self.stage(), "after its action"
        before = stage.effects()
        stage.act(self.index, quietly=True)
        stage.values.pop(self.index, None)
        answer = stage.probe(self.index, when)
        left = self._left(stage, before)
        if left and isinstance(answer, DidNotHappen | NeverWillHappen):
            self._wrong(when, type(answer).__name__, f"{left} stands{stage.unlooked()}")

    def _wrong(self, when: str, said: str, what: str) -> None:
        self.note(Flaw.PROBE, f"the probe of {self.step.name!r}, called {when}, answered {said}, and {what}")


def _numbered(calls: Iterable[tuple[str, str]]) -> list[tuple[str, int]]:
    """Each distinct request: what it calls, and its number among those that call the same."""
    seen: Counter[str] = Counter()
    found: dict[tuple[str, str], int] = {}
    for call in calls:
        found.setdefault(call, seen[call[0]])
        seen[call[0]] += 1
    numbered = [(name, number) for (name, _), number in found.items()]
    half = _MOST // 2
    return numbered if len(numbered) <= _MOST else [*numbered[:half], *numbered[-half:]]
