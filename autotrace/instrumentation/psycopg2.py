"""Spans for psycopg2: one per statement, batch, call or COPY.

Patched: `psycopg2._connect`, which `connect` calls, under whatever name the application has that. It makes
connections of a class of ours (composed with the application's `connection_factory`), and these make cursors
likewise: the classes are written in C and cannot be patched. What the driver does by itself (BEGIN,
`commit`) gets no span, nor do connections and cursors that the application makes by calling their class.

`execute_values` and `execute_batch` send many rows in a few statements, with the values written into them:
they are batches of the statement that they were given.

Spec: https://opentelemetry.io/docs/specs/semconv/db/postgresql/
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.database import ATTRIBUTE, begin_call, cursor_method, observe_cursor
from autotrace.instrumentation.postgresql import copy_text, database_of
from autotrace.instrumentation.twins import Twins, make_twin, unpicklable
from autotrace.patching.around import around
from autotrace.patching.guard import absorbed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from autotrace.instrumentation.database import Database
    from autotrace.patching.call import Call
    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.span import Span

    Function = Callable[..., Any]


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch the module `psycopg2`."""
    classes = _Classes(module.extensions, patcher)

    def make(original: Function) -> Function:
        @functools.wraps(original)
        def _connect(*args: Any, **kwargs: Any) -> Any:
            if patcher.enabled:
                try:
                    if len(args) > 1:
                        args = (args[0], classes.connection(args[1]), *args[2:])
                    else:
                        factory = classes.connection(kwargs.get("connection_factory"))
                        kwargs = {**kwargs, "connection_factory": factory}
                except Exception as bug:
                    absorbed(bug)
            return original(*args, **kwargs)

        return _connect

    patcher.replace(module, "_connect", make)


def install_extras(module: ModuleType, patcher: Patcher) -> None:
    """Patch `psycopg2.extras`."""
    observe = observe_cursor(_begin_many)
    patcher.wrap(module, "execute_values", observe)
    patcher.wrap(module, "execute_batch", observe)


class _Classes:
    """The traced twins of the driver's classes and of the application's own."""

    def __init__(self, extensions: ModuleType, patcher: Patcher) -> None:
        self._Connection: type[Any] = extensions.connection
        self._Cursor: type[Any] = extensions.cursor
        self._patcher = patcher
        # Between the application's class and the driver's, where `super().cursor()` arrives.
        self._below = make_twin(
            self._Connection, (self._Connection,), {"__slots__": (), "cursor": self._make_cursor()}
        )
        # State in a slot: like the driver's own, the class takes no attributes of the application's.
        self._connection = make_twin(
            self._Connection, (self._below,), {"__slots__": (ATTRIBUTE,), **unpicklable(self._Connection)}
        )
        self._connections = Twins(self._Connection, lambda factory: ((factory, self._below), {}))
        self._cursors = Twins(self._Cursor, self._traced)

    def connection(self, factory: Any) -> Any:
        """The class to make connections of, given the application's or None."""
        if factory is None or factory is self._Connection:
            return self._connection
        return self._connections.of(factory)

    def _traced(self, factory: type[Any]) -> tuple[tuple[type[Any], ...], dict[str, Any]]:
        """What makes a traced cursor class of another."""
        own = unpicklable(factory) if factory is self._Cursor else {}
        return (factory,), {**_cursor_methods(factory), **own}

    def _make_cursor(self) -> Function:
        original: Function = self._Connection.cursor
        patcher = self._patcher

        @functools.wraps(original)
        def cursor(connection: Any, *args: Any, **kwargs: Any) -> Any:
            if patcher.enabled:
                try:
                    if getattr(connection, ATTRIBUTE, None) is None:
                        database = database_of(connection.info, patcher, _status_code)
                        object.__setattr__(connection, ATTRIBUTE, database)
                    if len(args) > 1:
                        args = (args[0], self._cursor(connection, args[1]), *args[2:])
                    else:
                        factory = self._cursor(connection, kwargs.get("cursor_factory"))
                        kwargs = {**kwargs, "cursor_factory": factory}
                except Exception as bug:
                    absorbed(bug)
            return original(connection, *args, **kwargs)

        return cursor

    def _cursor(self, connection: Any, factory: Any) -> Any:
        if factory is None:
            factory = connection.cursor_factory
        return self._cursors.of(self._Cursor if factory is None else factory)


def _cursor_methods(factory: type[Any]) -> dict[str, Any]:
    return {
        "__slots__": (),
        "execute": cursor_method(factory.execute, statement="query"),
        "executemany": cursor_method(
            factory.executemany, batch=True, statement="query", parameters="vars_list"
        ),
        "callproc": around(factory.callproc, observe_cursor(begin_call)),
        "copy_expert": around(factory.copy_expert, observe_cursor(_begin_copy)),
        "copy_from": around(factory.copy_from, observe_cursor(_begin_copy_from)),
        "copy_to": around(factory.copy_to, observe_cursor(_begin_copy_to)),
    }


def _begin_copy(database: Database, call: Call) -> Span | None:
    return database.start(call.get(1, "sql"))


def _begin_copy_from(database: Database, call: Call) -> Span | None:
    return database.start(copy_text(call.get(2, "table"), "FROM STDIN"))


def _begin_copy_to(database: Database, call: Call) -> Span | None:
    return database.start(copy_text(call.get(2, "table"), "TO STDOUT"))


def _begin_many(database: Database, call: Call) -> Span | None:
    return database.start_batch(call.get(1, "sql"), call.get(2, "argslist"))


def _status_code(error: BaseException) -> str:
    """The SQLSTATE."""
    return getattr(error, "pgcode", None) or ""
