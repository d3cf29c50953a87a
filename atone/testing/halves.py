"""What is half done in a file: rows that contradict each other, or that belong to nothing. Plain SQL, and read-only.

Shares nothing with the engine but the schema. No question sorts or collects rows of several orders: a file of a million
takes no more memory than one of ten.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping

#: So many of each kind say what there is to be said.
MOST = 100

#: What is seen of each order as well, where its history is read.
WITHIN = {
    "an order without its input": "select id from actors left join inputs using (key) where inputs.key is null",
    "an order and its history are of different revisions": """
        select id from actors
        where revision is not (select max(revision) from history where history.key = actors.key)""",
    "a revision is missing in the history": """
        select id from actors where revision + 1 is not
            (select count(distinct revision) + (min(revision) = 1) from history where history.key = actors.key)""",
}
#: What no order shows that is read alone.
BESIDE = {
    "an order without its definition": """
        select id from actors where definition not in (select id from definitions)""",
    "an order that was purged and is there": "select id from actors join tombstones using (id)",
    "a message was consumed, and no history says so": """
        select id from actors
        where (select count(*) from inbox where inbox.key = actors.key and answer = 'CONSUMED')
            > (select count(*) from history where history.key = actors.key and event = 'RECEIVED')""",
    **{
        f"rows of an order that is not there, in {table}": f"""
        select distinct key from {table} where key not in (select key from actors)"""  # noqa: S608  # one of these
        for table in ("inputs", "parts", "inbox")
    },
    # The line of key 0 is the mark of a purge.
    "rows of an order that is not there, in history": """
        select distinct key from history where key <> 0 and key not in (select key from actors)""",
}


def half_done(connection: sqlite3.Connection, questions: Mapping[str, str]) -> Iterator[str]:
    """What is half done, with the id or the key of the order."""
    for what, query in questions.items():
        yield from (f"{what}, {id}" for (id,) in connection.execute(f"{query} limit {MOST}"))
