"""The context goes along with each statement of aiosqlite, to the thread that has the connection.

Patched: `Connection._execute`, which queues every operation for that thread. The spans are those of sqlite3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.carried import Carried
from autotrace.patching.guard import absorbed
from autotrace.tracing.context import current

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `aiosqlite.core`."""

    def make(original: Function) -> Function:
        async def _execute(connection: Any, fn: Function, *args: Any, **kwargs: Any) -> Any:
            if patcher.enabled:
                try:
                    # An empty one too: the thread has that of whoever opened the connection.
                    fn = Carried(current(), fn)
                except Exception as bug:
                    absorbed(bug)
            return await original(connection, fn, *args, **kwargs)

        return _execute

    patcher.replace(module, "Connection._execute", make)
