"""Spans for python-oracledb, thin and thick, synchronous and asynchronous: one per statement, batch or call.

Patched: `Connection.__init__` and `connect_async`, which note the server, and the methods of cursors, which
those of connections go through.

Spec: https://opentelemetry.io/docs/specs/semconv/db/oracledb/
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.database import (
    ATTRIBUTE,
    Database,
    cursor_method,
    observe_connect,
    observe_cursor,
)
from autotrace.instrumentation.database_async import cursor_coroutine
from autotrace.patching.call import Call

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType
    from typing import Final

    from autotrace.patching.call import Outcome
    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.span import Span

_DEFAULT_PORT: Final = "1521"
_EASY: Final = re.compile(r"(?:\w+:)?(?://)?([^/:@\s()]+|\[[^\]]+\])(?::(\d+))?/([^:/?\s]*)")
_DESCRIPTOR: Final = {
    name: re.compile(rf"\(\s*{name}\s*=\s*([^)\s]+)\s*\)", re.IGNORECASE)
    for name in ("HOST", "PORT", "SERVICE_NAME", "SID")
}


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch the module `oracledb`."""

    def describe(_connection: Any, call: Call) -> Database:
        return _database_of(Call(call.args[1:], call.kwargs), patcher)

    def observe_connect_async(call: Call) -> Generator[None, Outcome, None]:
        outcome = yield
        if outcome.error is None:
            setattr(outcome.result, ATTRIBUTE, _database_of(call, patcher))

    patcher.wrap(module, "Connection.__init__", observe_connect(describe))
    patcher.wrap(module, "connect_async", observe_connect_async)
    _patch_cursor(module, patcher, "Cursor", cursor_method)
    _patch_cursor(module, patcher, "AsyncCursor", cursor_coroutine)


def _patch_cursor(module: ModuleType, patcher: Patcher, cursor: str, method: Any) -> None:
    many = functools.partial(method, batch=True, statement="statement", parameters="parameters")
    patcher.replace(module, f"{cursor}.execute", functools.partial(method, statement="statement"))
    patcher.replace(module, f"{cursor}.executemany", many)
    for name in ("callproc", "callfunc"):
        patcher.wrap(module, f"{cursor}.{name}", observe_cursor(_begin_call))


def _begin_call(database: Database, call: Call) -> Span | None:
    name = call.get(1, "name")
    return database.start_call(name) if isinstance(name, str) else None


def _database_of(call: Call, patcher: Patcher) -> Database:
    """The server that a call is to connect with, by its options in the order of `oracledb.connect`."""
    options = call.kwargs
    pool, params = options.get("pool"), options.get("params")
    dsn = call.get(0, "dsn") or getattr(pool, "dsn", None)
    if not dsn and options.get("host"):
        dsn = f"{options['host']}:{options.get('port', _DEFAULT_PORT)}/{options.get('service_name', '')}"
    if not dsn and params is not None:
        dsn = params.get_connect_string()
    host, port, service = server_of(dsn or "")
    return Database(
        patcher, "oracle.db", service, host, None if port == _DEFAULT_PORT else int(port), _status_code
    )


def server_of(dsn: str) -> tuple[str, str, str]:
    """Host, port and service of a connect string; empty where it is a name in somebody's tnsnames.ora."""
    if "(" in dsn:
        found = {name: pattern.search(dsn) for name, pattern in _DESCRIPTOR.items()}
        host, port, service = found["HOST"], found["PORT"], found["SERVICE_NAME"] or found["SID"]
        return (
            host[1] if host else "",
            port[1] if port else _DEFAULT_PORT,
            service[1] if service else "",
        )
    match = _EASY.match(dsn)
    return (match[1].strip("[]"), match[2] or _DEFAULT_PORT, match[3]) if match else ("", _DEFAULT_PORT, "")


def _status_code(error: BaseException) -> str:
    """As in `ORA-00942`."""
    code = getattr(error.args[0], "full_code", "") if error.args else ""
    return code if isinstance(code, str) else ""
