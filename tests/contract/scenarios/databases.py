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


def query_with_psycopg2(url: str) -> Any:
    import psycopg2
    from psycopg2.extras import DictCursor

    connection = psycopg2.connect(url, cursor_factory=DictCursor)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE users (name TEXT)")
        cursor.executemany("INSERT INTO users VALUES (%s)", ([name] for name in ("ada", "bob")))
        cursor.callproc("lower", ["ADA"])
        called = cursor.fetchone()[0]
        cursor.execute("SELECT name FROM users WHERE name = 'ada'")
        found = [row["name"] for row in cursor]
        try:
            cursor.execute("SELECT * FROM nowhere")
        except psycopg2.errors.UndefinedTable as error:
            refused = error.pgcode
    connection.close()
    return [called, found, refused]


def insert_with_psycopg2_extras(url: str) -> Any:
    import psycopg2
    from psycopg2.extras import execute_batch, execute_values

    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE users (name TEXT)")
        names = [(f"name {number}",) for number in range(150)]
        added = execute_values(cursor, "INSERT INTO users VALUES %s RETURNING 1", iter(names), fetch=True)
        execute_batch(cursor, "DELETE FROM users WHERE name = %s", names[:120])
        cursor.execute("SELECT count(*) FROM users")
        left = cursor.fetchone()[0]
    connection.close()
    return [len(added), left]


def query_with_psycopg(url: str) -> Any:
    import asyncio

    import psycopg

    async def query() -> Any:
        async with await psycopg.AsyncConnection.connect(url) as connection:
            rows = await connection.execute("SELECT name FROM users WHERE name = 'ada'")
            return await rows.fetchall()

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS users (name TEXT)")
        connection.execute("TRUNCATE users")
        with connection.cursor() as cursor:
            cursor.executemany("INSERT INTO users VALUES (%s)", ([name] for name in ("ada", "bob")))
            with cursor.copy("COPY users FROM STDIN") as copy:
                copy.write_row(["cy"])
            streamed = list(cursor.stream("SELECT count(*) FROM users"))
        try:
            connection.execute("SELECT * FROM nowhere")
        except psycopg.errors.UndefinedTable as error:
            refused = error.sqlstate
    return [streamed, refused, asyncio.run(query())]


def arguments_for_mysql(url: str) -> dict[str, Any]:
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    return {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": parts.password,
        "database": parts.path[1:],
    }


def query_with_mysql(connection: Any, errors: Any) -> Any:
    cursor = connection.cursor()
    cursor.execute("CREATE TEMPORARY TABLE users (name TEXT)")
    cursor.executemany("INSERT INTO users VALUES (%s)", [["ada"], ["bob"]])
    cursor.execute('SELECT name FROM users WHERE name = "ada"')
    found = [list(row) for row in cursor.fetchall()]
    try:
        cursor.execute("SELECT * FROM nowhere")
    except errors as error:
        refused = error.args[0]
    cursor.close()
    connection.close()
    return [found, refused]


async def query_with_mysql_async(connection: Any, cursor: Any, errors: Any) -> Any:
    await cursor.execute("CREATE TEMPORARY TABLE users (name TEXT)")
    await cursor.executemany("INSERT INTO users VALUES (%s)", [["ada"], ["bob"]])
    await cursor.execute('SELECT name FROM users WHERE name = "ada"')
    found = [list(row) for row in await cursor.fetchall()]
    try:
        await cursor.execute("SELECT * FROM nowhere")
    except errors as error:
        refused = error.args[0]
    await cursor.close()
    closing = connection.close()
    if closing is not None:
        await closing
    return [found, refused]


def query_with_pymysql(url: str) -> Any:
    import pymysql

    return query_with_mysql(pymysql.connect(**arguments_for_mysql(url)), pymysql.Error)


def query_with_mysqlclient(url: str) -> Any:
    import MySQLdb

    return query_with_mysql(MySQLdb.connect(**arguments_for_mysql(url)), MySQLdb.Error)


def query_with_mysql_connector(url: str) -> Any:
    import mysql.connector

    connection = mysql.connector.connect(use_pure=True, **arguments_for_mysql(url))
    return query_with_mysql(connection, mysql.connector.Error)


def query_with_mysql_connector_cext(url: str) -> Any:
    import mysql.connector

    connection = mysql.connector.connect(use_pure=False, **arguments_for_mysql(url))
    return query_with_mysql(connection, mysql.connector.Error)


