"""py_zipkin: programs written for it; their spans join ours, and go where ours go.

Patched: `zipkin_span.start` and `stop`, between which a span of ours is current. The span of a server, begun
while a request is served whose span is ours, is that very span: it gets the name and the tags, and ends with
the response. Which traces are kept is for our sampler to say; `sample_rate` decides no more.

The program goes on to speak `X-B3-*` beside the formats of `OTEL_PROPAGATORS`, unless that is set, and its
first `service_name` names the process, unless the operator has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind, Status, StatusCode

from autotrace import notices
from autotrace.instrumentation.semconv import SERVER_ADDRESS, SERVER_PORT
from autotrace.patching.guard import absorbed, guard
from autotrace.propagation import registry
from autotrace.tracing.context import SPAN_KEY, Context, attach, current, detach
from autotrace.tracing.remote import RemoteSpan
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from opentelemetry import trace

    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_STATE = "_autotrace"
_PEER_SERVICE = "peer.service"
_ERROR = "error"


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `py_zipkin.zipkin`."""
    if "propagators" not in patcher.settings.sources:
        registry.also(patcher.propagator, "b3multi")
    bridge = _Bridge(module, patcher)

    def make_start(original: Function) -> Function:
        def start(self: Any) -> Any:
            if patcher.enabled:
                try:
                    bridge.start(self)
                except Exception as error:
                    absorbed(error)
                else:
                    return self
            return original(self)

        return start

    def make_stop(original: Function) -> Function:
        def stop(self: Any, *exception: Any) -> Any:
            if _STATE not in vars(self):
                return original(self, *exception)
            with guard:
                bridge.stop(self, *exception)
            return None

        return stop

    patcher.replace(module, "zipkin_span.start", make_start)
    patcher.replace(module, "zipkin_span.stop", make_stop)


class _Bridge:
    """Begins and ends our spans for those of the program."""

    def __init__(self, module: ModuleType, patcher: Patcher) -> None:
        self._new_attrs = module.ZipkinAttrs
        self._tracer = patcher.tracer
        self._settings = patcher.settings
        self._is_announced = False

    def start(self, theirs: Any) -> None:
        """Begin a span, unless the program means it as part of a trace and there is none."""
        self._announce(theirs)
        here = current()
        served: Any = here.get(SPAN_KEY)
        theirs.do_pop_attrs = False
        given = theirs.zipkin_attrs_override
        if served is None and not theirs._is_local_root_span:  # noqa: SLF001 - there is no other way to know
            vars(theirs)[_STATE] = None
            return
        kind = SpanKind[theirs.kind.value] if theirs.kind.value else SpanKind.INTERNAL
        is_borrowed = type(served) is Span and kind is SpanKind.SERVER and served.kind is SpanKind.SERVER
        if is_borrowed:
            span = served
        else:
            if served is None and given is not None and (given.parent_span_id or kind is SpanKind.SERVER):
                here = Context({**here, SPAN_KEY: _remote(given)})
            timestamp = theirs.timestamp
            start_time = None if timestamp is None else int(timestamp * 1e9)
            span = self._tracer.start_span(theirs.span_name, here, kind, start_time=start_time)
        ids = span.get_span_context()
        parent = getattr(span, "parent_id", 0)
        theirs.zipkin_attrs = self._new_attrs(
            trace_id=f"{ids.trace_id:032x}",
            span_id=f"{ids.span_id:016x}",
            parent_span_id=f"{parent:016x}" if parent else None,
            flags="0",
            is_sampled=ids.trace_flags.sampled,
        )
        theirs.get_tracer().push_zipkin_attrs(theirs.zipkin_attrs)
        theirs.do_pop_attrs = True
        vars(theirs)[_STATE] = (span, is_borrowed, attach(Context({**here, SPAN_KEY: span})))

    def stop(self, theirs: Any, *exception: Any) -> None:
        """End it, with all that the program has said of it."""
        state = vars(theirs).pop(_STATE)
        if state is None:
            return
        span, is_borrowed, token = state
        detach(token)
        if theirs.do_pop_attrs:
            theirs.get_tracer().pop_zipkin_attrs()
        span.update_name(theirs.span_name)
        _describe(span, theirs)
        error = exception[1] if len(exception) > 1 else None
        if isinstance(error, Exception):
            span.record_exception(error)
            span.set_status(Status(StatusCode.ERROR, f"{type(error).__name__}: {error}"))
        if not is_borrowed:
            begins, lasts = theirs.timestamp, theirs.duration
            ended = None if not lasts else int(((begins or span.start_time / 1e9) + lasts) * 1e9)
            span.end(ended)

    def _announce(self, theirs: Any) -> None:
        if self._is_announced:
            return
        self._is_announced = True
        notices.info(
            "the program traces with py_zipkin: its spans are made and sent by autotrace", "py_zipkin"
        )
        if not self._settings.names_service and theirs.service_name:
            self._tracer.provider.describe({"service.name": str(theirs.service_name)})


def _describe(span: trace.Span, theirs: Any) -> None:
    """Tags as attributes, annotations as events, the remote endpoint."""
    for key, value in theirs.binary_annotations.items():
        if key == _ERROR:
            span.set_status(Status(StatusCode.ERROR, str(value or "")))
        span.set_attribute(str(key), str(value))
    for name, timestamp in theirs.annotations.items():
        span.add_event(str(name), None, None if timestamp is None else int(timestamp * 1e9))
    remote = theirs.remote_endpoint
    if remote is not None:
        found = {
            _PEER_SERVICE: remote.service_name,
            SERVER_ADDRESS: remote.ipv4 or remote.ipv6,
            SERVER_PORT: remote.port,
        }
        span.set_attributes({key: value for key, value in found.items() if value})


def _remote(attrs: Any) -> RemoteSpan:
    return RemoteSpan(
        int(attrs.trace_id, 16),
        int(attrs.span_id, 16),
        1 if attrs.is_sampled else 0,
        deferred=attrs.is_sampled is None,
    )
