"""The context goes along into the processes that `multiprocessing` starts, whichever way it starts them.

Patched: `BaseProcess.start`, where the starter's context is current, and `BaseProcess._bootstrap`, the
first of its code that runs in the child. In between the context travels as trace headers in the process
object's `__dict__`: plain texts, which an interpreter that cannot load autotrace carries without a notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.tasks import HEADERS, packed
from autotrace.patching.guard import absorbed, guard
from autotrace.tracing.context import attach, current

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `multiprocessing.process`."""

    def observe_start(original: Function) -> Function:
        def start(self: Any) -> Any:
            if patcher.enabled:
                try:
                    headers = packed(patcher)
                    if headers:
                        self.__dict__[HEADERS] = headers
                except Exception as error:
                    absorbed(error)
            try:
                return original(self)
            finally:
                self.__dict__.pop(HEADERS, None)

        return start

    def observe_bootstrap(original: Function) -> Function:
        def _bootstrap(self: Any, *args: Any, **kwargs: Any) -> Any:
            with guard:
                _continue(self, patcher)
            return original(self, *args, **kwargs)

        return _bootstrap

    patcher.replace(module, "BaseProcess.start", observe_start)
    patcher.replace(module, "BaseProcess._bootstrap", observe_bootstrap)
    _continue(module.current_process(), patcher)  # a child whose own code is the first to need a tracer


def _continue(process: Any, patcher: Patcher) -> None:
    """Go on, in the child, with the context that came along."""
    headers = process.__dict__.pop(HEADERS, None)
    if headers:
        attach(patcher.propagator.extract(headers, current()))  # never detached: the process ends with it
