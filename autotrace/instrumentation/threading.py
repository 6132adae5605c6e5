"""The context goes along into threads, so that what they do belongs to the trace that started them.

Patched: `Thread.start`, where the starter's context is current, and `Thread._bootstrap_inner`, the
first Python code of the new thread, whichever `run` a subclass has. Only OpenTelemetry's context is
carried: other context variables are the application's, and stay as empty as it expects them.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from autotrace.patching.guard import absorbed
from autotrace.tracing.context import Context, attach, current

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_CARRIED = "_autotrace_context"
_POOLS = frozenset({"concurrent.futures.thread", "multiprocessing.pool"})
"""Whose threads outlive the call that starts them: they carry a context per task instead."""
_NONE = Context()
_OWN_CONTEXT = sys.version_info >= (3, 14)
"""Whether a thread's `run` is called in a `contextvars.Context` of its own, kept as `_context`."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `threading`."""

    def observe_start(original: Function) -> Function:
        def start(self: Any) -> Any:
            if patcher.enabled:
                try:
                    _hand_over(self)
                except Exception as error:
                    absorbed(error)
            return original(self)

        return start

    def observe_bootstrap(original: Function) -> Function:
        def _bootstrap_inner(self: Any) -> Any:
            try:
                _take_over(self)
            except Exception as error:
                absorbed(error)
            return original(self)

        return _bootstrap_inner

    patcher.replace(module, "Thread.start", observe_start)
    patcher.replace(module, "Thread._bootstrap_inner", observe_bootstrap)


def _hand_over(thread: Any) -> None:
    """On the starter's thread."""
    if _OWN_CONTEXT and thread._context is not None:  # noqa: SLF001 - an argument of `Thread` without a getter
        return  # the application has chosen it
    in_pool = getattr(getattr(thread, "_target", None), "__module__", "") in _POOLS
    thread.__dict__[_CARRIED] = _NONE if in_pool else current()


def _take_over(thread: Any) -> None:
    """On the new thread. What is attached is never detached: the thread ends with it."""
    context = thread.__dict__.pop(_CARRIED, None)
    if context is None:
        return
    if _OWN_CONTEXT:
        thread._context.run(attach, context)  # noqa: SLF001
    else:
        attach(context)
