"""pymssql up to the connection that fails: there is no server here."""

from __future__ import annotations

import pymssql
import pytest
from alike import refused
from instrumented import instrumented

from autotrace.instrumentation.pymssql import database_of


@pytest.mark.parametrize(
    ("arguments", "options", "address", "port"),
    [
        (("db.shop", "u", "p", "orders"), {}, "db.shop", None),
        ((), {"server": "db.shop:1500", "database": "orders"}, "db.shop", 1500),
        ((), {"server": "tcp:db.shop,1500", "database": "orders"}, "db.shop", 1500),
        ((), {"host": r"db.shop\SQLEXPRESS", "database": "orders", "port": 1501}, "db.shop", 1501),
    ],
)
def test_servers(arguments, options, address, port):
    with instrumented("pymssql") as traced:
        span = database_of(traced.patchers[0], *arguments, **options).start(
            "SELECT [a] FROM [t] WHERE b = N'x'"
        )
    assert span.name == "SELECT [t]"
    assert span.attributes["db.system.name"] == "microsoft.sql_server"
    assert span.attributes["db.namespace"] == "orders"
    assert span.attributes["db.query.text"] == "SELECT [a] FROM [t] WHERE b = ?"
    assert span.attributes["server.address"] == address
    assert span.attributes.get("server.port") == port


def test_a_refused_connection_is_refused_as_before():
    def connect():
        return refused(pymssql.connect, "127.0.0.1", "u", "p", "none", port="1", login_timeout=5)

    plain, original = connect(), pymssql.connect
    with instrumented("pymssql") as traced:
        assert pymssql.connect is not original
        assert connect() == plain
    assert pymssql.connect is original
    assert not traced.spans
