"""Spans for SQLAlchemy with drivers that make none themselves, and the wait for its pool with all of them.

Patched: `Connection.__init__` of the engine, which checks a connection out, and the methods of
`DefaultDialect` that hand a statement to the driver. Where the driver is traced, the span is the driver's,
and the first one after a checkout says how long that took. Where it is not, the span is made here, from what
the engine's URL tells. What SQLAlchemy asks a server at first for itself gets none from here.

Spec: https://opentelemetry.io/docs/specs/semconv/db/sql/
"""

from __future__ import annotations

import functools
import sys
from time import perf_counter
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.database import ATTRIBUTE, Database
from autotrace.patching.guard import absorbed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType
    from typing import Final

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.span import Span

    Function = Callable[..., Any]

_SYSTEMS: Final = {"mssql": "microsoft.sql_server", "oracle": "oracle.db", "redshift": "aws.redshift"}
"""Of dialects whose name is not that of the system."""

_DEFAULT_PORTS: Final = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306, "mssql": 1433, "oracle": 1521}
_MAX_DEPTH: Final = 4


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `sqlalchemy.engine.default`, and `sqlalchemy.engine.base`, which is there by then."""

    def observe_init(call: Call) -> Generator[None, Outcome, None]:
        if call.get(2, "connection") is not None:
            return  # one that SQLAlchemy opens to learn about the server
        started = perf_counter()
        outcome = yield
        if outcome.error is None:
            setattr(call.args[0], ATTRIBUTE, _Checkout(patcher, perf_counter() - started))

    patcher.wrap(sys.modules["sqlalchemy.engine.base"], "Connection.__init__", observe_init)
    patcher.replace(module, "DefaultDialect.do_execute", _statement_method)
    patcher.replace(module, "DefaultDialect.do_execute_no_params", _statement_method)
    many = functools.partial(_statement_method, batch=True)
    patcher.replace(module, "DefaultDialect.do_executemany", many)


class _Checkout:
    """One use of a connection of the pool."""

    __slots__ = ("_database", "_patcher", "_waited")

    def __init__(self, patcher: Patcher, waited: float) -> None:
        self._patcher = patcher
        self._waited: float | None = waited
        self._database: Database | None = None

    def database(self, connection: Any) -> Database | None:
        """To make spans with; None where the driver makes them."""
        if self._waited is not None:  # its first statement
            drivers = of_driver(connection._dbapi_connection.dbapi_connection)  # noqa: SLF001 - `connection` may reconnect
            told_by = drivers or _of_engine(connection.engine, self._patcher)
            told_by.waited, self._waited = self._waited, None
            if drivers is None:
                self._database = told_by
        return self._database


def of_driver(connection: Any) -> Database | None:
    """What the driver's instrumentation has left on its connection, be it below an adapter."""
    for _ in range(_MAX_DEPTH):
        database: Database | None = getattr(connection, ATTRIBUTE, None)
        if database is not None:
            return database
        # `_protocol`, since asyncpg's connections take no attributes; `_conn` is aioodbc's.
        inner = (getattr(connection, name, None) for name in ("_connection", "_protocol", "_conn"))
        connection = next(filter(None, inner), None)
    return None


def _of_engine(engine: Any, patcher: Patcher) -> Database:
    url, name = engine.url, engine.dialect.name
    port = None if url.port == _DEFAULT_PORTS.get(name) else url.port
    return Database(patcher, _SYSTEMS.get(name, name), url.database or "", url.host or "", port, _status_code)


def _statement_method(original: Function, *, batch: bool = False) -> Function:
    """Of `do_execute(cursor, statement, parameters, context)` and its like."""

    @functools.wraps(original)
    def method(dialect: Any, cursor: Any, statement: Any, *args: Any, **kwargs: Any) -> Any:
        database: Database | None = None
        span: Span | None = None
        try:
            context = args[-1] if args else kwargs.get("context")
            connection = getattr(context, "root_connection", None)
            checkout: _Checkout | None = getattr(connection, ATTRIBUTE, None)
            database = checkout.database(connection) if checkout is not None else None
            if database is not None:
                span = database.start_batch(statement, args[0]) if batch else database.start(statement)
        except Exception as bug:
            absorbed(bug)
        if span is None or database is None:
            return original(dialect, cursor, statement, *args, **kwargs)
        try:
            result = original(dialect, cursor, statement, *args, **kwargs)  # the only line that may raise
        except BaseException as error:
            database.finish(span, error)
            raise
        database.finish(span)
        return result

    return method


def _status_code(error: BaseException) -> str:
    """In any driver's words: a SQLSTATE, or the number or code that comes first."""
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    first = error.args[0] if error.args else None
    if isinstance(first, dict):
        code = code or first.get("C")
    return code if isinstance(code, str) else str(first) if isinstance(first, int) else ""
