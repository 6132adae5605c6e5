"""Spans for asyncpg: one per statement, batch, cursor or COPY.

Patched: the methods of connections, prepared statements and cursors that send statements, and
`Connection.__init__`, which notes the server on the protocol: connections take no attributes. A prepared
statement makes a span when it runs, or when it cannot be prepared. What the driver does by itself (BEGIN and
COMMIT of `transaction()`, the reset of a pool's connection) gets none.

Spec: https://opentelemetry.io/docs/specs/semconv/db/postgresql/
"""

# ruff: noqa: SLF001 - asyncpg tells little of its connections in public

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.database import ATTRIBUTE, observe_connect, observe_cursor
from autotrace.instrumentation.database_async import cursor_coroutine
from autotrace.instrumentation.postgresql import copy_text, database_at, sqlstate
from autotrace.patching.around import around
from autotrace.patching.call import Call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from types import ModuleType
    from typing import Final

    from autotrace.instrumentation.database import Database
    from autotrace.patching.around import Observer
    from autotrace.patching.call import Outcome
    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.span import Span

    Function = Callable[..., Any]

_HOLDER: Final = "_protocol"
"""The attribute of a connection that holds the database."""
_MANY: Final = {"executemany": "command", "fetchmany": "query"}
"""What runs a statement for many rows, and what the statement is called there; `fetchmany` is of 0.30."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch the module `asyncpg`."""

    def describe(connection: Any, _call: Call) -> Database:
        # What nothing public tells. The address is the path of a Unix socket, where it is no pair.
        address, name = connection._addr, connection._params.database
        host, port = address if isinstance(address, tuple) else (address, 0)
        return database_at(host, port, name or "", patcher, sqlstate)

    patcher.wrap(module.connection, "Connection.__init__", observe_connect(describe, _HOLDER))
    _patch_connection(module.connection, patcher)
    observe = _observe_prepared(lambda database, call: database.start(call.args[0]._query))
    for path in ("fetch", "fetchval", "fetchrow"):
        patcher.replace(module.prepared_stmt, f"PreparedStatement.{path}", _guarded(observe))
    many = _observe_prepared(
        lambda database, call: database.start_batch(call.args[0]._query, call.get(1, "args"))
    )
    for name in _MANY:
        if hasattr(module.prepared_stmt.PreparedStatement, name):
            patcher.replace(module.prepared_stmt, f"PreparedStatement.{name}", _guarded(many))
    for path in ("_bind", "_bind_exec"):
        patcher.wrap(module.cursor, f"BaseCursor.{path}", observe)
    for path in ("start", "_Transaction__commit", "_Transaction__rollback"):
        patcher.replace(module.transaction, f"Transaction.{path}", _guarded(_silence))


def _patch_connection(module: ModuleType, patcher: Patcher) -> None:
    execute = functools.partial(cursor_coroutine, statement="query", connection=_HOLDER)
    for name in ("execute", "fetch", "fetchval", "fetchrow"):
        patcher.replace(module, f"Connection.{name}", execute)
    for name, statement in _MANY.items():
        if hasattr(module.Connection, name):
            many = functools.partial(
                cursor_coroutine, batch=True, statement=statement, parameters="args", connection=_HOLDER
            )
            patcher.replace(module, f"Connection.{name}", many)
    patcher.wrap(module, "Connection.prepare", _observe_prepare)
    patcher.wrap(module, "Connection.reset", _silence)
    for name, begin in (
        ("copy_from_table", _begin_copy_out),
        ("copy_from_query", _begin_copy_query),
        ("copy_to_table", _begin_copy_in),
        ("copy_records_to_table", _begin_copy_in),
    ):
        patcher.wrap(module, f"Connection.{name}", observe_cursor(begin, _HOLDER))


def _guarded(observer: Observer) -> Callable[[Function], Function]:
    """Observe a method that asyncpg has wrapped: it checks, raises at once, and returns a coroutine."""

    async def awaited(coroutine: Awaitable[Any], *_args: Any, **_kwargs: Any) -> Any:
        return await coroutine

    observed = around(awaited, lambda call: observer(Call(call.args[1:], call.kwargs)))

    def make(original: Function) -> Function:
        @functools.wraps(original)
        def method(*args: Any, **kwargs: Any) -> Any:
            return observed(original(*args, **kwargs), *args, **kwargs)

        return method

    return make


def _begin_copy_out(database: Database, call: Call) -> Span | None:
    return database.start(copy_text(call.get(1, "table_name"), "TO STDOUT"))


def _begin_copy_in(database: Database, call: Call) -> Span | None:
    return database.start(copy_text(call.get(1, "table_name"), "FROM STDIN"))


def _begin_copy_query(database: Database, call: Call) -> Span | None:
    return database.start(f"COPY ({call.get(1, 'query')}) TO STDOUT")


def _observe_prepared(begin: Callable[[Database, Call], Span | None]) -> Observer:
    """An observer of a method of a prepared statement or of a cursor."""

    def observe(call: Call) -> Generator[None, Outcome, None]:
        database: Any = getattr(call.args[0]._connection._protocol, ATTRIBUTE, None)
        span = begin(database, call) if database is not None else None
        if span is not None:
            outcome = yield
            database.finish(span, _failure(outcome))

    return observe


def _observe_prepare(call: Call) -> Generator[None, Outcome, None]:
    """The span is that of the failure; a statement that could be prepared makes one when it runs."""
    database: Any = getattr(call.args[0]._protocol, ATTRIBUTE, None)
    span = database.start(call.get(1, "query")) if database is not None else None
    if span is not None:
        outcome = yield
        error = _failure(outcome)
        if error is not None:
            database.finish(span, error)


def _silence(call: Call) -> Generator[None, Outcome, None]:
    """Let what a connection executes for itself, or for a transaction, be nested in a call of its own."""
    connection = getattr(call.args[0], "_connection", call.args[0])
    database = getattr(connection._protocol, ATTRIBUTE, None)
    if database is not None:
        database.running = connection
        yield
        database.running = None


def _failure(outcome: Outcome) -> Exception | None:
    """A task that is cancelled has not failed."""
    return outcome.error if isinstance(outcome.error, Exception) else None
