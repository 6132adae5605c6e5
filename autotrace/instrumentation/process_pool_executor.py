"""The context goes along with each task of a `ProcessPoolExecutor`.

Patched: `ProcessPoolExecutor.submit`, which `map` and asyncio's `run_in_executor` go through, and
`_process_worker`, which works on the tasks in a child.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.tasks import Tasks, addressed, unpacked
from autotrace.patching.guard import absorbed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `concurrent.futures.process`."""

    def observe_submit(original: Function) -> Function:
        def submit(self: Any, fn: Function, /, *args: Any, **kwargs: Any) -> Any:
            if patcher.enabled:
                try:
                    fn = addressed(fn, patcher)
                except Exception as error:
                    absorbed(error)
            return original(self, fn, *args, **kwargs)

        return submit

    def unpack(item: Any) -> Any:
        item.fn = unpacked(item.fn, patcher)
        return item

    def observe_worker(original: Function) -> Function:
        def _process_worker(call_queue: Any, *args: Any, **kwargs: Any) -> Any:
            return original(Tasks(call_queue, unpack, patcher), *args, **kwargs)

        return _process_worker

    patcher.replace(module, "ProcessPoolExecutor.submit", observe_submit)
    patcher.replace(module, "_process_worker", observe_worker)
