"""pyodbc with the ODBC driver for PostgreSQL."""

from __future__ import annotations

import re

import pyodbc
import pytest
from alike import Rows, alike, names, refused
from instrumented import instrumented

LIBRARY = "pyodbc"


@pytest.fixture
def traced():
    with instrumented(LIBRARY) as traced:
        yield traced


def test_a_statement(postgresql_odbc, traced):
    connection = pyodbc.connect(postgresql_odbc)
    connection.cursor().execute("SELECT relname FROM pg_class WHERE relname = ? AND relkind <> 'x'", "users")
    connection.close()
    assert traced.span.name == "SELECT pg_class"
    assert dict(traced.span.attributes) == {
        "db.system.name": "postgresql",
        "db.namespace": "test",
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT pg_class",
        "db.query.text": "SELECT relname FROM pg_class WHERE relname = ? AND relkind <> ?",
        "server.address": "127.0.0.1",
        "server.port": int(re.search(r"Port=(\d+)", postgresql_odbc)[1]),
    }


def application(text):
    """What an application may do, and what it sees."""
    connection = pyodbc.connect(text, autocommit=False)
    cursor = connection.cursor()
    seen = [
        isinstance(connection, pyodbc.Connection),
        isinstance(cursor, pyodbc.Cursor),
        cursor.execute("CREATE TEMPORARY TABLE users (id int PRIMARY KEY, name varchar(20))") is cursor,
        cursor.connection is connection,
        cursor.executemany("INSERT INTO users VALUES (?, ?)", [(1, "ada"), (2, "bob")]),
        [tuple(row) for row in cursor.execute("SELECT * FROM users ORDER BY id")],
        tuple(next(cursor.execute("SELECT name FROM users WHERE id = ?", 2))),
        connection.execute("SELECT count(*) FROM users").fetchval(),
        cursor.execute("SELECT 1 AS a").fetchone().a,
        cursor.description[0][0],
        cursor.tables(table="users") is cursor,
        len(cursor.fetchall()),
        cursor.rowcount,
        hasattr(cursor, "callproc"),
        connection.autocommit,
        str(cursor)[:25],
        refused(cursor.execute),
        refused(cursor.execute, 5),
        refused(cursor.executemany, "INSERT INTO users VALUES (?, ?)", 5),
        refused(setattr, cursor, "nonsense", 1)[0],
        refused(getattr, cursor, "nonsense"),
        refused(pyodbc.connect, "Driver=nonsense")[0],
    ]
    cursor.arraysize = 7
    seen.append(cursor.arraysize)
    connection.commit()
    with connection as entered, cursor as inner:
        seen += [entered is connection, inner is cursor]
        seen.append(refused(cursor.execute, "SELECT 1 FROM nowhere")[0])
        connection.rollback()
    connection.add_output_converter(pyodbc.SQL_INTEGER, lambda _: "converted")
    seen.append(connection.execute("SELECT 7").fetchval())
    connection.close()
    seen.append(refused(connection.cursor))
    return seen


def test_an_application_notices_nothing(postgresql_odbc):
    traced = alike(LIBRARY, application, postgresql_odbc)
    assert names(traced)[:5] == [
        *("CREATE TABLE users", "BATCH INSERT users", "SELECT users", "SELECT users", "SELECT users"),
    ]
    (failed,) = [span for span in traced.spans if span.name == "SELECT nowhere"]
    assert failed.attributes["db.response.status_code"] == "42P01"


def test_a_batch_reads_its_rows_once(postgresql_odbc, traced):
    connection = pyodbc.connect(postgresql_odbc)
    rows = Rows([1], [2])
    try:
        connection.cursor().executemany("SELECT ?", iter(rows))
    finally:
        connection.close()
    assert rows.passes == 1
    assert names(traced) == ["BATCH SELECT"]


def test_nothing_is_left_when_it_is_undone(postgresql_odbc):
    original = pyodbc.connect
    with instrumented(LIBRARY) as traced:
        connection = pyodbc.connect(postgresql_odbc)
    assert pyodbc.connect is original
    connection.execute("SELECT 1")
    connection.close()
    assert not traced.spans
