"""The context goes along with each task of a `ThreadPoolExecutor`.

Patched: `submit`, which `map` and asyncio's `run_in_executor` and `to_thread` go through.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.patching.guard import absorbed
from autotrace.tracing.context import attach, current, detach

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.context import Context

    Function = Callable[..., Any]


class _Carried:
    """A task with the context of whoever submitted it."""

    __slots__ = ("_context", "_function")

    def __init__(self, context: Context, function: Function) -> None:
        self._context = context
        self._function = function

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        try:
            token = attach(self._context)
        except Exception as error:
            absorbed(error)
            return self._function(*args, **kwargs)
        try:
            return self._function(*args, **kwargs)
        finally:
            detach(token)


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `concurrent.futures.thread`."""

    def observe(original: Function) -> Function:
        def submit(self: Any, fn: Function, /, *args: Any, **kwargs: Any) -> Any:
            if patcher.enabled:
                try:
                    context = current()
                    if context:
                        fn = _Carried(context, fn)
                except Exception as error:
                    absorbed(error)
            return original(self, fn, *args, **kwargs)

        return submit

    patcher.replace(module, "ThreadPoolExecutor.submit", observe)
