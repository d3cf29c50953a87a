"""The simulated layers at their smallest: they reach everything, find nothing, and find what was planted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Literal

import pytest

from atone.actors.actor import Actor
from tests.proof import exhaustive, machines, swarm
from tests.proof.counts import Counts
from tests.proof.processes import Process
from tests.proof.tickets import Participant

pytestmark = pytest.mark.timeout(120)

Kind = Literal["memory", "sqlite"]
_ROOT = Path(__file__).parents[2]
#: what a small run must have met: kinds of places, faults, ends, reasons to park, verbs, answers
SOMETIMES = {
    "crash", "process: doomed in its recovery", "process: doomed at a commit", "process: left",
    "process: stopped", "clock: jumped", "disk: busy", "disk: failed", "disk: unknown", "disk: full", "disk: read",
    "disk: row refused", "client: Died", "client: started twice", "send: DUPLICATE", "send: NEVER_EXPECTED",
    "send: ALREADY_FINISHED", "cancel: ACCEPTED", "cancel: TOO_LATE", "cancel: ALREADY_CANCELLING",
    "cancel: ALREADY_FINISHED", "suspend: ACCEPTED", "resume: ACCEPTED", "retry IN_DOUBT: ACCEPTED",
    "resolve IN_DOUBT: ACCEPTED", "retry STEP: ACCEPTED", "resolve STEP: ACCEPTED", "skip STEP: ACCEPTED",
    "retry COMPENSATION: ACCEPTED", "skip COMPENSATION: ACCEPTED", "resolve COMPENSATION: ACCEPTED",
    "park: IN_DOUBT", "park: STEP", "park: COMPENSATION", "park: PREDICATE", "event: QUARANTINED",
    "event: LATE", "event: OVERLAP", "event: DEADLINE", "event: TIMEOUT", "event: INTERRUPTED",
    "event: PROBE_HAPPENED", "event: PROBE_NEVER_WILL_HAPPEN", "event: PROBE_DID_NOT_HAPPEN",
    "event: PROBE_STILL_UNKNOWN", "place: plain", "place: read-only", "place: unrepeatable", "place: probe",
    "place: closing probe", "place: clueless probe", "place: unrepeatable probe", "place: stubborn", "place: thread",
    "place: receive", "status: COMPLETED", "status: COMPENSATED", "status: ABANDONED", "status: PARKED",
    "all ended",
}  # fmt: skip


def test_a_small_swarm_reaches_everything_and_finds_nothing() -> None:
    """Every kind of fault, place, end and park was met, and every promise held."""
    happened: Counter[str] = Counter()
    for index in range(90):
        season = swarm.play(f"9/{index}")
        happened += season.happened
        assert season.judge() == [], index
        season.close()
    assert {what for what in SOMETIMES if not happened[what]} == set()


def test_a_swarm_on_files_finds_nothing() -> None:
    """The same on the real store."""
    for index in range(6):
        season = swarm.play(f"9/{index}", "sqlite")
        assert season.judge() == [], index
        season.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_the_same_index_is_the_same_run(kind: Kind) -> None:
    """In this process and in another one, whose hashes are others."""
    program = f"from tests.proof.test_swarm import traces; print(*traces({kind!r}))"
    environment = os.environ | {"PYTHONPATH": str(_ROOT), "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-W", "ignore", "-c", program]
    other = subprocess.run(command, env=environment, cwd=_ROOT, capture_output=True, text=True, check=True)
    assert traces(kind) == traces(kind) == other.stdout.split()


def traces(kind: Kind) -> list[str]:
    """What some runs did."""
    found: list[str] = []
    for index in (3, 4, 11):
        season = swarm.play(f"1/{index}", kind)
        found.append(swarm.trace(season))
        season.close()
    return found


def test_what_nobody_retrieves_counts_unless_its_process_is_dead() -> None:
    """A death excuses what the dead have left, and nothing of the living."""
    season = swarm.play("9/1", orders=1)
    living, dead = Process(98, season.loop), Process(99, season.loop)
    dead.dead = True
    for process in (living, dead):
        future = process.context.run(season.loop.create_future)
        future.set_exception(LookupError(f"of {process.number}"))
        del future
    assert ["of 98" in one.detail for one in season.judge()] == [True]
    season.close()


def test_an_actor_that_crashes_is_found_although_it_is_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a supervisor heals is a fault of the engine all the same."""
    real, crashes = Actor._decide, [LookupError("planted")]

    def decide(self: Actor[Any], now: float) -> Any:
        if crashes and self.revision > 1:
            raise crashes.pop()
        return real(self, now)

    monkeypatch.setattr(Actor, "_decide", decide)
    season = swarm.play("9/1")
    assert [(one.check, "planted" in one.detail) for one in season.judge()] == [("nothing uncaught", True)]
    season.close()


def test_participants_without_tombstones_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A charge that comes after its refund stays."""
    init = Participant.__init__

    def forget(self: Participant, *, keys: bool = True) -> None:
        init(self, keys=keys)
        self.tombstones = False

    monkeypatch.setattr(Participant, "__init__", forget)
    names: Counter[str] = Counter()
    for index in range(40):
        season = swarm.play(f"9/{index}")
        names.update(one.check for one in season.judge())
        season.close()
        if names["S2 net zero"]:
            break
    assert names["S2 net zero"] > 0


def test_every_crash_point_is_dealt_and_a_share_of_them_holds() -> None:
    """All shares together are all points; one share is tried here."""
    points = list(exhaustive._points(1))
    assert sum(len(points[share :: exhaustive.SHARES]) for share in range(exhaustive.SHARES)) == len(points)
    assert {point.saga for point in points} == set(exhaustive.TRIALS)
    counts = Counts()
    for point in points[7 :: 10 * exhaustive.SHARES]:
        exhaustive._kill(1, point, counts)
    assert counts.violations == []
    assert counts.crash_points == counts.histories > 0


def test_a_few_machines_find_nothing(tmp_path: Path) -> None:
    """Hypothesis looks, and shrinks nothing."""
    counts = machines.prepare(1, machines.PER_CASE, tmp_path)(0)
    assert counts.violations == []
    assert counts.examples >= machines.PER_CASE
