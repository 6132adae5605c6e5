"""Spans for the standard library's SQLite driver, one per statement, batch or script.

Patched: `sqlite3.connect`, under both of its names, so that it makes connections of a class of ours
(composed with the application's own, where it passes one as `factory`), and these make cursors likewise:
the classes are written in C and cannot be patched. Spans are made in the cursors, through which
every statement goes. What the driver does by itself (BEGIN, `commit`, `rollback`) gets none.

An application class is traced from outside for cursors, whose methods may name `sqlite3.Cursor`
instead of calling `super()`. A connection class gets ours between itself and `sqlite3.Connection`, so that
each statement it runs is seen; where it names that class instead of calling `super()`, it goes untraced
from Python 3.11 on.

Spec: https://opentelemetry.io/docs/specs/semconv/db/sql/
"""

from __future__ import annotations

import functools
import os
import sys
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.database import ATTRIBUTE, Database, cursor_method
from autotrace.patching.guard import absorbed
from autotrace.patching.patcher import MARK

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Final

    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_FACTORY: Final = 5
"""Its position among the arguments of `connect`."""

_MAX_CLASSES: Final = 64
"""Application classes remembered with their traced twins; more would be made anew at run time."""

_METHODS: Final = ("execute", "executemany", "executescript")


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch the module `sqlite3`."""
    classes = _Classes(module, patcher)

    @functools.cache  # the two names stay one function
    def make(original: Function) -> Function:
        def connect(*args: Any, **kwargs: Any) -> Any:
            if patcher.enabled:
                try:
                    args, kwargs = _with_factory(args, kwargs, classes)
                except Exception as bug:
                    absorbed(bug)
            return original(*args, **kwargs)

        functools.update_wrapper(connect, original)
        connect.__module__ = module.__name__  # where pickle finds it; the original says `_sqlite3`
        return connect

    patcher.replace(module, "connect", make)
    patcher.replace(module.dbapi2, "connect", make)


def _with_factory(
    args: tuple[Any, ...], kwargs: dict[str, Any], classes: _Classes
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of `connect` with a traced class for the one in them."""
    if len(args) > _FACTORY:
        return (*args[:_FACTORY], classes.connection(args[_FACTORY]), *args[_FACTORY + 1 :]), kwargs
    return args, {**kwargs, "factory": classes.connection(kwargs.get("factory", classes.Connection))}


