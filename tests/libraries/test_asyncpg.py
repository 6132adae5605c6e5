"""asyncpg on a real server."""

from __future__ import annotations

import asyncio
import io
from urllib.parse import urlsplit

import asyncpg
import pytest
from alike import Rows, alike, names
from instrumented import instrumented

LIBRARY = "asyncpg"


@pytest.fixture
def traced():
    with instrumented(LIBRARY) as traced:
        yield traced


def connected(url, work):
    """Run `work(connection)` on a connection that has a table."""

    async def run():
        connection = await asyncpg.connect(url)
        try:
            await connection.execute("CREATE TEMPORARY TABLE users (id int PRIMARY KEY, name text)")
            return await work(connection)
        finally:
            await connection.close()

    return asyncio.run(run())


def test_a_statement(traced, postgresql_url):
    connected(
        postgresql_url, lambda one: one.fetch("SELECT name FROM users WHERE id = $1 AND name <> 'x'", 7)
    )
    span = traced.spans[1]
    assert span.name == "SELECT users"
    assert dict(span.attributes) == {
        "db.system.name": "postgresql",
        "db.namespace": "test",
        "db.operation.name": "SELECT",
        "db.query.summary": "SELECT users",
        "db.query.text": "SELECT name FROM users WHERE id = $1 AND name <> ?",
        "server.address": "127.0.0.1",
        "server.port": urlsplit(postgresql_url).port,
    }


async def application(connection):
    """Every way to send a statement, and what comes back."""
    rows = Rows((2, "bob"), (3, "cy"))
    seen = [
        await connection.execute("INSERT INTO users VALUES ($1, $2)", 1, "ada"),
        await connection.executemany("INSERT INTO users VALUES ($1, $2)", rows),
        rows.passes,
        await connection.fetch(query="SELECT id FROM users ORDER BY id"),
        await connection.fetchrow("SELECT * FROM users WHERE id = $1", 2),
        await connection.fetchval("SELECT name FROM users WHERE id = $1", 3, column=0),
        await connection.execute("SELECT 1 FROM users; SELECT 2 FROM users"),
    ]
    prepared = await connection.prepare("SELECT name FROM users WHERE id = $1")
    seen += [
        prepared.get_query(),
        await prepared.fetch(1),
        await prepared.fetchrow(2),
        await prepared.fetchval(3),
        await prepared.executemany([(1,), (2,)]),
        prepared.get_statusmsg(),
    ]
    async with connection.transaction():
        seen += [row async for row in connection.cursor("SELECT id FROM users")]
        cursor = await connection.cursor("SELECT name FROM users")
        seen += [await cursor.fetch(1), await cursor.fetchrow()]
        with pytest.raises(ZeroDivisionError):
            async with connection.transaction():
                await connection.execute("DELETE FROM users")
                raise ZeroDivisionError
    seen += [
        await connection.copy_from_table("users", output=(out := io.BytesIO())),
        out.getvalue(),
        await connection.copy_from_query("SELECT id FROM users WHERE id > $1", 1, output=io.BytesIO()),
        await connection.copy_to_table("users", source=io.BytesIO(b"4\tdi\n")),
        await connection.copy_records_to_table("users", records=[(5, "ed")]),
        type(connection) is asyncpg.Connection,
        isinstance(connection, asyncpg.Connection),
    ]
    for wrong in (
        lambda: connection.fetch("SELEC"),
        lambda: connection.prepare("SELECT * FROM nowhere"),
        lambda: connection.fetch("SELECT $1::int", "x"),
        connection.execute,
        lambda: connection.fetch("SELECT 1", nonsense=1),
        lambda: connection.fetch("SELECT pg_sleep(5)", timeout=0.01),
    ):
        try:
            seen.append(await wrong())
        except Exception as error:
            seen.append((type(error), str(error)))
    await connection.close()
    for closed in (lambda: connection.fetch("SELECT 1"), prepared.fetch):
        try:
            await closed()
        except asyncpg.InterfaceError as error:
            seen.append(str(error))
    return seen


