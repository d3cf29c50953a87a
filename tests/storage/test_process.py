import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from atone.storage import Holder, is_gone, process, this_process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells enough about processes")


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that waits until its input is closed."""
    with subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process_:
        yield process_


def named(pid: int) -> Holder:
    """Another process, as it would name itself."""
    state = process._state(pid)
    assert state is not None
    return evolve(this_process("i"), pid=pid, started=state[1])


def test_this_process_is_named_and_lives() -> None:
    """Every part of the name is there, and the process knows that it is not dead."""
    holder = this_process("instance")
    assert (holder.instance, holder.pid) == ("instance", os.getpid())
    assert all((holder.machine, holder.boot, holder.namespace, holder.started))
    assert is_gone(holder) is False


def test_ended_process_is_gone(child: subprocess.Popen[bytes]) -> None:
    """A living child is not gone; killed it is, as a zombie and after it was reaped."""
    holder = named(child.pid)
    assert is_gone(holder) is False
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert is_gone(holder) is True
    child.wait()
    assert is_gone(holder) is True


def test_number_that_was_used_again_is_gone() -> None:
    """The same pid with another start is another process."""
    assert is_gone(evolve(this_process("i"), started="1")) is True


def test_boot_before_is_gone() -> None:
    """Nothing survives a reboot of its machine."""
    assert is_gone(evolve(this_process("i"), boot="before")) is True


@pytest.mark.parametrize(
    "unknown", [{"machine": "x"}, {"namespace": "x"}, {"machine": ""}, {"boot": ""}, {"started": ""}]
)
def test_process_elsewhere_cannot_be_told(unknown: dict[str, Any]) -> None:
    """Another machine or another container says nothing about the pid."""
    assert is_gone(evolve(this_process("i"), **unknown)) is None


def test_process_that_proc_hides_cannot_be_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where /proc shows no other processes, one that exists is not called dead."""
    holder = named(os.getppid())

    def hidden(pid: int) -> None:
        return None

    monkeypatch.setattr(process, "_state", hidden)
    assert is_gone(evolve(holder, started="1")) is None


def test_name_with_brackets_is_read_rightly(tmp_path: Path) -> None:
    """A process may call itself anything, brackets and blanks too."""
    program = tmp_path / "a) S 1 (b"
    program.symlink_to("/bin/cat")
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as odd:
        assert is_gone(named(odd.pid)) is False
        assert named(odd.pid).started.isdigit()


def test_without_proc_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a system without /proc, holders can be named and are judged by their heartbeat alone."""
    monkeypatch.setattr(process, "_PROC", tmp_path)
    holder = this_process("i")
    assert (holder.boot, holder.namespace, holder.started) == ("", "", "")
    assert is_gone(holder) is None
