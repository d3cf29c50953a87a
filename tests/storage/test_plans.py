"""How SQLite finds what is asked for: nothing that a host asks again and again may grow with the file."""

import re
import sqlite3

import pytest

from atone.storage.migration import MIGRATIONS
from atone.storage.statements import STATEMENTS, split

#: What reads all that there is, because somebody asks for a number of all that there is.
COUNTS = {"count", "count_older"}
#: Tables of a row or a few, and what is no table.
SMALL = {"lease", "definitions", "sqlite_sequence", "json_each", "new", "CONSTANT", "(subquery-1)", "(subquery-2)"}
ASKED = [name for name, sql in STATEMENTS.items() if re.match(r"(--.*\n)*(select|insert|update|delete)", sql)]


@pytest.fixture
def connection() -> sqlite3.Connection:
    """A new file's tables."""
    connection = sqlite3.connect(":memory:")
    for script in MIGRATIONS:
        for statement in split(script):
            connection.execute(statement)
    return connection


def plan(connection: sqlite3.Connection, sql: str) -> list[str]:
    """What SQLite says it will do."""
    names = re.findall(r":(\w+)", sql)
    values = dict.fromkeys(names, 1) if names else [1] * sql.count("?")
    return [row[3] for row in connection.execute(f"explain query plan {sql}", values)]


@pytest.mark.parametrize("name", sorted({*ASKED} - COUNTS))
def test_no_statement_reads_a_table_from_end_to_end(connection: sqlite3.Connection, name: str) -> None:
    """Each is a search in an index, or takes the head of one that holds only what waits."""
    scans = [found[1] for line in plan(connection, STATEMENTS[name]) if (found := re.match(r"SCAN (\S+)", line))]
    waiting = {"any_waiting": {"inbox"}}.get(name, set())  # the index of what waits, and no more than its first row
    assert set(scans) <= SMALL | waiting
    assert not any("TEMP B-TREE" in line for line in plan(connection, STATEMENTS[name]))


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_what_counts_everything_is_told_by_its_plan(connection: sqlite3.Connection, name: str) -> None:
    """So that the test above would see it."""
    assert any(line.startswith("SCAN actors") for line in plan(connection, STATEMENTS[name]))
