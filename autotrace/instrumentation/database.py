"""What the spans of all SQL drivers share: one CLIENT span for one call, statement told without its values.

A driver makes a `Database` for each connection and leaves it on the connection under `ATTRIBUTE`; cursors
find it through the `connection` attribute that DB-API gives them. The span covers the call, not the
reading of rows that may never be read. It is not made current: nothing below a driver makes spans.

Spec: https://opentelemetry.io/docs/specs/semconv/db/sql/
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.patching.guard import absorbed
from autotrace.tracing.context import current

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.attributes import Attributes
    from autotrace.tracing.span import Span

    Function = Callable[..., Any]

ATTRIBUTE: Final = "_autotrace_database"

_CLIENT: Final = SpanKind.CLIENT
_OLD_SYSTEMS: Final = {
    "aws.redshift": "redshift",
    "gcp.spanner": "spanner",
    "ibm.db2": "db2",
    "microsoft.sql_server": "mssql",
    "oracle.db": "oracle",
}
_OLD_NAMES: Final = {
    "db.namespace": "db.name",
    "db.operation.name": "db.operation",
    "db.query.text": "db.statement",
    "server.address": "net.peer.name",
    "server.port": "net.peer.port",
}


class Database:
    """What the spans of one connection have in common.

    Args:
        patcher: Of the driver; with its `undo` the connection falls silent.
        system: `db.system.name`, which names the dialect too.
        namespace: The database, as the application wrote it.
        address: The server, or nothing for a database in this process.
        port: Only with an address, and only where it is not the usual one.
        status_code: What the driver's exception says in its own code; empty where it says nothing.
    """

    __slots__ = ("_attributes", "_emit_old", "_patcher", "_statement", "_status_code", "_system", "running")

    def __init__(
        self,
        patcher: Patcher,
        system: str,
        namespace: str = "",
        address: str = "",
        port: int | None = None,
        status_code: Callable[[BaseException], str] = lambda _error: "",
    ) -> None:
        # With the first connection: a program may import a driver and never use it.
        from autotrace.instrumentation.sql import statement  # noqa: PLC0415

        self._statement = statement
        self._patcher = patcher
        self._system = system
        self._status_code = status_code
        self._emit_old = patcher.settings.emit_old_database
        self._attributes: Attributes = {"db.system.name": system}
        if self._emit_old:
            self._attributes["db.system"] = _OLD_SYSTEMS.get(system, system)
        if namespace:
            self._attributes["db.namespace"] = namespace
        if address:
            self._attributes["server.address"] = address
            if port is not None:
                self._attributes["server.port"] = port
        self.running: object = None
        """The cursor whose call has a span already: what the call itself calls gets no second one."""

    def start(self, sql: object) -> Span | None:
        """Begin the span of one statement, or of a script; None where nothing is recorded."""
        patcher = self._patcher
        if not patcher.enabled:
            return None
        found = self._statement(sql if type(sql) is str else _text(sql), self._system)
        attributes = {**self._attributes, **found.attributes}
        if self._emit_old:
            _add_old_names(attributes)
        return patcher.tracer.start_leaf(found.summary or self._system, _CLIENT, attributes, current())

    def start_batch(self, sql: object, parameters: object) -> Span | None:
        """Begin the span of one statement with many sets of parameters.

        They are counted only where that takes nothing from them. A single set is no batch.
        """
        patcher = self._patcher
        if not patcher.enabled:
            return None
        size = len(parameters) if isinstance(parameters, Sequence) else None
        if size == 1:
            return self.start(sql)
        found = self._statement(sql if type(sql) is str else _text(sql), self._system)
        summary = f"BATCH {found.summary}".rstrip()
        attributes = {**self._attributes, **found.attributes, "db.query.summary": summary}
        attributes["db.operation.name"] = f"BATCH {found.operation}".rstrip()
        if size is not None:
            attributes["db.operation.batch.size"] = size
        if self._emit_old:
            _add_old_names(attributes)
        return patcher.tracer.start_leaf(summary, _CLIENT, attributes, current())

    def finish(self, span: Span, error: BaseException | None = None) -> None:
        """End the span, with the exception that left the call. Never raises."""
        try:
            if error is not None:
                span.fail(error)
                code = self._status_code(error)
                if code:
                    span.set_attribute("db.response.status_code", code)
            span.end()
        except Exception as bug:
            absorbed(bug)


def cursor_method(original: Function, *, batch: bool = False) -> Function:
    """Wrap a cursor's `execute`, or with `batch` its `executemany`: one span for each outermost call."""

    @functools.wraps(original)
    def method(cursor: Any, *args: Any, **kwargs: Any) -> Any:
        database: Any = None
        span: Span | None = None
        try:
            database = getattr(cursor.connection, ATTRIBUTE, None)
            if args and database is not None and database.running is not cursor:
                if batch:
                    span = database.start_batch(args[0], args[1] if len(args) > 1 else None)
                else:
                    span = database.start(args[0])
        except Exception as bug:
            absorbed(bug)
        if span is None:
            return original(cursor, *args, **kwargs)
        database.running = cursor
        error: BaseException | None = None
        try:
            return original(cursor, *args, **kwargs)  # the only line that may raise
        except BaseException as raised:
            error = raised
            raise
        finally:
            database.running = None
            database.finish(span, error)
            error = None  # it holds this frame: the cycle would keep the application's objects

    return method


def _text(sql: object) -> str:
    """SQL that is no plain `str`; what only the driver can read says nothing."""
    if isinstance(sql, str):
        return str.__str__(sql)
    if isinstance(sql, (bytes, bytearray)):
        return bytes(sql).decode("utf-8", "replace")
    return ""


def _add_old_names(attributes: Attributes) -> None:
    for name, old in _OLD_NAMES.items():
        if name in attributes:
            attributes[old] = attributes[name]
