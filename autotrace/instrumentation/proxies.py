"""Proxies of connections and cursors that offer no other way in.

The classes of some drivers are written in C, can be neither patched nor derived from, and are made by a
function that takes no class of the application's. wrapt's proxies pass for them with `isinstance`, and hand
on everything but what sends statements. What returns itself returns the proxy. To be imported with the first
connection only: wrapt takes its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import wrapt

from autotrace.instrumentation.database import ATTRIBUTE, cursor_method

if TYPE_CHECKING:
    from autotrace.instrumentation.database import Database

_Proxy: Any = wrapt.ObjectProxy  # generic to the type checker from wrapt 2.0 on, but not at run time


class CursorProxy(_Proxy):  # type: ignore[misc]  # see above
    """A cursor; a driver derives from it what else returns itself or sends statements."""

    def __init__(self, cursor: Any, connection: ConnectionProxy) -> None:
        super().__init__(cursor)
        self._self_connection = connection

    @property
    def connection(self) -> Any:
        """The proxy that the application has."""
        return self._self_connection

    def _self_or(self, result: Any) -> Any:
        return self if result is self.__wrapped__ else result

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        """As the driver's."""
        return self._self_or(self.__wrapped__.execute(*args, **kwargs))

    def executemany(self, *args: Any, **kwargs: Any) -> Any:
        """As the driver's."""
        return self._self_or(self.__wrapped__.executemany(*args, **kwargs))

    execute = cursor_method(execute)
    executemany = cursor_method(executemany, batch=True)

    def __enter__(self) -> Any:
        return self._self_or(self.__wrapped__.__enter__())

    def __iter__(self) -> Any:
        return self._self_or(iter(self.__wrapped__))

    def __next__(self) -> Any:
        return next(self.__wrapped__)


class ConnectionProxy(_Proxy):  # type: ignore[misc]  # see above
    """A connection, whose cursors are proxies."""

    _self_cursors: type[CursorProxy] = CursorProxy

    def __init__(self, connection: Any, database: Database) -> None:
        super().__init__(connection)
        self._self_database = database

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        """As the driver's."""
        return self._self_cursors(self.__wrapped__.cursor(*args, **kwargs), self)

    def __enter__(self) -> Any:
        result = self.__wrapped__.__enter__()
        return self if result is self.__wrapped__ else result


setattr(ConnectionProxy, ATTRIBUTE, property(lambda connection: connection._self_database))  # noqa: SLF001 - its own
