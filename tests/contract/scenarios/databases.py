"""One unit of work for each database driver."""

from __future__ import annotations

from scenarios.scenario import START, Scenario

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def query_with_sqlite3(_url: str) -> Any:
    import sqlite3

    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE users (name TEXT)")
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO users VALUES (?)", [["ada"], ["bob"]])
    try:
        cursor.execute("SELECT * FROM nowhere")
    except sqlite3.OperationalError as error:
        refused = str(error)
    found = cursor.execute("SELECT name FROM users WHERE name = 'ada'").fetchall()
    connection.close()
    return [found, refused]


SCENARIOS = {
    "sqlite3": Scenario(
        query_with_sqlite3,
        """
        autotrace.sqlite3 CLIENT CREATE TABLE users
        autotrace.sqlite3 CLIENT BATCH INSERT users
        autotrace.sqlite3 CLIENT SELECT nowhere ERROR
        autotrace.sqlite3 CLIENT SELECT users
        """,
        before=("autotrace.instrumentation.sqlite3:namespace", *START),
        after=("autotrace.tracing.span:Span.end",),
    ),
}
"""By the module that a row patches."""
