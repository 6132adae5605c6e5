"""What the spans of all SQL drivers share: one CLIENT span for one call, statement told without its values.

A driver makes a `Database` for each connection and leaves it on the connection under `ATTRIBUTE`; cursors
find it through the `connection` attribute that DB-API gives them. The span covers the call, not the
reading of rows that may never be read. It is not made current: nothing below a driver makes spans.

Spec: https://opentelemetry.io/docs/specs/semconv/db/sql/
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from time import time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.patching.guard import absorbed
from autotrace.tracing.context import current

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Final

    from autotrace.patching.around import Observer
    from autotrace.patching.call import Call, Outcome
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

_MAX_DATABASES: Final = 64
_MAX_PREPARED: Final = 512
_MAX_PREPARED_TEXT: Final = 4096

_prepared: dict[tuple[tuple[str, Any], ...], dict[str, tuple[str, Attributes]]] = {}
"""By database and statement: name and attributes of its spans, to be copied."""


class Database:
    """What the spans of one connection have in common.

    Args:
        patcher: Of the driver; with its `undo` the connection falls silent.
        system: `db.system.name`, which names the dialect too.
        namespace: The database, as the application wrote it.
        address: The server, or nothing for a database in this process.
        port: Only with an address, and only where it is not the usual one.
        status_code: What the driver's exception says in its own code; empty where it says nothing.
        text: Reads SQL that is neither text nor bytes, but an object of the driver's.
    """

    __slots__ = (
        "_attributes",
        "_emit_old",
        "_patcher",
        "_prepared",
        "_statement",
        "_status_code",
        "_system",
        "_text",
        "running",
        "waited",
    )

    def __init__(
        self,
        patcher: Patcher,
        system: str,
        namespace: str = "",
        address: str = "",
        port: int | None = None,
        status_code: Callable[[BaseException], str] = lambda _error: "",
        text: Callable[[Any], str] = lambda _sql: "",
    ) -> None:
        # With the first connection: a program may import a driver and never use it.
        from autotrace.instrumentation.sql import statement  # noqa: PLC0415

        self._statement = statement
        self._patcher = patcher
        self._system = system
        self._status_code = status_code
        self._text = text
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
        self._prepared = _prepared_for(self._attributes)
        self.running: object = None
        """The cursor whose call has a span already: what the call itself calls gets no second one."""
        self.waited: float | None = None
        """Seconds that it took to get the connection from a pool, until the next span has told it."""

    def use(self, namespace: str) -> None:
        """Note that the application has chosen another database of this server."""
        self._attributes = {**self._attributes, "db.namespace": namespace}
        self._prepared = _prepared_for(self._attributes)

    def start(self, sql: object) -> Span | None:
        """Begin the span of one statement, or of a script; None where nothing is recorded."""
        patcher = self._patcher
        if not patcher.enabled:
            return None
        try:
            name, attributes = self._prepared[sql]  # type: ignore[index]  # what cannot be a key is no text
        except (KeyError, TypeError):
            name, attributes = self._prepare(sql)
        return patcher.tracer.start_leaf(name, _CLIENT, attributes.copy(), current())

    def _prepare(self, sql: Any) -> tuple[str, Attributes]:
        """Name and attributes of a statement's span, remembered while its text is of usual size."""
        text = sql if type(sql) is str else self._read(sql)
        found = self._statement(text, self._system)
        attributes = {**self._attributes, **found.attributes}
        if self._emit_old:
            _add_old_names(attributes)
        prepared = found.summary or self._system, attributes
        if text is sql and len(text) <= _MAX_PREPARED_TEXT:
            if len(self._prepared) >= _MAX_PREPARED:
                self._prepared.clear()
            self._prepared[text] = prepared
        return prepared

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
        found = self._statement(sql if type(sql) is str else self._read(sql), self._system)
        summary = f"BATCH {found.summary}".rstrip()
        attributes = {**self._attributes, **found.attributes, "db.query.summary": summary}
        attributes["db.operation.name"] = f"BATCH {found.operation}".rstrip()
        if size is not None:
            attributes["db.operation.batch.size"] = size
        if self._emit_old:
            _add_old_names(attributes)
        return patcher.tracer.start_leaf(summary, _CLIENT, attributes, current())

    def start_call(self, procedure: str) -> Span | None:
        """Begin the span of one call of a stored procedure, for which there is no text."""
        patcher = self._patcher
        if not patcher.enabled:
            return None
        summary = f"CALL {procedure}"
        attributes = {
            **self._attributes,
            "db.operation.name": "CALL",
            "db.stored_procedure.name": procedure,
            "db.query.summary": summary,
        }
        if self._emit_old:
            _add_old_names(attributes)
        return patcher.tracer.start_leaf(summary, _CLIENT, attributes, current())

    def _read(self, sql: Any) -> str:
        """SQL that is no plain `str`."""
        if isinstance(sql, str):
            return str.__str__(sql)
        if isinstance(sql, (bytes, bytearray)):
            return bytes(sql).decode("utf-8", "replace")
        return self._text(sql)

    def finish(self, span: Span, error: BaseException | None = None) -> None:
        """End the span, with the exception that left the call. Never raises."""
        try:
            if self.waited is not None:
                span.set_attribute("db.client.connection.wait_time", self.waited)
                self.waited = None
            if isinstance(error, Exception):  # a KeyboardInterrupt says nothing about the database
                span.fail(error)
                code = self._status_code(error)
                if code:
                    span.set_attribute("db.response.status_code", code)
            span.end_time = time_ns()
            span._on_end(span)  # noqa: SLF001 - `span.end()`, without its check for a second call
        except Exception as bug:
            absorbed(bug)


