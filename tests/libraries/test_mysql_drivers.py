"""The drivers for MySQL on a real MariaDB: PyMySQL, mysqlclient, mysql-connector-python and aiomysql."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlsplit

import pytest
from alike import Rows, alike, names, refused
from instrumented import instrumented
from required import missing


class Driver:
    """What differs from one driver to the next."""

    def __init__(self, library: str, module: str, **options: Any) -> None:
        self.library = library
        self.module = module
        self.options = options

    def __repr__(self) -> str:
        return self.library + "".join(f"-{name}={value}" for name, value in self.options.items())

    @property
    def api(self) -> Any:
        try:
            return __import__(self.module, fromlist=["*"])
        except ImportError as error:
            missing(f"{self.module} cannot be imported: {error}")

    def connect(self, url: str, **options: Any) -> Any:
        parts = urlsplit(url)
        return self.api.connect(
            host=parts.hostname,
            port=parts.port,
            user=parts.username,
            password=parts.password,
            database=parts.path[1:],
            **self.options,
            **options,
        )


DRIVERS = [
    Driver("pymysql", "pymysql"),
    Driver("mysqlclient", "MySQLdb"),
    Driver("mysql", "mysql.connector", use_pure=True),
    Driver("mysql", "mysql.connector", use_pure=False),
]


@pytest.fixture(params=DRIVERS, ids=repr)
def driver(request):
    assert request.param.api
    # The hook table names modules that some drivers import with the first connection.
    return request.param


@pytest.fixture
def traced(driver):
    with instrumented(driver.library) as traced:
        yield traced


@pytest.fixture
def cursor(driver, traced, mariadb_url):
    connection = driver.connect(mariadb_url)
    cursor = connection.cursor()
    cursor.execute("CREATE TEMPORARY TABLE users (id int PRIMARY KEY, name varchar(20))")
    traced.spans.clear()
    yield cursor
    cursor.close()
    connection.close()


def test_a_statement(cursor, traced, mariadb_url):
    cursor.execute('SELECT name FROM users WHERE id = %s AND name <> "secret" # it\'s', [7])
    cursor.fetchall()
    assert traced.span.kind.name == "CLIENT"
    assert traced.span.name == "SELECT users"
    assert dict(traced.span.attributes) == {
        "db.system.name": "mariadb",
        "db.namespace": "test",
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT users",
        "db.query.text": "SELECT name FROM users WHERE id = %s AND name <> ?",
        "server.address": "127.0.0.1",
        "server.port": urlsplit(mariadb_url).port,
    }


def test_a_failing_statement_tells_its_number(cursor, traced, driver):
    with pytest.raises(driver.api.ProgrammingError) as raised:
        cursor.execute("SELECT 1 FROM nowhere")
    assert traced.span.status_code.name == "ERROR"
    assert traced.span.attributes["db.response.status_code"] == "1146"
    kind = type(raised.value)
    assert traced.span.attributes["error.type"] == f"{kind.__module__}.{kind.__qualname__}"


@pytest.mark.parametrize(
    "statement", ["INSERT INTO users VALUES (%s, %s)", "UPDATE users SET id = %s WHERE name = %s"]
)
def test_a_batch_is_one_span(cursor, traced, statement):
    cursor.executemany(statement, [[1, "ada"], [2, "bob"]])
    verb = statement.split()[0]
    assert names(traced) == [f"BATCH {verb} users"]
    assert traced.span.attributes["db.operation.batch.size"] == 2


@pytest.mark.parametrize("driver", DRIVERS[:3], ids=repr, indirect=True)  # the C extension wants a list
def test_a_batch_reads_its_rows_once(cursor, traced):
    rows = Rows([1, "ada"], [2, "bob"])
    cursor.executemany("INSERT INTO users VALUES (%s, %s)", rows)
    assert "db.operation.batch.size" not in traced.span.attributes
    cursor.execute("SELECT count(*) FROM users")
    assert cursor.fetchall() in ([(2,)], ((2,),))


def test_a_procedure_is_one_span(driver, traced, mariadb_url):
    connection = driver.connect(mariadb_url)
    cursor = connection.cursor()
    cursor.execute("CREATE OR REPLACE PROCEDURE twice(IN a int, OUT b int) BEGIN SET b = 2 * a; END")
    traced.spans.clear()
    cursor.callproc("twice", [21, 0])
    assert traced.span.name == "CALL twice"
    assert traced.span.attributes["db.stored_procedure.name"] == "twice"
    connection.close()


def work(driver, url):
    """Much of what an application may do, and what it sees."""
    connection = driver.connect(url)
    Connection, Cursor = type(connection), type(connection.cursor())

    class ShopCursor(Cursor):
        def execute(self, *args, **kwargs):
            self.last = args
            return super().execute(*args, **kwargs)

    cursor = ShopCursor(connection)
    seen = [
        repr(Connection),
        repr(Cursor),
        cursor.execute("CREATE TEMPORARY TABLE users (id int PRIMARY KEY, name varchar(20))"),
        cursor.executemany("INSERT INTO users VALUES (%s, %s)", [(1, "ada"), (2, "b'ob")]),
        cursor.rowcount,
        cursor.execute("SELECT name FROM users WHERE id > %(least)s ORDER BY id", {"least": 0}),
        list(cursor.fetchall()),
        cursor.last,
        [column[0] for column in cursor.description],
        cursor.execute("DELETE FROM users WHERE id = 2"),
        cursor.lastrowid,
        refused(cursor.execute, "SELEC"),
        refused(cursor.execute, "SELECT %s, %s", (1,)),
        refused(cursor.execute, "SELECT 1", nonsense=1),
        refused(cursor.executemany),
        refused(cursor.execute, "SELECT 1 FROM nowhere"),
    ]
    cursor.close()
    seen.append(refused(cursor.execute, "SELECT 1"))
    connection.close()
    seen.append(refused(connection.cursor))
    return seen


def test_an_application_notices_nothing(driver, mariadb_url):
    # A closed connection may still give a cursor: then there is nothing to compare but that.
    def run(url):
        try:
            return work(driver, url)
        except AssertionError as error:
            return str(error)

    traced = alike(driver.library, run, mariadb_url)
    assert names(traced)[:4] == ["CREATE TABLE users", "BATCH INSERT users", "SELECT users", "DELETE users"]


def test_nothing_is_left_when_it_is_undone(driver, mariadb_url):
    with instrumented(driver.library) as traced:
        connection = driver.connect(mariadb_url)
        method = type(connection.cursor()).execute
    assert type(connection.cursor()).execute is not method
    connection.cursor().execute("DO 1")
    connection.close()
    assert not traced.spans


@pytest.mark.parametrize("driver", DRIVERS[:2], ids=repr, indirect=True)
def test_another_database_is_another_namespace(driver, cursor, traced):
    cursor.connection.select_db("mysql")
    cursor.execute("DO 1")
    assert traced.span.attributes["db.namespace"] == "mysql"


@pytest.mark.parametrize("driver", DRIVERS[:1], ids=repr, indirect=True)
def test_several_statements_and_their_results(driver, traced, mariadb_url):
    import pymysql

    flags = pymysql.constants.CLIENT.MULTI_STATEMENTS
    with driver.connect(mariadb_url, client_flag=flags) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM dual; SELECT 2 FROM dual")
        assert (cursor.fetchall(), cursor.nextset(), cursor.fetchall()) == (((1,),), True, ((2,),))
    assert traced.span.name == "SELECT dual SELECT dual"


def test_prepared_statements(mariadb_url):
    for driver in DRIVERS[2:]:
        with instrumented(driver.library) as traced:
            connection = driver.connect(mariadb_url)
            cursor = connection.cursor(prepared=True)
            cursor.execute("SELECT %s + 1 FROM dual", (41,))
            assert cursor.fetchall() == [(42,)]
            cursor.executemany("DO %s", [(1,), (2,)])
            connection.close()
        assert names(traced) == ["SELECT dual", "BATCH DO"]


async def shop_aiomysql(url):
    import aiomysql

    parts = urlsplit(url)
    server = {"host": parts.hostname, "port": parts.port, "user": parts.username, "password": parts.password}
    async with aiomysql.create_pool(db="test", minsize=1, maxsize=2, autocommit=True, **server) as pool:
        async with pool.acquire() as connection, connection.cursor(aiomysql.DictCursor) as cursor:
            await cursor.execute("CREATE TEMPORARY TABLE users (name varchar(20))")
            seen = [await cursor.executemany("INSERT INTO users VALUES (%s)", Rows(["ada"], ["bob"]))]
            seen.append(await cursor.execute(query="SELECT name FROM users", args=None))
            seen.append(await cursor.fetchall())
            try:
                await cursor.execute("SELEC")
            except aiomysql.Error as error:
                seen.append(repr(error))
            await connection.select_db("mysql")
            await cursor.execute("DO 1")
            seen.append(type(cursor).__qualname__)
        pool.close()
        await pool.wait_closed()
    return seen


def test_aiomysql(mariadb_url):
    traced = alike("aiomysql", lambda url: asyncio.run(shop_aiomysql(url)), mariadb_url)
    assert names(traced) == ["CREATE TABLE users", "BATCH INSERT users", "SELECT users", "SELEC", "DO"]
    assert traced.spans[2].attributes["db.namespace"] == "test"
    assert traced.spans[2].attributes["server.port"] == urlsplit(mariadb_url).port
    assert traced.spans[3].attributes["db.response.status_code"] == "1064"
    assert traced.spans[4].attributes["db.namespace"] == "mysql"


async def shop_connector_aio(url):
    import mysql.connector.aio

    parts = urlsplit(url)
    connection = await mysql.connector.aio.connect(
        host=parts.hostname,
        port=parts.port,
        user=parts.username,
        password=parts.password,
        database="test",
        ssl_disabled=True,
    )
    cursor = await connection.cursor()
    await cursor.execute("CREATE TEMPORARY TABLE users (name varchar(20))")
    seen = [await cursor.executemany("INSERT INTO users VALUES (%s)", [("ada",), ("bob",)])]
    await cursor.execute("SELECT name FROM users")
    seen.append(await cursor.fetchall())
    await cursor.close()
    await connection.close()
    return seen


def test_mysql_connector_asynchronous(mariadb_url):
    traced = alike("mysql", lambda url: asyncio.run(shop_connector_aio(url)), mariadb_url)
    assert names(traced) == ["CREATE TABLE users", "BATCH INSERT users", "SELECT users"]
