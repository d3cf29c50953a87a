"""A process that opens the file once more must not cost a live host its locks, and with them its log."""

import subprocess
import sys
from pathlib import Path

import pytest

from atone.storage import SqliteStore

pytestmark = pytest.mark.anyio

VISITOR = """
import sqlite3, sys
visit = sqlite3.connect(sys.argv[1])
visit.execute("select count(*) from actors").fetchone()
visit.close()
"""


async def test_a_second_opening_keeps_the_locks_of_the_first(tmp_path: Path) -> None:
    """POSIX drops a process's locks on a file when it closes any descriptor of it; a visitor would delete the log."""
    path = tmp_path / "orders.db"
    host, guest = SqliteStore(path), SqliteStore(path)
    await host.open()
    await guest.open()
    log = tmp_path / "orders.db-wal"
    before = log.stat().st_ino

    subprocess.run([sys.executable, "-c", VISITOR, str(path)], check=True, timeout=30)  # noqa: ASYNC221  # short

    assert before == log.stat().st_ino
    await guest.close()
    await host.close()
