"""The context goes along into threads, so that what they do belongs to the trace that started them.

Patched: `Thread.start`, where the starter's context is current, and `Thread._bootstrap_inner`, the
first Python code of the new thread, whichever `run` a subclass has. Only OpenTelemetry's context is
carried: other context variables are the application's, and stay as empty as it expects them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.patching.guard import absorbed
from autotrace.tracing.context import attach, current

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_CARRIED = "_autotrace_context"
_POOLS = "concurrent.futures.thread"
"""Whose threads outlive the call that starts them: they carry a context per task instead."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `threading`."""

    def observe_start(original: Function) -> Function:
        def start(self: Any) -> Any:
            if patcher.enabled:
                try:
                    context = current()
                    if context and getattr(self._target, "__module__", "") != _POOLS:
                        self.__dict__[_CARRIED] = context
                except Exception as error:
                    absorbed(error)
            return original(self)

        return start

    def observe_bootstrap(original: Function) -> Function:
        def _bootstrap_inner(self: Any) -> Any:
            try:
                context = self.__dict__.pop(_CARRIED, None)
                if context is not None:
                    attach(context)  # never detached: the thread ends with it
            except Exception as error:
                absorbed(error)
            return original(self)

        return _bootstrap_inner

    patcher.replace(module, "Thread.start", observe_start)
    patcher.replace(module, "Thread._bootstrap_inner", observe_bootstrap)
