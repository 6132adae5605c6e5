"""oracledb up to the connection that fails: there is no server here."""

from __future__ import annotations

import asyncio

import oracledb
import pytest
from alike import refused
from instrumented import instrumented

from autotrace.instrumentation.database import ATTRIBUTE, Database
from autotrace.instrumentation.oracledb import server_of

NOWHERE = "127.0.0.1:1/none"


@pytest.mark.parametrize(
    ("dsn", "server"),
    [
        ("db.shop:1522/orders", ("db.shop", "1522", "orders")),
        ("db.shop/orders", ("db.shop", "1521", "orders")),
        ("tcps://db.shop:2484/orders?wallet_location=/x", ("db.shop", "2484", "orders")),
        ("//db.shop/orders:dedicated/instance", ("db.shop", "1521", "orders")),
        ("[::1]:1522/orders", ("::1", "1522", "orders")),
        (
            "(DESCRIPTION=(ADDRESS=(PROTOCOL=tcp)(HOST=db.shop)(PORT=1522))(CONNECT_DATA=(SERVICE_NAME=orders)))",
            ("db.shop", "1522", "orders"),
        ),
        ("(description = (address = (host = a) ) (connect_data = (sid = x) ) )", ("a", "1521", "x")),
        ("orders_alias", ("", "1521", "")),
        ("", ("", "1521", "")),
    ],
)
def test_servers_of_connect_strings(dsn, server):
    assert server_of(dsn) == server


def test_a_refused_connection_is_refused_as_before():
    def connect():
        return refused(oracledb.connect, user="u", password="p", dsn=NOWHERE, tcp_connect_timeout=5)[0]

    plain = connect()
    with instrumented("oracledb") as traced:
        assert connect() == plain
    assert not traced.spans


def test_the_server_of_an_asynchronous_connection():
    async def connect(**options):
        connection = oracledb.connect_async(user="u", password="p", **options)
        with pytest.raises(oracledb.Error):
            await connection
        return getattr(connection, ATTRIBUTE)

    with instrumented("oracledb"):
        where = {"host": "127.0.0.1", "port": 1, "service_name": "none"}
        told = [
            asyncio.run(connect(dsn=NOWHERE, tcp_connect_timeout=5)),
            asyncio.run(connect(**where)),
            asyncio.run(connect(params=oracledb.ConnectParams(**where))),
        ]
    for database in told:
        assert database._attributes == {
            "db.system.name": "oracle.db",
            "db.namespace": "none",
            "server.address": "127.0.0.1",
            "server.port": 1,
        }


def statement_of(connection_class, cursor_class, execute):
    """The span of a statement of a connection that was never made."""
    with instrumented("oracledb") as traced:
        connection = object.__new__(connection_class)
        connection._impl = None
        connection._connect_coroutine = None
        setattr(connection, ATTRIBUTE, Database(traced.patchers[0], "oracle.db", "orders", "db.shop", 1522))
        cursor = object.__new__(cursor_class)
        cursor._impl = None
        setattr(cursor, "_connection" if hasattr(cursor_class, "connection") else "connection", connection)
        kind, _text = refused(execute, cursor, "SELECT q'[it's]' FROM dual WHERE id = :id", [7])
    assert traced.span.name == "SELECT dual"
    assert traced.span.attributes["db.query.text"] == "SELECT ? FROM dual WHERE id = :id"
    assert traced.span.attributes["error.type"].endswith(kind)


def test_a_statement():
    statement_of(oracledb.Connection, oracledb.Cursor, lambda cursor, *given: cursor.execute(*given))


def test_a_statement_of_an_asynchronous_cursor():
    statement_of(
        oracledb.AsyncConnection,
        oracledb.AsyncCursor,
        lambda cursor, *given: asyncio.run(cursor.execute(*given)),
    )


def test_nothing_is_left_when_it_is_undone():
    originals = [dict(vars(kind)) for kind in (oracledb.Connection, oracledb.Cursor, oracledb.AsyncCursor)]
    with instrumented("oracledb"):
        assert oracledb.Cursor.execute is not originals[1]["execute"]
    kinds = (oracledb.Connection, oracledb.Cursor, oracledb.AsyncCursor)
    assert [dict(vars(kind)) for kind in kinds] == originals
