"""Spans for mysqlclient (`MySQLdb`), one per statement, batch or call.

Patched: `Connection.__init__`, which notes the server, and the methods of `BaseCursor`, which all classes of
cursors inherit. `executemany` and `callproc` send several statements and make one span.

Spec: https://opentelemetry.io/docs/specs/semconv/db/mysql/
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from autotrace.instrumentation.database import begin_call, cursor_method, observe_connect, observe_cursor
from autotrace.instrumentation.mysql import database_of, observe_select_db

if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from autotrace.instrumentation.database import Database
    from autotrace.patching.call import Call
    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `MySQLdb.connections`."""

    def describe(connection: Any, call: Call) -> Database:
        name = call.get(4, "database") or call.kwargs.get("db")
        # What an option file says, only the connection knows: `127.0.0.1 via TCP/IP`.
        host = call.get(1, "host") or connection.get_host_info().partition(" ")[0].lower()
        return database_of(
            patcher, connection.get_server_info(), name, host, connection.port, call.get(6, "unix_socket")
        )

    patcher.wrap(module, "Connection.__init__", observe_connect(describe))
    patcher.wrap(module, "Connection.select_db", observe_select_db)
    cursors: ModuleType = module.cursors
    many = functools.partial(cursor_method, batch=True, statement="query", parameters="args")
    patcher.replace(cursors, "BaseCursor.execute", functools.partial(cursor_method, statement="query"))
    patcher.replace(cursors, "BaseCursor.executemany", many)
    patcher.wrap(cursors, "BaseCursor.callproc", observe_cursor(begin_call))
