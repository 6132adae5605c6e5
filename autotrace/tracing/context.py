"""The current context: OpenTelemetry's own, reached without its detours.

The current span lives where `opentelemetry.trace.get_current_span()` looks, so spans made by hand,
by other OpenTelemetry code and by us nest in one trace. Measured on 3.11: `VAR.get()` 0.04 us
against 0.26 us for `opentelemetry.context.get_current()`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.context.contextvars_context import ContextVarsRuntimeContext
from opentelemetry.trace.propagation import _SPAN_KEY as SPAN_KEY

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Span

__all__ = ["SPAN_KEY", "Context", "attach", "current", "detach", "suppressed", "suppressing", "with_span"]

SUPPRESS_KEY: str = otel._SUPPRESS_INSTRUMENTATION_KEY  # noqa: SLF001 - the protocol of OpenTelemetry's instrumentations
SUPPRESS_HTTP_KEY: str = getattr(otel, "_SUPPRESS_HTTP_INSTRUMENTATION_KEY", "suppress_http_instrumentation")
"""Set by the outermost layer of an HTTP exchange, here and in OpenTelemetry's own instrumentations."""

current: Callable[[], Context]
attach: Callable[[Context], Any]
reset: Callable[[Any], None]

otel.get_current()  # up to 1.24 the implementation is chosen by the first call, and not by the import
_runtime = otel._RUNTIME_CONTEXT  # noqa: SLF001 - there is no public way to the variable itself
if isinstance(_runtime, ContextVarsRuntimeContext):
    current = _runtime._current_context.get  # noqa: SLF001
    attach = _runtime._current_context.set  # noqa: SLF001
    reset = _runtime._current_context.reset  # noqa: SLF001
else:  # OTEL_PYTHON_CONTEXT names another implementation
    current, attach, reset = _runtime.get_current, _runtime.attach, _runtime.detach


# `reset` is the raw counterpart of `attach`, for a token that was made in the same frame.


def detach(token: Any) -> None:
    """Restore what was current before `attach`.

    A token of another execution context (an async generator closed late, a callback that moved to
    another thread) restores nothing: the value it belongs to is not current there either.
    """
    try:
        reset(token)
    except (ValueError, RuntimeError):
        pass


def with_span(span: Span, context: Context) -> Context:
    """A copy of `context` in which `span` is current."""
    return Context({**context, SPAN_KEY: span})


def suppressed(context: Context) -> bool:
    """Whether somebody asked that nothing be traced here, our own exporters for one."""
    return bool(context) and bool(context.get(SUPPRESS_KEY))


def suppressing() -> Context:
    """A context in which nothing is traced."""
    return Context({SUPPRESS_KEY: True})
