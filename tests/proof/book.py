"""What truly happened outside, kept where no fault reaches: the effects of steps, and the answers that clients got.

One line is one fact, appended by one `write`. So the order of the lines is the truth, several processes need no lock
between them, and a process that is killed or stopped leaves no half line and holds nobody up.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from attrs import define, field

from atone import PermanentError, StepContext

from . import iolog


@define
class Effects:
    """What a run of lines adds up to.

    Participants promise that a repeat under a known key changes nothing, and that what undoes an action closes that
    action's key for ever.
    """

    calls: defaultdict[str, int] = field(factory=lambda: defaultdict(int))
    effective: defaultdict[str, int] = field(factory=lambda: defaultdict(int))
    closed: set[str] = field(factory=set)
    keys: defaultdict[tuple[str, str], set[str]] = field(factory=lambda: defaultdict(set))  #: of an order and a step

    def add(self, line: str) -> None:
        """Take note of one more fact."""
        match line.split(" "):
            case ["do", order, step, _, key, _]:
                self.calls[key] += 1
                self.keys[order, step].add(key)
                if key not in self.closed:
                    self.effective[key] = 1
            case ["undo", _, _, _, _, action_key]:
                self.effective[action_key] = 0
                self.closed.add(action_key)
            case _:
                pass

    def happened(self, order: str, step: str) -> int:
        """How many effects of a step remain; more than one, too, where its key was not the same each time."""
        return sum(self.effective[key] for key in self.keys[order, step])

    @classmethod
    def of(cls, lines: Iterable[str]) -> Self:
        """The sum of these lines."""
        effects = cls()
        for line in lines:
            effects.add(line)
        return effects


class Book:
    """The open book, as one process sees it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._effects = Effects()
        self._seen = 0

    def close(self) -> None:
        """Let go of the file."""
        os.close(self._file)

    def write(self, *words: object) -> None:
        """Add a fact; it is there when this returns, and everything before it was read."""
        line = " ".join(map(str, words))
        os.write(self._file, f"{line}\n".encode())
        iolog.note(line)
        end = os.lseek(self._file, 0, os.SEEK_CUR)  # behind our own line: appending moves the place there
        for earlier in os.pread(self._file, end - self._seen, self._seen).decode().splitlines():
            self._effects.add(earlier)
        self._seen = end

    def do(self, context: StepContext) -> int:
        """Carry an action out, once, and say for the how manieth time it was asked for."""
        self.write("do", context.order_id, context.step, context.attempt, context.key, context.epoch)
        if context.key in self._effects.closed:
            raise PermanentError("this comes too late: its key is closed")
        return self._effects.calls[context.key]

    def undo(self, context: StepContext) -> None:
        """Take an action back, if it ever happened, and close its key."""
        self.write("undo", context.order_id, context.step, context.attempt, context.key, context.action_key)


def read(path: Path) -> list[str]:
    """All facts so far."""
    return path.read_text().splitlines() if path.exists() else []
