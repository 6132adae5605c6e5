"""psycopg 3 on a real server, synchronous and asynchronous."""

from __future__ import annotations

import asyncio
import gc
import pickle
import weakref
from urllib.parse import urlsplit

import psycopg
import psycopg_pool
import pytest
from alike import Rows, alike, names, refused
from instrumented import instrumented
from psycopg import rows, sql

LIBRARY = "psycopg"


@pytest.fixture
def traced():
    with instrumented(LIBRARY) as traced:
        yield traced


@pytest.fixture
def connection(traced, postgresql_url):
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("CREATE TEMPORARY TABLE users (id int PRIMARY KEY, name text)")
        traced.spans.clear()
        yield connection


def test_a_statement(connection, traced, postgresql_url):
    connection.execute("SELECT name FROM users WHERE id = %s AND name <> 'secret'", [7])
    assert traced.span.name == "SELECT users"
    assert dict(traced.span.attributes) == {
        "db.system.name": "postgresql",
        "db.namespace": "test",
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT users",
        "db.query.text": "SELECT name FROM users WHERE id = %s AND name <> ?",
        "server.address": "127.0.0.1",
        "server.port": urlsplit(postgresql_url).port,
    }


def test_a_failing_statement_tells_its_sqlstate(connection, traced):
    with pytest.raises(psycopg.errors.UndefinedTable):
        connection.cursor().execute(query="SELECT 1 FROM nowhere")
    assert traced.span.attributes["db.response.status_code"] == "42P01"
    assert traced.span.attributes["error.type"] == "psycopg.errors.UndefinedTable"


def test_what_is_composed_is_told_without_values(connection, traced):
    composed = sql.SQL("SELECT {} FROM {} WHERE id = {} AND name = {}").format(
        sql.Identifier("id"), sql.Identifier("users"), sql.Placeholder(), sql.Literal("secret")
    )
    connection.execute(composed, [1])
    assert traced.span.attributes["db.query.text"] == 'SELECT "id" FROM "users" WHERE id = %s AND name = %s'


def test_a_batch_reads_its_rows_once(connection, traced):
    rows = Rows([1, "ada"], [2, "bob"])
    connection.cursor().executemany("INSERT INTO users VALUES (%s, %s)", rows)
    assert rows.passes == 1
    assert traced.span.name == "BATCH INSERT users"
    traced.spans.clear()
    found = connection.cursor()
    found.executemany(params_seq=[[1], [2]], query="SELECT name FROM users WHERE id = %s", returning=True)
    assert [result.fetchone() for result in found.results()] == [("ada",), ("bob",)]
    assert traced.span.attributes["db.operation.batch.size"] == 2


def test_copy_lasts_until_it_is_done(connection, traced):
    cursor = connection.cursor()
    with cursor.copy("COPY users FROM STDIN") as copy:
        copy.write_row([1, "ada"])
        assert not traced.spans
    with cursor.copy(statement=sql.SQL("COPY {} TO STDOUT").format(sql.Identifier("users"))) as copy:
        assert list(copy.rows()) == [("1", "ada")]
    with pytest.raises(ZeroDivisionError), cursor.copy("COPY users FROM STDIN"):
        raise ZeroDivisionError
    assert names(traced) == ["COPY users", 'COPY "users"', "COPY users"]
    assert traced.spans[-1].status_code.name == "ERROR"


def test_a_stream_that_is_left_early_has_not_failed(connection, traced):
    for _row in connection.cursor().stream("SELECT * FROM generate_series(1, 10)"):
        break
    assert (traced.span.name, traced.span.status_code.name) == ("SELECT generate_series", "UNSET")


def test_a_pipeline(connection, traced):
    with connection.pipeline():
        inserted = connection.execute("INSERT INTO users VALUES (1, 'ada') RETURNING id")
        connection.execute("SELECT 1")
        assert inserted.fetchone() == (1,)
    assert names(traced) == ["INSERT users", "SELECT"]


class ShopCursor(psycopg.Cursor):
    def execute(self, query, params=None, **named):
        self.last = query
        return super().execute(query, params, **named)


class ShopConnection(psycopg.Connection):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.cursor_factory = ShopCursor


def shop(url):
    with ShopConnection.connect(url, row_factory=rows.dict_row) as connection:
        seen = [type(connection) is ShopConnection, isinstance(connection, psycopg.Connection)]
        connection.execute("CREATE TEMPORARY TABLE users (name text)")
        with connection.transaction(), connection.cursor() as cursor:
            cursor.execute("INSERT INTO users VALUES (%(name)s)", {"name": "ada"}, prepare=True)
            seen += [type(cursor), cursor.last, cursor.rowcount]
        for made in (
            connection.cursor(row_factory=rows.tuple_row),
            connection.cursor("by_name", scrollable=True),
            psycopg.ClientCursor(connection),
            getattr(psycopg, "RawCursor", psycopg.ClientCursor)(connection),  # since 3.2
        ):
            with made:
                assert made.execute("SELECT name FROM users") is made
                seen += [repr(type(made)), made.fetchall(), made.statusmessage]
        cursor = connection.execute("SELECT 1 AS a; SELECT 2 AS b")
        seen += [cursor.fetchall(), cursor.nextset(), cursor.fetchall(), cursor.nextset()]
        seen += [
            refused(cursor.execute),
            refused(cursor.execute, 5),
            refused(cursor.execute, "SELECT %s", [object()]),
            refused(cursor.executemany, "SELECT 1"),
            refused(pickle.dumps, connection)[0],
            connection.info.transaction_status,
        ]
    return [*seen, refused(connection.execute, "SELECT 1"), psycopg.Cursor.execute.__doc__]


