"""Spans for pymssql, one per statement, batch or call.

Patched: `pymssql.connect`, which returns a proxy: it takes no class of ours, and its own cannot be patched.

Spec: https://opentelemetry.io/docs/specs/semconv/db/sql-server/
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.database import Database, begin_call, observe_cursor
from autotrace.patching.around import around
from autotrace.patching.guard import absorbed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Final

    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_DEFAULT_PORT: Final = "1433"
_SERVER: Final = re.compile(r"(?:tcp:)?([^\\,:]+)(?:\\[^,:]*)?(?:[,:](\d+))?")


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch the module `pymssql`."""

    def make(original: Function) -> Function:
        @functools.wraps(original)
        def connect(*args: Any, **kwargs: Any) -> Any:
            database = None
            if patcher.enabled:
                try:
                    database = database_of(patcher, *args, **kwargs)
                except Exception as bug:
                    absorbed(bug)
            connection = original(*args, **kwargs)
            if database is not None:
                try:
                    return _connection_class()(connection, database)
                except Exception as bug:
                    absorbed(bug)
            return connection

        return connect

    patcher.replace(module, "connect", make)


@functools.cache
def _connection_class() -> type[Any]:
    from autotrace.instrumentation.proxies import ConnectionProxy, CursorProxy  # noqa: PLC0415 - see there

    def callproc(cursor: Any, *args: Any, **kwargs: Any) -> Any:
        return cursor.__wrapped__.callproc(*args, **kwargs)

    methods = {"callproc": around(callproc, observe_cursor(begin_call))}
    cursors = type("Cursor", (CursorProxy,), methods)
    return type("Connection", (ConnectionProxy,), {"_self_cursors": cursors})


def database_of(
    patcher: Patcher,
    server: str = "",
    _user: object = None,
    _password: object = None,
    database: str = "",
    *_others: object,
    host: str = "",
    port: object = _DEFAULT_PORT,
    **_more: object,
) -> Database:
    """From the arguments of `connect`, where a server may have a port and an instance with it."""
    match = _SERVER.match(server or host)
    address, own_port = match.groups() if match else ("", None)
    number = own_port or str(port)
    return Database(
        patcher,
        "microsoft.sql_server",
        database,
        address,
        None if number == _DEFAULT_PORT else int(number),
        _status_code,
    )


def _status_code(error: BaseException) -> str:
    """The server's number, which comes first."""
    number = error.args[0] if error.args else None
    return str(number) if isinstance(number, int) else ""
