"""Spans for aiomysql, one per statement, batch or call.

Patched: `Connection._connect`, through which connections are established and established again, and the
methods of `Cursor`, which its other classes inherit.

Spec: https://opentelemetry.io/docs/specs/semconv/db/mysql/
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from autotrace.instrumentation.database import begin_call, observe_connect, observe_cursor
from autotrace.instrumentation.database_async import cursor_coroutine
from autotrace.instrumentation.mysql import database_of, observe_select_db

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from autotrace.instrumentation.database import Database
    from autotrace.patching.call import Call
    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `aiomysql.connection`."""

    def describe(connection: Any, _call: Call) -> Database:
        server = connection.host, connection.port, connection.unix_socket
        return database_of(patcher, connection.server_version, connection.db, *server)

    patcher.wrap(module, "Connection._connect", observe_connect(describe))
    patcher.wrap(module, "Connection.select_db", observe_select_db)
    many = functools.partial(cursor_coroutine, batch=True, statement="query", parameters="args")
    patcher.replace(module, "Cursor.execute", functools.partial(cursor_coroutine, statement="query"))
    patcher.replace(module, "Cursor.executemany", many)
    patcher.wrap(module, "Cursor.callproc", observe_cursor(begin_call))
