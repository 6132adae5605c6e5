"""The context goes along with each task of a `ThreadPoolExecutor`.

Patched: `submit`, which `map` and asyncio's `run_in_executor` and `to_thread` go through.
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
    """Patch `concurrent.futures.thread`."""

    def observe(original: Function) -> Function:
        def submit(self: Any, fn: Function, /, *args: Any, **kwargs: Any) -> Any:
            if patcher.enabled:
                try:
                    context = current()
                    if context:
                        fn = Carried(context, fn)
                except Exception as error:
                    absorbed(error)
            return original(self, fn, *args, **kwargs)

        return submit

    patcher.replace(module, "ThreadPoolExecutor.submit", observe)