class _Classes:
    """The traced twins of the driver's classes and of the application's own."""

    def __init__(self, module: ModuleType, patcher: Patcher) -> None:
        self.Connection: type[Any] = module.Connection
        self.Cursor: type[Any] = module.Cursor
        self._patcher = patcher
        self._twins: dict[type[Any], type[Any]] = {}
        self._cursor = _twin(
            self.Cursor, (self.Cursor,), {**_cursor_methods(self.Cursor), **_PICKLED_AS_ITSELF}
        )
        below = self._connection_methods()
        self._below = _twin(self.Connection, (self.Connection,), below)
        # State in a slot: like the driver's own, the class takes no attributes of the application's.
        self._connection = _twin(
            self.Connection,
            (self._below,),
            {"__slots__": (ATTRIBUTE,), "__init__": self._init(self.Connection), **_PICKLED_AS_ITSELF},
        )

    def connection(self, factory: Any) -> Any:
        """The traced twin of a connection class; anything else as it is."""
        if factory is self.Connection:
            return self._connection
        if not isinstance(factory, type) or not issubclass(factory, self.Connection):
            return factory
        if issubclass(factory, self._below):
            return factory
        return self._twin_of(factory, (factory, self._below), lambda: {"__init__": self._init(factory)})

    def cursor(self, factory: Any) -> Any:
        """The traced twin of a cursor class; anything else as it is."""
        if factory is self.Cursor:
            return self._cursor
        if not isinstance(factory, type) or not issubclass(factory, self.Cursor):
            return factory
        if hasattr(factory, MARK):
            return factory
        return self._twin_of(factory, (factory,), lambda: _cursor_methods(factory))

    def _twin_of(
        self, factory: type[Any], bases: tuple[type[Any], ...], members: Callable[[], dict[str, Any]]
    ) -> type[Any]:
        twin = self._twins.get(factory)
        if twin is None:
            if len(self._twins) >= _MAX_CLASSES:
                self._twins.clear()
            twin = self._twins[factory] = _twin(factory, bases, members())
        return twin

    def _init(self, factory: type[Any]) -> Function:
        """`__init__` that notes the database first: the application's may run statements already."""
        original: Function = factory.__init__
        patcher = self._patcher

        @functools.wraps(original)
        def __init__(connection: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - it becomes one
            try:
                name = namespace(args[0] if args else kwargs.get("database"))
                database = Database(patcher, "sqlite", name, status_code=_status_code)
                object.__setattr__(connection, ATTRIBUTE, database)
            except Exception as bug:
                absorbed(bug)
            original(connection, *args, **kwargs)

        return __init__

    def _connection_methods(self) -> dict[str, Any]:
        methods = {"cursor": self._make_cursor(self.Connection.cursor)}
        # Up to 3.10 the driver calls `cursor()` here, which is ours; later it makes a plain one by itself.
        if sys.version_info >= (3, 11):
            for name in _METHODS:
                methods[name] = self._through_cursor(getattr(self.Connection, name), name)
        return {"__slots__": (), **methods}

    def _make_cursor(self, original: Function) -> Function:
        patcher, traced = self._patcher, self._cursor

        @functools.wraps(original)
        def cursor(connection: Any, *args: Any, **kwargs: Any) -> Any:
            if patcher.enabled:
                if not args and not kwargs:  # nearly always
                    return original(connection, traced)
                try:
                    if args:
                        args = (self.cursor(args[0]), *args[1:])
                    elif not kwargs or "factory" in kwargs:  # any other is an error to be
                        kwargs = {**kwargs, "factory": self.cursor(kwargs.get("factory", self.Cursor))}
                except Exception as bug:
                    absorbed(bug)
            return original(connection, *args, **kwargs)

        return cursor

    def _through_cursor(self, original: Function, name: str) -> Function:
        """As the driver's method, with a traced cursor; like it, without `self.cursor()`."""
        patcher = self._patcher
        make_cursor, traced = self.Connection.cursor, self._cursor
        execute = getattr(traced, name)

        @functools.wraps(original)
        def method(connection: Any, *args: Any, **kwargs: Any) -> Any:
            if not patcher.enabled:
                return original(connection, *args, **kwargs)
            return execute(make_cursor(connection, traced), *args, **kwargs)

        return method


def _twin(original: type[Any], bases: tuple[type[Any], ...], members: dict[str, Any]) -> type[Any]:
    """A subclass that passes for `original` wherever names are shown."""
    names = {name: getattr(original, name) for name in ("__doc__", "__module__", "__qualname__")}
    metaclass: Any = type(original)
    twin: type[Any] = metaclass(original.__name__, bases, {**names, **members})
    return twin


def _cursor_methods(factory: type[Any]) -> dict[str, Any]:
    return {
        "__slots__": (),
        MARK: True,
        "execute": cursor_method(factory.execute),
        "executemany": cursor_method(factory.executemany, batch=True),
        "executescript": cursor_method(factory.executescript),
    }


def _reduce_ex(self: object, _protocol: int) -> Any:
    """Refuse in the driver's words, which give the C name of the class."""
    raise TypeError(f"cannot pickle 'sqlite3.{type(self).__name__}' object")


_PICKLED_AS_ITSELF: Final = {"__reduce_ex__": _reduce_ex}


def namespace(database: Any) -> str:
    """The path as the application gave it; of a URI without its query, where extensions keep keys."""
    if not isinstance(database, (str, bytes, os.PathLike)):
        return ""
    path = os.fsdecode(database)
    if path.startswith("file:"):
        path = path.partition("?")[0].partition("#")[0]
    return path


def _status_code(error: BaseException) -> str:
    """`SQLITE_CONSTRAINT_UNIQUE`; the driver tells it from Python 3.11 on."""
    name = getattr(error, "sqlite_errorname", "")
    return name if isinstance(name, str) else ""
