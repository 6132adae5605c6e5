"""A program with several databases, started as a user starts it: what arrives at a backend."""

from __future__ import annotations

import pytest

PROGRAM = """
import asyncio, sys
import aiosqlite, asyncpg, psycopg, psycopg2, pymysql, sqlalchemy
from urllib.parse import urlsplit
from opentelemetry import trace

postgresql, mariadb = sys.argv[1:]

def with_psycopg2():
    with psycopg2.connect(postgresql) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT relname FROM pg_class WHERE relname = 'a secret'")

def with_psycopg():
    with psycopg.connect(postgresql) as connection:
        connection.execute("SELECT relname FROM pg_class WHERE relname = 'a secret'")

def with_pymysql():
    to = urlsplit(mariadb)
    server = {"host": to.hostname, "port": to.port, "user": to.username, "password": to.password}
    with pymysql.connect(database="test", **server) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT user FROM mysql.user WHERE user = 'a secret'")

def with_sqlalchemy():
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT name FROM sqlite_master WHERE name = 'a secret'"))

async def with_asyncpg():
    connection = await asyncpg.connect(postgresql)
    await connection.fetch("SELECT relname FROM pg_class WHERE relname = 'a secret'")
    await connection.close()

async def with_aiosqlite():
    async with aiosqlite.connect(":memory:") as connection:
        await connection.execute_fetchall("SELECT name FROM sqlite_master WHERE name = 'a secret'")

with trace.get_tracer("app").start_as_current_span("request"):
    with_psycopg2()
    with_psycopg()
    with_pymysql()
    with_sqlalchemy()
    asyncio.run(with_asyncpg())
    asyncio.run(with_aiosqlite())
print("done")
"""


@pytest.mark.slow
def test_every_driver_in_one_trace(sandbox, arrivals, postgresql_url, mariadb_url):
    sandbox.write("app.py", PROGRAM)
    done = sandbox.run("app.py", postgresql_url, mariadb_url, **arrivals.environ)
    assert (done.code, done.out, done.err) == (0, "done\n", "")
    assert arrivals.tree.splitlines() == [
        "app app INTERNAL request",
        "  app autotrace.psycopg2 CLIENT SELECT pg_class",
        "  app autotrace.psycopg CLIENT SELECT pg_class",
        "  app autotrace.pymysql CLIENT SELECT mysql.user",
        "  app autotrace.sqlite3 CLIENT PRAGMA read_uncommitted",  # SQLAlchemy's own question
        "  app autotrace.sqlite3 CLIENT SELECT sqlite_master",
        "  app autotrace.asyncpg CLIENT SELECT pg_class",
        "  app autotrace.sqlite3 CLIENT SELECT sqlite_master",
    ]
    assert b"a secret" not in arrivals.raw
    assert b"tester" not in arrivals.raw
