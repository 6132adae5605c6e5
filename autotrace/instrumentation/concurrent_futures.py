"""The context goes along with each task of a `ThreadPoolExecutor`, an empty one too: threads may hold others.

Patched: `submit`, which `map` and asyncio's `run_in_executor` and `to_thread` go through. The tasks of an
`InterpreterPoolExecutor` (Python 3.14) run in interpreters of their own, which objects of ours cannot enter.
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
    for_threads = _preparation(module.ThreadPoolExecutor)

    def observe(original: Function) -> Function:
        def submit(self: Any, fn: Function, /, *args: Any, **kwargs: Any) -> Any:
            if patcher.enabled:
                try:
                    if _preparation(type(self)) is for_threads:
                        fn = Carried(current(), fn)
                except Exception as error:
                    absorbed(error)
            return original(self, fn, *args, **kwargs)

        return submit

    patcher.replace(module, "ThreadPoolExecutor.submit", observe)


def _preparation(executor: type) -> Any:
    """What readies the workers of this class of executors; None before Python 3.14."""
    return getattr(getattr(executor, "prepare_context", None), "__func__", None)
