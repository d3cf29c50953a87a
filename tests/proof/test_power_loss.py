"""How images are judged: by what SQLite makes of them, and by the book."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from tests.proof.iolog import Operation
from tests.proof.power_loss import Met, Recording, Verdicts, lay_out


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """A database that can be changed."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as opened:
        opened.execute("create table content (value)")
        yield opened


def test_the_same_pages_are_judged_once_and_other_pages_or_promises_anew(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verdict on an image is never that on another database, or on another book."""

    def kept(found: sqlite3.Connection, lines: Sequence[str]) -> list[str]:
        asked.append((found.execute("select count(*) from content").fetchone()[0], len(lines)))
        return [f"verdict {len(asked)}"]

    asked: list[tuple[int, int]] = []
    monkeypatch.setattr("tests.proof.oracle.kept", kept)
    verdicts, lines = Verdicts(), ["asked x"]
    assert verdicts.kept(db, lines) == verdicts.kept(db, lines) == ["verdict 1"]
    db.execute("insert into content values (1)")
    assert verdicts.kept(db, lines) == ["verdict 2"]
    lines.append("started x")
    assert verdicts.kept(db, lines) == ["verdict 3"]
    assert asked == [(0, 1), (1, 1), (1, 2)]


def test_an_image_counts_once_also_where_it_comes_from_other_operations() -> None:
    """Two draws may differ, and come to the same bytes."""
    recording, met = Recording([], 1), Met()
    images = [{"orders.db": bytearray(text)} for text in (b"one", b"two", b"one")]
    recording.disk.pending["orders.db"][1] = Operation("w", "orders.db", 0, b"")
    assert [met.add(recording.content(files)) for files in images] == [True, True, False]


def test_an_image_is_laid_out_and_nothing_of_the_last_one_stays(tmp_path: Path) -> None:
    """Else a log of yesterday would be found beside the file of today."""
    (tmp_path / "db").mkdir()
    lay_out({"orders.db": bytearray(b"long"), "orders.db-wal": bytearray(b"log")}, tmp_path)
    lay_out({"orders.db": bytearray(b"new")}, tmp_path)
    assert {file.name: file.read_bytes() for file in (tmp_path / "db").iterdir()} == {"orders.db": b"new"}
