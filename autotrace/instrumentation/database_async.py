"""The coroutine twin of `database.cursor_method`.

It differs by `async` and `await`, and in that a task that is cancelled has not failed: its span ends as it
is.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.database import ATTRIBUTE
from autotrace.patching.guard import absorbed

if TYPE_CHECKING:
    from collections.abc import Callable

    from autotrace.tracing.span import Span

    Function = Callable[..., Any]


def cursor_coroutine(
    original: Function,
    *,
    batch: bool = False,
    statement: str = "",
    parameters: str = "",
    connection: str = "connection",
) -> Function:
    """Wrap a cursor's `execute`, or with `batch` its `executemany`; arguments as for `cursor_method`."""

    @functools.wraps(original)
    async def method(cursor: Any, *args: Any, **kwargs: Any) -> Any:
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
            return await original(cursor, *args, **kwargs)
        database.running = cursor
        try:
            result = await original(cursor, *args, **kwargs)  # the only line that may raise
        except BaseException as error:
            database.running = None
            database.finish(span, error if isinstance(error, Exception) else None)
            raise
        database.running = None
        database.finish(span)
        return result

    return method
