"""Spans for pyodbc, one per statement or batch, with any ODBC driver.

Patched: `pyodbc.connect`, which returns a proxy: its classes can be neither patched nor derived from.

Spec: https://opentelemetry.io/docs/specs/semconv/db/sql/
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.database import Database
from autotrace.patching.guard import absorbed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Final

    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_SYSTEMS: Final = (
    ("sql server", "microsoft.sql_server"),
    ("postgres", "postgresql"),
    ("mariadb", "mariadb"),
    ("mysql", "mysql"),
    ("oracle", "oracle.db"),
    ("sqlite", "sqlite"),
    ("db2", "ibm.db2"),
    ("redshift", "aws.redshift"),
)
_RETURNS_ITSELF: Final = (
    *("tables", "columns", "statistics", "rowIdColumns", "rowVerColumns", "primaryKeys", "foreignKeys"),
    *("procedures", "procedureColumns", "getTypeInfo"),
)
_SERVER: Final = re.compile(
    r"(?:^|;)\s*(?:server|servername|host)\s*=\s*(?:tcp:)?([^;,]+)(?:,\s*(\d+))?", re.IGNORECASE
)
_PORT: Final = re.compile(r"(?:^|;)\s*port\s*=\s*(\d+)", re.IGNORECASE)
_DEFAULT_PORTS: Final = {"1433", "5432", "3306", "1521"}


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch the module `pyodbc`."""

    def make(original: Function) -> Function:
        @functools.wraps(original)
        def connect(*args: Any, **kwargs: Any) -> Any:
            connection = original(*args, **kwargs)
            if patcher.enabled:
                try:
                    return _connection_class()(
                        connection, database_of(connection, module, args, kwargs, patcher)
                    )
                except Exception as bug:
                    absorbed(bug)
            return connection

        return connect

    patcher.replace(module, "connect", make)


@functools.cache
def _connection_class() -> type[Any]:
    from autotrace.instrumentation.proxies import ConnectionProxy, CursorProxy  # noqa: PLC0415 - see there

    def itself(name: str) -> Function:
        def method(cursor: Any, *args: Any, **kwargs: Any) -> Any:
            return cursor._self_or(getattr(cursor.__wrapped__, name)(*args, **kwargs))  # noqa: SLF001 - of our class

        return method

    def execute(connection: Any, *args: Any, **kwargs: Any) -> Any:
        return connection.cursor().execute(*args, **kwargs)

    cursors = type("Cursor", (CursorProxy,), {name: itself(name) for name in _RETURNS_ITSELF})
    return type("Connection", (ConnectionProxy,), {"_self_cursors": cursors, "execute": execute})


def database_of(
    connection: Any, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], patcher: Patcher
) -> Database:
    """What the ODBC driver knows; the server's address rather as the application has written it."""
    product = str(connection.getinfo(module.SQL_DBMS_NAME)).lower()
    system = next((system for word, system in _SYSTEMS if word in product), "other_sql")
    text = ";".join([*(args[0:1]), *(f"{key}={value}" for key, value in kwargs.items())])
    server, port = _SERVER.search(text), _PORT.search(text)
    address = server[1].strip(" {}") if server else str(connection.getinfo(module.SQL_SERVER_NAME))
    number = port[1] if port else server[2] if server else None
    return Database(
        patcher,
        system,
        str(connection.getinfo(module.SQL_DATABASE_NAME)),
        address,
        None if number is None or number in _DEFAULT_PORTS else int(number),
        _status_code,
    )


def _status_code(error: BaseException) -> str:
    """The SQLSTATE, which comes first."""
    first = error.args[0] if error.args else ""
    return first if isinstance(first, str) and len(first) == 5 else ""  # noqa: PLR2004 - of every SQLSTATE
