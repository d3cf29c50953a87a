"""What a test run asks of every crash test; the pytest plugin sets it, and without pytest nothing does."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field


@define
class Settings:
    """Options of a run, and the sum of what was done in it."""

    seed: int | None = None  #: instead of each test's own
    crash: str | None = None  #: the only history to be run, such as `"charge=refused@17"`
    crashes: int | None = None  #: how often the process dies in one history, instead of each test's own
    budget: float | None = None  #: seconds for each test
    test: str = ""  #: the test that runs now, for the command that repeats a failure
    progress: Callable[[str], None] = lambda _text: None
    lines: list[str] = field(factory=list)  #: one for each crash test that was run


#: Of this process.
settings = Settings()