def query_with_mysql_connector_aio(url: str) -> Any:
    import asyncio

    import mysql.connector.aio

    async def query() -> Any:
        connection = await mysql.connector.aio.connect(ssl_disabled=True, **arguments_for_mysql(url))
        return await query_with_mysql_async(connection, await connection.cursor(), mysql.connector.Error)

    return asyncio.run(query())


def query_with_aiomysql(url: str) -> Any:
    import asyncio

    import aiomysql

    async def query() -> Any:
        arguments = arguments_for_mysql(url)
        connection = await aiomysql.connect(db=arguments.pop("database"), **arguments)
        return await query_with_mysql_async(connection, await connection.cursor(), aiomysql.Error)

    return asyncio.run(query())


def mysql(work: Any, library: str) -> Scenario:
    return Scenario(
        work,
        f"""
        autotrace.{library} CLIENT CREATE TABLE users
        autotrace.{library} CLIENT BATCH INSERT users
        autotrace.{library} CLIENT SELECT users
        autotrace.{library} CLIENT SELECT nowhere ERROR
        """,
        before=START,
        after=("autotrace.instrumentation.database:time_ns",),
        server="mariadb_url",
    )


def query_with_asyncpg(url: str) -> Any:
    import asyncio

    import asyncpg

    async def query() -> Any:
        connection = await asyncpg.connect(url)
        async with connection.transaction():
            await connection.execute("CREATE TEMPORARY TABLE users (name TEXT)")
            await connection.executemany("INSERT INTO users VALUES ($1)", ([name] for name in ("ada", "bob")))
        found = await connection.fetchval("SELECT name FROM users WHERE name = 'ada'")
        prepared = await connection.prepare("SELECT count(*) FROM users")
        counted = await prepared.fetchval()
        try:
            await connection.fetch("SELECT * FROM nowhere")
        except asyncpg.PostgresError as error:
            refused = error.sqlstate
        await connection.close()
        return [found, counted, refused]

    return asyncio.run(query())


def query_with_sqlalchemy(url: str) -> Any:
    import sqlalchemy

    engine = sqlalchemy.create_engine(url.replace("://", "+pg8000://"))
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TEMPORARY TABLE users (name TEXT)"))
        insert = sqlalchemy.text("INSERT INTO users VALUES (:name)")
        connection.execute(insert, [{"name": name} for name in ("ada", "bob")])
        found = (
            connection.execute(sqlalchemy.text("SELECT name FROM users WHERE name = 'ada'")).scalars().all()
        )
    with engine.connect() as connection:
        try:
            connection.exec_driver_sql("SELECT * FROM nowhere")
        except sqlalchemy.exc.ProgrammingError as error:
            refused = error.orig.args[0]["C"]
    engine.dispose()
    return [found, refused]


def query_with_aiosqlite(_url: str) -> Any:
    import asyncio

    import aiosqlite
    from opentelemetry import trace

    async def query() -> Any:
        async with aiosqlite.connect(":memory:") as connection:
            with trace.get_tracer("app").start_as_current_span("request"):
                await connection.execute("CREATE TABLE users (name TEXT)")
                await connection.executemany("INSERT INTO users VALUES (?)", [["ada"], ["bob"]])
            return await connection.execute_fetchall("SELECT name FROM users WHERE name = 'ada'")

    return asyncio.run(query())


def query_with_pyodbc(url: str) -> Any:
    import pyodbc

    connection = pyodbc.connect(url)
    cursor = connection.cursor()
    cursor.execute("CREATE TEMPORARY TABLE users (name TEXT)")
    cursor.executemany("INSERT INTO users VALUES (?)", [["ada"], ["bob"]])
    found = connection.execute("SELECT name FROM users WHERE name = 'ada'").fetchval()
    try:
        cursor.execute("SELECT * FROM nowhere")
    except pyodbc.Error as error:
        refused = error.args[0]
    connection.close()
    return [found, refused]


def connect_with_oracledb(_url: str) -> Any:
    import oracledb

    try:
        oracledb.connect(user="u", password="p", dsn="127.0.0.1:1/none", tcp_connect_timeout=5)
    except oracledb.Error as error:
        return type(error).__name__