def test_an_application_notices_nothing(postgresql_url):
    traced = alike(LIBRARY, connected, postgresql_url, application)
    assert names(traced) == [
        *("CREATE TABLE users", "INSERT users", "BATCH INSERT users", "SELECT users", "SELECT users"),
        *("SELECT users", "SELECT users SELECT users", "SELECT users", "SELECT users", "SELECT users"),
        *("BATCH SELECT users", "SELECT users", "SELECT users", "DELETE users"),
        *("COPY users", "COPY SELECT users", "COPY users", "COPY users"),
        *("SELEC", "SELECT nowhere", "SELECT", "SELECT", "SELECT", "SELECT"),
    ]
    codes = [span.attributes.get("db.response.status_code") for span in traced.spans[18:20]]
    assert codes == ["42601", "42P01"]
    assert traced.spans[22].attributes["error.type"] in ("TimeoutError", "asyncio.exceptions.TimeoutError")


def test_a_pool_and_its_proxies(postgresql_url, traced):
    async def run():
        async with asyncpg.create_pool(postgresql_url, min_size=1, max_size=2) as pool:
            async with pool.acquire() as connection, connection.transaction():
                await connection.fetchval("SELECT 1")
                prepared = await connection.prepare("SELECT 2")
                await prepared.fetchval()
            await pool.fetch("SELECT 3")
            return isinstance(connection, asyncpg.Connection)

    assert asyncio.run(run())
    assert names(traced) == ["SELECT"] * 3


@pytest.mark.skipif(not hasattr(asyncpg.Connection, "fetchmany"), reason="of asyncpg 0.30")
def test_many_rows_that_give_rows_back(postgresql_url, traced):
    async def run(connection):
        insert = "INSERT INTO users VALUES ($1, $2) RETURNING id"
        found = await connection.fetchmany(insert, [(1, "ada"), (2, "bob")])
        prepared = await connection.prepare("SELECT name FROM users WHERE id = $1")
        found += await prepared.fetchmany([(1,), (2,)])
        async with asyncpg.create_pool(postgresql_url, min_size=1) as pool:
            return [*found, *await pool.fetchmany("SELECT $1::int", [(3,), (4,)])]

    assert list(map(tuple, connected(postgresql_url, run))) == [(1,), (2,), ("ada",), ("bob",), (3,), (4,)]
    assert names(traced)[1:] == ["BATCH INSERT users", "BATCH SELECT users", "BATCH SELECT"]
    assert traced.spans[1].attributes["db.operation.batch.size"] == 2


class ShopConnection(asyncpg.Connection):
    async def fetch(self, query, *args, **named):
        return [dict(row) for row in await super().fetch(query, *args, **named)]


def test_a_connection_class_of_the_application(postgresql_url, traced):
    async def run():
        connection = await asyncpg.connect(postgresql_url, connection_class=ShopConnection)
        found = await connection.fetch("SELECT 1 AS a")
        await connection.close()
        return found

    assert asyncio.run(run()) == [{"a": 1}]
    assert names(traced) == ["SELECT"]


def test_a_cancelled_task_is_cancelled_and_has_not_failed(postgresql_url, traced):
    async def run(connection):
        watcher = await asyncpg.connect(postgresql_url)
        task = asyncio.create_task(connection.fetch("SELECT pg_sleep(60)"))
        active = "SELECT state FROM pg_stat_activity WHERE pid = $1"
        while await watcher.fetchval(active, connection.get_server_pid()) != "active":  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await watcher.close()
        return await connection.fetchval("SELECT 1")

    assert connected(postgresql_url, run) == 1
    (sleep,) = [span for span in traced.spans if "pg_sleep" in span.attributes["db.query.text"]]
    assert sleep.status_code.name == "UNSET"


def test_nothing_is_left_when_it_is_undone(postgresql_url):
    def methods():
        kinds = (asyncpg.Connection, asyncpg.prepared_stmt.PreparedStatement, asyncpg.transaction.Transaction)
        return [dict(vars(kind)) for kind in kinds]

    originals = methods()
    with instrumented(LIBRARY) as traced:
        assert methods() != originals
    assert methods() == originals
    connected(postgresql_url, lambda one: one.fetch("SELECT 1"))
    assert not traced.spans
