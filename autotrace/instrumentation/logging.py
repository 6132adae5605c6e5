"""Log correlation: every record knows the span in which it was written.

Patched: `Logger.handle`, which every record passes after its `extra` is in place. Setting fields
earlier, in a record factory, would make `extra={"otelTraceID": …}` raise a KeyError; a factory of
the application's would also replace ours. What a record has already stays as it is.

The fields have OpenTelemetry's names: `otelTraceID`, `otelSpanID`, `otelTraceSampled`,
`otelServiceName`. Formats change only with `OTEL_PYTHON_LOG_CORRELATION=true`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.patching.guard import absorbed
from autotrace.tracing.context import SPAN_KEY, current

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

DEFAULT_FORMAT = (
    "%(asctime)s %(levelname)s [%(name)s] [%(filename)s:%(lineno)d] "
    "[trace_id=%(otelTraceID)s span_id=%(otelSpanID)s resource.service.name=%(otelServiceName)s "
    "trace_sampled=%(otelTraceSampled)s] - %(message)s"
)


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `logging`, and configure the root logger where the operator asked for it."""
    service = patcher.tracer.provider.resource.service_name

    def observe(original: Function) -> Function:
        def handle(self: Any, record: Any) -> Any:
            if patcher.enabled:
                try:
                    correlate(record.__dict__, service)
                except Exception as error:
                    absorbed(error)
            return original(self, record)

        return handle

    patcher.replace(module, "Logger.handle", observe)
    if patcher.settings.python_log_correlation:
        _configure(module, patcher)


def correlate(fields: dict[str, Any], service: str) -> None:
    """Add the current span's ids, `0` outside of one, to a record's fields."""
    span = current().get(SPAN_KEY)
    trace_id = getattr(span, "trace_id", 0)
    if span is not None and not trace_id:  # a span of somebody else's
        context = span.get_span_context()  # type: ignore[attr-defined]
        ids = (context.trace_id, context.span_id, context.trace_flags)
    else:
        ids = (trace_id, getattr(span, "span_id", 0), getattr(span, "trace_flags", 0))
    put = fields.setdefault
    put("otelTraceID", f"{ids[0]:032x}" if ids[0] else "0")
    put("otelSpanID", f"{ids[1]:016x}" if ids[1] else "0")
    put("otelTraceSampled", bool(ids[2] & 1))
    put("otelServiceName", service)


def _configure(module: ModuleType, patcher: Patcher) -> None:
    """As `logging.basicConfig` does: nothing where the root logger has handlers."""
    root = module.getLogger()
    if root.handlers:
        return

    class Formatter(module.Formatter):  # type: ignore[name-defined, misc]  # the module is a parameter
        """Serves records that passed no logger of this process too."""

        def format(self, record: Any) -> str:
            correlate(record.__dict__, patcher.tracer.provider.resource.service_name)
            return str(super().format(record))

    handler = module.StreamHandler()
    handler.setFormatter(Formatter(patcher.settings.python_log_format or DEFAULT_FORMAT))
    root.addHandler(handler)
    root.setLevel(patcher.settings.python_log_level)
