from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from subprocess import CalledProcessError

import pytest

from benchmarks.peers import catalogue
from benchmarks.peers.cluster import Cluster, NoPostgres


def test_a_peer_that_cannot_be_installed_is_unable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says the last line of what the installer said, and the run goes on without it."""

    def refuse(*command: str) -> None:
        raise CalledProcessError(1, command, stderr="looking\nERROR: no such package\n")

    monkeypatch.setattr(catalogue, "_call", refuse)
    with ExitStack() as stack:
        system = catalogue.ready("restate", tmp_path, stack)
    assert system.unable == "cannot be made ready: ERROR: no such package"


def test_a_peer_whose_server_is_missing_is_unable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Postgres comes with the system, or does not."""

    def missing() -> Cluster:
        raise NoPostgres("no Postgres here")

    monkeypatch.setattr(catalogue, "_call", lambda *_: (tmp_path / "peers" / "dbos").mkdir(parents=True, exist_ok=True))
    monkeypatch.setattr(Cluster, "running", missing)
    with ExitStack() as stack:
        system = catalogue.ready("dbos-postgres", tmp_path, stack)
    assert system.unable == "cannot be made ready: no Postgres here"


def test_a_peer_is_installed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until what it needs changes; the environment is then made anew."""
    commands: list[tuple[str, ...]] = []

    def call(*command: str) -> None:
        commands.append(command)
        (tmp_path / "home").mkdir(exist_ok=True)

    monkeypatch.setattr(catalogue, "_call", call)
    first, second = catalogue.Peer("synced", ("one==1",)), catalogue.Peer("synced", ("one==2",), ("server@1",))
    catalogue.install(first, tmp_path / "home")
    catalogue.install(first, tmp_path / "home")
    assert len(commands) == 2
    assert "one==1" in commands[1]
    catalogue.install(second, tmp_path / "home")
    assert len(commands) == 5
    assert commands[-1][0] == "npm"


def test_the_baseline_by_hand_needs_nothing(tmp_path: Path) -> None:
    """It runs in this project's environment."""
    with ExitStack() as stack:
        assert catalogue.ready("plain", tmp_path, stack).unable is None
    assert list(tmp_path.iterdir()) == []
