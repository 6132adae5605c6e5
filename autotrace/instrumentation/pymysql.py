"""Spans for PyMySQL, one per statement, batch or call.

Patched: `Connection.connect`, which notes the server, and the methods of `Cursor`, which its other classes
inherit. `executemany` and `callproc` send several statements and make one span.

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
    """Patch the module `pymysql`."""

    def describe(connection: Any, _call: Call) -> Database:
        server = connection.host, connection.port, connection.unix_socket
        return database_of(patcher, connection.server_version, connection.db, *server)

    patcher.wrap(module.connections, "Connection.connect", observe_connect(describe))
    patcher.wrap(module.connections, "Connection.select_db", observe_select_db)
    cursors: ModuleType = module.cursors
    many = functools.partial(cursor_method, batch=True, statement="query", parameters="args")
    patcher.replace(cursors, "Cursor.execute", functools.partial(cursor_method, statement="query"))
    patcher.replace(cursors, "Cursor.executemany", many)
    patcher.wrap(cursors, "Cursor.callproc", observe_cursor(begin_call))
