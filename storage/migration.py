"""Whose file it is, and bringing its tables up to date."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from .errors import NewerSchema, NotAStore
from .statements import STATEMENTS, split

#: `pragma application_id` of every file of ours: the letters "aton"
APPLICATION = 0x61746F6E

#: the script that leads from version n to n + 1 stands at place n
MIGRATIONS = (STATEMENTS["migration_1"],)


def inspect(connection: sqlite3.Connection, path: str, known: int) -> int:
    """The version of the file's schema, 0 for a new one. Changes nothing.

    Raises `NotAStore` for somebody else's file, and `NewerSchema` for one of a later release.
    """
    connection.execute("savepoint inspection")  # one moment: another process may be making the tables
    (application,) = connection.execute("pragma application_id").fetchone()
    (version,) = connection.execute("pragma user_version").fetchone()
    (tables,) = connection.execute("select count(*) from sqlite_schema").fetchone()
    connection.execute("release inspection")
    if application != APPLICATION and (application or version or tables):
        raise NotAStore(path, "an SQLite file of something else")
    if version > known:
        raise NewerSchema(path, version, known)
    return int(version)


def migrate(connection: sqlite3.Connection, path: str, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Run the migrations that the file has not seen, all of them in one transaction."""
    if inspect(connection, path, len(migrations)) == len(migrations):
        return
    connection.execute("begin immediate")
    try:
        version = inspect(connection, path, len(migrations))  # again: another process may have been faster
        for script in migrations[version:]:
            for statement in split(script):
                connection.execute(statement)
        connection.execute(f"pragma application_id = {APPLICATION}")
        connection.execute(f"pragma user_version = {len(migrations)}")
        connection.execute("commit")
    except BaseException:
        if connection.in_transaction:
            connection.execute("rollback")
        raise