def test_an_application_notices_nothing(postgresql_url):
    traced = alike(LIBRARY, shop, postgresql_url)
    assert names(traced)[:6] == ["CREATE TABLE users", "INSERT users", *["SELECT users"] * 4]


async def shop_async(url):
    async with await psycopg.AsyncConnection.connect(url, row_factory=rows.dict_row) as connection:
        await connection.execute("CREATE TEMPORARY TABLE users (name text)")
        cursor = connection.cursor()
        async with connection.transaction():
            await cursor.executemany("INSERT INTO users VALUES (%s)", Rows(["ada"], ["bob"]))
        async with cursor.copy("COPY users TO STDOUT") as copy:
            seen = [row async for row in copy.rows()]
        seen += [row async for row in cursor.stream("SELECT name FROM users")]
        async with connection.cursor("by_name") as made:
            await made.execute(query="SELECT name FROM users", params=None)
            seen += [row async for row in made]
        try:
            await cursor.execute("SELEC")
        except psycopg.Error as error:
            seen.append(repr(error))
    return seen


def test_an_asynchronous_application_notices_nothing(postgresql_url):
    traced = alike(LIBRARY, lambda url: asyncio.run(shop_async(url)), postgresql_url)
    assert names(traced) == [
        *("CREATE TABLE users", "BATCH INSERT users", "COPY users", "SELECT users", "SELECT users", "SELEC"),
    ]


def test_a_cancelled_task_is_cancelled_and_has_not_failed(postgresql_url, traced):
    async def work():
        async with await psycopg.AsyncConnection.connect(postgresql_url, autocommit=True) as connection:
            watcher = await psycopg.AsyncConnection.connect(postgresql_url, autocommit=True)
            task = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
            active = f"SELECT state FROM pg_stat_activity WHERE pid = {connection.info.backend_pid}"
            while (await (await watcher.execute(active)).fetchone())[0] != "active":  # noqa: ASYNC110 - no event tells it
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await watcher.close()
            return (await (await connection.execute("SELECT 1")).fetchone())[0]

    assert asyncio.run(work()) == 1
    sleep = next(span for span in traced.spans if "pg_sleep" in span.attributes["db.query.text"])
    assert sleep.status_code.name == "UNSET"
    assert sleep.end_time


def test_spans_of_tasks_have_their_own_parents(postgresql_url, traced):
    async def work(connection, number):
        with traced.tracer.start_as_current_span(f"task {number}"):
            await connection.execute("SELECT pg_sleep(0.01)")

    async def run():
        async with await psycopg.AsyncConnection.connect(postgresql_url) as connection:
            await asyncio.gather(*(work(connection, number) for number in range(5)))

    asyncio.run(run())
    tasks = {span.span_id for span in traced.spans if span.name.startswith("task")}
    assert {span.parent_id for span in traced.spans if span.name == "SELECT"} == tasks
    assert len(traced.spans) == 10


def test_pools(postgresql_url, traced):
    with psycopg_pool.ConnectionPool(postgresql_url, min_size=1, open=True) as pool, pool.connection() as one:
        one.execute("SELECT 1")

    async def work():
        pool = psycopg_pool.AsyncConnectionPool(postgresql_url, min_size=1, open=False)
        async with pool, pool.connection() as one:
            await one.execute("SELECT 2")

    asyncio.run(work())
    assert names(traced) == ["SELECT", "SELECT"]


def test_a_connection_that_is_let_go_is_let_go_at_once(postgresql_url, traced):
    gc.disable()
    try:
        connection = psycopg.connect(postgresql_url)
        with pytest.raises(psycopg.Error):
            connection.execute("SELEC")
        connection.close()
        gone = weakref.ref(connection)
        del connection
        assert gone() is None
    finally:
        gc.enable()


def test_nothing_is_left_when_it_is_undone(postgresql_url):
    originals = [psycopg.Cursor.execute, psycopg.AsyncCursor.copy, psycopg.Connection.__init__]
    with instrumented(LIBRARY) as traced:
        assert psycopg.Cursor.execute is not originals[0]
        connection = psycopg.connect(postgresql_url)
    connection.execute("SELECT 1")
    connection.close()
    assert [psycopg.Cursor.execute, psycopg.AsyncCursor.copy, psycopg.Connection.__init__] == originals
    assert not traced.spans
