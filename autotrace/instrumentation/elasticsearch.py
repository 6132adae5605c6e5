"""Spans for the Elasticsearch client, sync and async: one per call of its API, whatever is tried again.

Patched: `OpenTelemetry.span`, in which the client makes a span of its own for each call, and tells it what
it knows: endpoint, parts of the path, node, status. Here it gets one that is a CLIENT span with a proper
name, and below which HTTP makes none. The client's own setting holds: with
`OTEL_PYTHON_INSTRUMENTATION_ELASTICSEARCH_ENABLED=false` there is none. The span around a bulk helper's
calls stays the client's.

Spec: https://opentelemetry.io/docs/specs/semconv/db/elasticsearch/
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.stores import Store
from autotrace.patching.guard import guard
from autotrace.tracing.context import SUPPRESS_HTTP_KEY, Context, attach, current, detach

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.attributes import Attributes
    from autotrace.tracing.span import Span

    Function = Callable[..., Any]


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `elasticsearch._otel`."""
    store = Store(patcher, "elasticsearch")

    def make(original: Function) -> Function:
        def span(self: Any, method: str, *, endpoint_id: str | None, path_parts: Mapping[str, Any]) -> Any:
            switched_off = self.tracer is not None and not self.enabled
            if switched_off or not patcher.enabled:
                return original(self, method, endpoint_id=endpoint_id, path_parts=path_parts)
            found: Span | None = None
            with guard:
                found = _begin(store, method, endpoint_id, path_parts)
            return _Call(store, found, module.OpenTelemetrySpan(found, endpoint_id, self.body_strategy))

        return span

    patcher.replace(module, "OpenTelemetry.span", make)


def _begin(store: Store, method: str, endpoint: str | None, path_parts: Mapping[str, Any]) -> Span | None:
    operation = endpoint or method
    attributes: Attributes = {**store.attributes(), "http.request.method": method}
    attributes["db.operation.name"] = operation
    for name, value in path_parts.items():
        attributes[f"db.operation.parameter.{name}"] = str(value)
    index = path_parts.get("index")
    name = operation
    if isinstance(index, str) and "," not in index and "*" not in index:
        attributes["db.collection.name"] = index
        name = f"{operation} {index}"
    return store.start(name, attributes)


class _Call:
    """What the client sends one call in, as `with` has it."""

    __slots__ = ("_above", "_span", "_store", "_told")

    def __init__(self, store: Store, span: Span | None, told: Any) -> None:
        self._store = store
        self._span = span
        self._told = told
        self._above: Any = None

    def __enter__(self) -> Any:
        # Also where nothing is recorded: HTTP below would be recorded alone.
        self._above = attach(Context({**current(), SUPPRESS_HTTP_KEY: True}))
        return self._told

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        detach(self._above)
        if self._span is not None:
            # A task that is cancelled has not failed.
            self._store.finish(self._span, error if isinstance(error, Exception) else None)
