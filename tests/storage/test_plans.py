"""How SQLite finds what is asked for: nothing that a host asks again and again may grow with the file."""

import itertools
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from atone.storage import Lane, Phase, queries
from atone.storage.migration import MIGRATIONS
from atone.storage.statements import STATEMENTS, split

#: What reads all that there is, because somebody asks for a number of all that there is.
COUNTS = {"count", "count_older"}
#: Tables of a row or a few, and what is no table.
SMALL = {"lease", "definitions", "sqlite_sequence", "json_each", "new", "CONSTANT"}
ASKED = [name for name, sql in STATEMENTS.items() if re.match(r"(--.*\n)*(select|insert|update|delete)", sql)]


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """A new file's tables."""
    with closing(sqlite3.connect(":memory:")) as connection:
        for script in MIGRATIONS:
            for statement in split(script):
                connection.execute(statement)
        yield connection


def plan(connection: sqlite3.Connection, sql: str) -> list[str]:
    """What SQLite says it will do."""
    names = re.findall(r":(\w+)", sql)
    values = dict.fromkeys(names, 1) if names else [1] * sql.count("?")
    return [row[3] for row in connection.execute(f"explain query plan {sql}", values)]


@pytest.mark.parametrize("name", sorted({*ASKED} - COUNTS))
def test_no_statement_reads_a_table_from_end_to_end(connection: sqlite3.Connection, name: str) -> None:
    """Each is a search in an index, or takes the head of one that holds only what waits."""
    scans = [found[1] for line in plan(connection, STATEMENTS[name]) if (found := re.match(r"SCAN (\w+)", line))]
    waiting = {"any_waiting": {"inbox"}}.get(name, set())  # the index of what waits, and no more than its first row
    assert set(scans) <= SMALL | waiting
    assert not any("TEMP B-TREE" in line for line in plan(connection, STATEMENTS[name]))


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_what_counts_everything_is_told_by_its_plan(connection: sqlite3.Connection, name: str) -> None:
    """So that the test above would see it."""
    assert any(line.startswith("SCAN actors") for line in plan(connection, STATEMENTS[name]))


def steps(connection: sqlite3.Connection, ask: Callable[[sqlite3.Connection], object]) -> int:
    """How many instructions SQLite carries out for a question."""
    count = itertools.count()
    connection.set_progress_handler(lambda: next(count) and None, 1)
    ask(connection)
    connection.set_progress_handler(None, 1)
    return next(count)


def ask_all(connection: sqlite3.Connection) -> None:
    """What a host asks when it opens the file, and then again and again."""
    queries.live(connection, 10)
    queries.column(connection, "active_sound", after=0, limit=9, deaths=3)
    queries.column(connection, "active_frail", after=0, limit=9, deaths=3)
    queries.column(connection, "unbegun", after=0, limit=9)
    queries.column(connection, "due", now=1.0, limit=9)
    for lane in Lane:
        queries.unread(connection, lane, 0, 9)
    queries.value(connection, "last_seq")


def fill(connection: sqlite3.Connection, first: int, orders: int) -> None:
    """Orders that ended, and as many that wait, of two definitions; with their history, and a message each had."""
    connection.execute("insert or ignore into definitions values (1, 'old', 1, 'f'), (2, 'new', 1, 'f')")
    for key in range(first, first + orders):
        phase = Phase.FINAL if key % 2 else Phase.IDLE
        status = "COMPLETED" if key % 2 else "WAITING"
        wake_at = None if key % 2 else 1e9
        row = (key, f"{key}", 1 + key // 2 % 2, 1, 1, status, int(phase), wake_at, 0, 0.0, 0.0, None, 0, b"")
        connection.execute("insert into actors values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        told = "insert into history (key, revision, at, event, source, target) values (?, 1, 0.0, '', '', '')"
        connection.execute(told, (key,))
        sent = "insert into inbox (key, lane, id, kind, body, accepted_at, answer) values (?, 1, '', '', x'', 0.0, 'T')"
        connection.execute(sent, (key,))


def test_what_a_host_asks_costs_no_more_in_a_larger_file(connection: sqlite3.Connection) -> None:
    """Ten times the orders that ended and that wait, and not one instruction more."""
    fill(connection, 1, 200)
    few = steps(connection, ask_all)
    fill(connection, 201, 1800)
    assert steps(connection, ask_all) == few