def cursor_method(
    original: Function,
    *,
    batch: bool = False,
    statement: str = "",
    parameters: str = "",
    connection: str = "connection",
) -> Function:
    """Wrap a cursor's `execute`, or with `batch` its `executemany`: one span for each outermost call.

    Args:
        original: Called with the statement first.
        batch: Whether sets of parameters come second.
        statement: The name under which the statement may be passed instead.
        parameters: Likewise for the sets of parameters.
        connection: The cursor's attribute that is its connection.
    """

    @functools.wraps(original)
    def method(cursor: Any, *args: Any, **kwargs: Any) -> Any:
        database: Any = None
        span: Span | None = None
        try:
            database = getattr(getattr(cursor, connection, None), ATTRIBUTE, None)
            if (args or statement in kwargs) and database is not None and database.running is not cursor:
                sql = args[0] if args else kwargs[statement]
                if batch:
                    sets = args[1] if len(args) > 1 else kwargs.get(parameters)
                    span = database.start_batch(sql, sets)
                else:
                    span = database.start(sql)
        except Exception as bug:
            absorbed(bug)
        if span is None:
            return original(cursor, *args, **kwargs)
        database.running = cursor
        try:
            result = original(cursor, *args, **kwargs)  # the only line that may raise
        except BaseException as error:
            database.running = None
            database.finish(span, error)
            raise
        database.running = None
        database.finish(span)
        return result

    return method


def observe_connect(describe: Callable[[Any, Call], Database], holder: str = "") -> Observer:
    """An observer of what establishes a connection: it leaves on it the database that `describe` makes.

    Args:
        describe: Given the connection and the call.
        holder: An attribute of the connection that takes the database in its place.
    """

    def observe(call: Call) -> Generator[None, Outcome, None]:
        outcome = yield
        if outcome.error is None:
            connection = call.args[0]
            target = getattr(connection, holder) if holder else connection
            setattr(target, ATTRIBUTE, describe(connection, call))

    return observe


def observe_cursor(
    begin: Callable[[Database, Call], Span | None], connection: str = "connection"
) -> Observer:
    """An observer of any other method of a cursor, for which `begin` starts the span: of COPY, of a call."""

    def observe(call: Call) -> Generator[None, Outcome, None]:
        cursor: Any = call.args[0] if call.args else None
        database: Any = getattr(getattr(cursor, connection, None), ATTRIBUTE, None)
        span = begin(database, call) if database is not None and database.running is not cursor else None
        if span is None:
            return
        database.running = cursor
        outcome = yield
        database.running = None
        # What is no `Exception`, a cancelled task for one, has not failed.
        database.finish(span, outcome.error if isinstance(outcome.error, Exception) else None)

    return observe


def begin_call(database: Database, call: Call) -> Span | None:
    """For `callproc`."""
    name = call.get(1, "procname")
    return database.start_call(name) if isinstance(name, str) else None


def _prepared_for(attributes: Attributes) -> dict[str, tuple[str, Attributes]]:
    """What connections to one database share: a pool opens and closes many."""
    if len(_prepared) >= _MAX_DATABASES:
        _prepared.clear()
    return _prepared.setdefault(tuple(attributes.items()), {})


def _add_old_names(attributes: Attributes) -> None:
    for name, old in _OLD_NAMES.items():
        if name in attributes:
            attributes[old] = attributes[name]