def connect_with_pymssql(_url: str) -> Any:
    import pymssql

    try:
        pymssql.connect("127.0.0.1", "u", "p", "none", port="1", login_timeout=5)
    except pymssql.Error as error:
        return [type(error).__name__, error.args[0][0]]


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
        after=("autotrace.instrumentation.database:time_ns",),
    ),
    "psycopg2": Scenario(
        query_with_psycopg2,
        """
        autotrace.psycopg2 CLIENT CREATE TABLE users
        autotrace.psycopg2 CLIENT BATCH INSERT users
        autotrace.psycopg2 CLIENT CALL lower
        autotrace.psycopg2 CLIENT SELECT users
        autotrace.psycopg2 CLIENT SELECT nowhere ERROR
        """,
        before=("autotrace.instrumentation.postgresql:database_of",),
        after=("autotrace.instrumentation.database:time_ns",),
        server="postgresql_url",
    ),
    "psycopg2.extras": Scenario(
        insert_with_psycopg2_extras,
        """
        autotrace.psycopg2 CLIENT CREATE TABLE users
        autotrace.psycopg2 CLIENT BATCH INSERT users
        autotrace.psycopg2 CLIENT BATCH DELETE users
        autotrace.psycopg2 CLIENT SELECT users
        """,
        before=START,
        after=("autotrace.instrumentation.database:time_ns",),
        server="postgresql_url",
    ),
    "psycopg": Scenario(
        query_with_psycopg,
        """
        autotrace.psycopg CLIENT CREATE TABLE users
        autotrace.psycopg CLIENT TRUNCATE users
        autotrace.psycopg CLIENT BATCH INSERT users
        autotrace.psycopg CLIENT COPY users
        autotrace.psycopg CLIENT SELECT users
        autotrace.psycopg CLIENT SELECT nowhere ERROR
        autotrace.psycopg CLIENT SELECT users
        """,
        before=START,
        after=("autotrace.instrumentation.database:time_ns",),
        server="postgresql_url",
    ),
    "asyncpg": Scenario(
        query_with_asyncpg,
        """
        autotrace.asyncpg CLIENT CREATE TABLE users
        autotrace.asyncpg CLIENT BATCH INSERT users
        autotrace.asyncpg CLIENT SELECT users
        autotrace.asyncpg CLIENT SELECT users
        autotrace.asyncpg CLIENT SELECT nowhere ERROR
        """,
        before=START,
        after=("autotrace.instrumentation.database:time_ns",),
        server="postgresql_url",
    ),
    "sqlalchemy.engine.default": Scenario(
        query_with_sqlalchemy,
        """
        autotrace.sqlalchemy CLIENT CREATE TABLE users
        autotrace.sqlalchemy CLIENT BATCH INSERT users
        autotrace.sqlalchemy CLIENT SELECT users
        autotrace.sqlalchemy CLIENT SELECT nowhere ERROR
        """,
        before=START,
        after=("autotrace.instrumentation.database:time_ns",),
        server="postgresql_url",
    ),
    "aiosqlite.core": Scenario(
        query_with_aiosqlite,
        """
        app INTERNAL request
          autotrace.sqlite3 CLIENT CREATE TABLE users
          autotrace.sqlite3 CLIENT BATCH INSERT users
        autotrace.sqlite3 CLIENT SELECT users
        """,
        without="""
        app INTERNAL request
        autotrace.sqlite3 CLIENT CREATE TABLE users
        autotrace.sqlite3 CLIENT BATCH INSERT users
        autotrace.sqlite3 CLIENT SELECT users
        """,
        before=("autotrace.instrumentation.carried:attach",),
    ),
    "pyodbc": Scenario(
        query_with_pyodbc,
        """
        autotrace.pyodbc CLIENT CREATE TABLE users
        autotrace.pyodbc CLIENT BATCH INSERT users
        autotrace.pyodbc CLIENT SELECT users
        autotrace.pyodbc CLIENT SELECT nowhere ERROR
        """,
        before=("autotrace.instrumentation.pyodbc:database_of",),
        after=("autotrace.instrumentation.database:time_ns",),
        server="postgresql_odbc",
    ),
    "oracledb": Scenario(connect_with_oracledb, "", before=START, after=START),
    "pymssql": Scenario(connect_with_pymssql, "", before=("autotrace.instrumentation.pymssql:database_of",)),
    "pymysql": mysql(query_with_pymysql, "pymysql"),
    "MySQLdb.connections": mysql(query_with_mysqlclient, "mysqlclient"),
    "mysql.connector.connection": mysql(query_with_mysql_connector, "mysql"),
    "mysql.connector.connection_cext": mysql(query_with_mysql_connector_cext, "mysql"),
    "mysql.connector.aio.connection": mysql(query_with_mysql_connector_aio, "mysql"),
    "aiomysql.connection": mysql(query_with_aiomysql, "aiomysql"),
}
"""By the module that a row patches."""
