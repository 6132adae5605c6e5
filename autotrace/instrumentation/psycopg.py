"""Spans for psycopg 3, synchronous and asynchronous: one per statement, batch, stream or COPY.

Patched: the `__init__` of both connections, which notes the server, and the methods of cursors that send
statements; those of connections go through them. A span of `stream` or `copy` lasts until the last row. In
pipeline mode a statement is only sent when its span ends.

Spec: https://opentelemetry.io/docs/specs/semconv/db/postgresql/
"""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.database import cursor_method, observe_connect, observe_cursor
from autotrace.instrumentation.database_async import cursor_coroutine
from autotrace.instrumentation.postgresql import database_of, sqlstate
from autotrace.patching.around import around

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from autotrace.instrumentation.database import Database
    from autotrace.patching.call import Call
    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.span import Span

    Function = Callable[..., Any]


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch the module `psycopg`."""
    _patch(module, patcher, "", cursor_method, contextlib.contextmanager)
    _patch(module, patcher, "Async", cursor_coroutine, contextlib.asynccontextmanager)


def _patch(module: ModuleType, patcher: Patcher, prefix: str, method: Any, manager: Any) -> None:
    """Patch one of the two kinds of connections and cursors."""

    def describe(connection: Any, _call: Call) -> Database:
        return database_of(connection.info, patcher, sqlstate)

    execute = functools.partial(method, statement="query")
    many = functools.partial(method, batch=True, statement="query", parameters="params_seq")
    patcher.wrap(module, f"{prefix}Connection.__init__", observe_connect(describe))
    patcher.replace(module, f"{prefix}Cursor.execute", execute)
    patcher.replace(module, f"{prefix}ServerCursor.execute", execute)
    patcher.replace(module, f"{prefix}Cursor.executemany", many)
    patcher.wrap(module, f"{prefix}Cursor.stream", observe_cursor(_begin))
    patcher.replace(module, f"{prefix}Cursor.copy", functools.partial(_copy, manager))


def _copy(manager: Callable[[Function], Function], original: Any) -> Function:
    """Observe the generator that a context manager is made of."""
    return manager(around(original.__wrapped__, observe_cursor(_begin)))


def _begin(database: Database, call: Call) -> Span | None:
    return database.start(call.get(1, "query", call.kwargs.get("statement")))
