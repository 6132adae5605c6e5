"""Spans for mysql-connector-python, one per statement, batch or call.

It has three kinds of connections: in Python, with a C extension, and asynchronous. Patched: `connect` of
each, which notes the server, and the methods of its cursors. `executemany` and `callproc` send several
statements and make one span.

Spec: https://opentelemetry.io/docs/specs/semconv/db/mysql/
"""

from __future__ import annotations

import functools
from importlib import import_module
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.database import (
    ATTRIBUTE,
    begin_call,
    cursor_method,
    observe_connect,
    observe_cursor,
)
from autotrace.instrumentation.database_async import cursor_coroutine
from autotrace.instrumentation.mysql import database_of

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType
    from typing import Final

    from autotrace.instrumentation.database import Database
    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

_CONNECTION: Final = "_connection"
"""The attribute of a cursor that is a proxy of its connection."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `mysql.connector.connection`, all in Python."""
    _patch(module, patcher, "", cursor_method)


def install_cext(module: ModuleType, patcher: Patcher) -> None:
    """Patch `mysql.connector.connection_cext`, which uses MySQL's C library."""
    older = import_module("mysql.connector.version").VERSION < (9,)
    _patch(module, patcher, "C", cursor_method, "_cnx" if older else _CONNECTION)


def install_aio(module: ModuleType, patcher: Patcher) -> None:
    """Patch `mysql.connector.aio.connection`."""
    _patch(module, patcher, "", cursor_coroutine)


def _patch(
    module: ModuleType, patcher: Patcher, prefix: str, method: Any, attribute: str = _CONNECTION
) -> None:
    def describe(connection: Any, _call: Call) -> Database:
        is_property = hasattr(type(connection), "server_info")  # not of older ones
        return database_of(
            patcher,
            connection.server_info if is_property else connection.get_server_info(),
            connection._database,  # noqa: SLF001 - the property asks the server
            connection.server_host,
            connection.server_port,
            connection.unix_socket,
        )

    execute = functools.partial(method, statement="operation", connection=attribute)
    many = functools.partial(
        method, batch=True, statement="operation", parameters="seq_params", connection=attribute
    )
    patcher.wrap(module, f"{prefix}MySQLConnection.connect", observe_connect(describe))
    patcher.wrap(module, f"{prefix}MySQLConnection.info_query", _observe_info_query)
    for kind in ("", "Prepared"):
        patcher.replace(module, f"{prefix}MySQLCursor{kind}.execute", execute)
        patcher.replace(module, f"{prefix}MySQLCursor{kind}.executemany", many)
    patcher.wrap(module, f"{prefix}MySQLCursor.callproc", observe_cursor(begin_call, attribute))


def _observe_info_query(call: Call) -> Generator[None, Outcome, None]:
    """What the driver asks for itself, amid an `executemany` for one, gets no span."""
    connection = call.args[0]
    database = getattr(connection, ATTRIBUTE, None)
    setattr(connection, ATTRIBUTE, None)
    yield
    setattr(connection, ATTRIBUTE, database)
