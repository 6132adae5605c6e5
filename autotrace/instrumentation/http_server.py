"""Server spans for HTTP: what every gateway interface shares.

Spec: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server
"""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.instrumentation import semconv
from autotrace.instrumentation.http import HeaderCapture, Methods
from autotrace.instrumentation.semconv import (
    ERROR_TYPE,
    HTTP_REQUEST_METHOD,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
    URL_PATH,
)
from autotrace.instrumentation.urls import MAX_LENGTH
from autotrace.tracing.context import SPAN_KEY, Context, current, suppressed
from autotrace.tracing.span import ERROR, Span
from autotrace.tracing.unsampled import UnsampledSpan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from autotrace.patching.patcher import Patcher

    AnySpan = Span | UnsampledSpan

SERVER = SpanKind.SERVER
_put = dict[str, Any].__setitem__
"""Past `Context`, which refuses changes."""
_SERVER_ERROR = 500
_UNKNOWN = "HTTP"
"""What the name of a span begins with where nobody knows the method."""


left: frozenset[str] = frozenset()
"""Libraries that begin no spans: the application has those of its framework made by somebody else."""


class HttpServer:
    """Begins and names server spans for one library.

    Args:
        patcher: Tracer, settings and propagator of the library.
        library: Its name in `OTEL_PYTHON_<X>_EXCLUDED_URLS`.
        describe: The attributes at start, from the interface's own request object.
        key_of: Under which key a carrier has a header.
        path_of: The request's path, for samplers that go by it.
    """

    def __init__(
        self,
        patcher: Patcher,
        library: str,
        describe: Callable[[Any], dict[str, Any]],
        key_of: Callable[[str], str | bytes],
        path_of: Callable[[Any], str],
    ) -> None:
        settings = patcher.settings
        self._library = library
        self._tracer = patcher.tracer
        self._extract = patcher.propagator.extract
        self._trace_keys: tuple[str | bytes, ...] | None

        def learn_formats() -> None:
            reads = patcher.propagator.reads
            self._trace_keys = None if reads is None else tuple(map(key_of, reads))

        patcher.propagator.follow(learn_formats)
        self._describe = describe
        self._path_of = path_of
        self._sampler = patcher.tracer.provider.sampler.root
        self.methods = Methods(settings)
        self._known = self.methods.known
        self.excluded = settings.excluded_urls(library)
        secret = settings.instrumentation_http_capture_headers_sanitize_fields
        self.request_headers = HeaderCapture(
            "http.request.header.", settings.instrumentation_http_capture_headers_server_request, secret
        )
        self.response_headers = HeaderCapture(
            "http.response.header.", settings.instrumentation_http_capture_headers_server_response, secret
        )
        self._emit_old = settings.emit_old_http

    def begin(
        self, method: str, carrier: Any, getter: Any, excluded: bool = False
    ) -> tuple[AnySpan, Context] | None:
        """Begin the span of one request; None where nothing may be traced.

        Args:
            method: As sent.
            carrier: The request, for `getter` and for `describe`.
            getter: Reads headers from the carrier.
            excluded: By the operator: nothing of this request is recorded, its children included.

        Returns:
            The span, and the context in which the application is to run.
        """
        before = context = current()
        if (context and suppressed(context)) or (left and self._library in left):
            return None
        keys = self._trace_keys
        if keys is None:
            before = context = self._extract(carrier, context, getter)
        else:
            for key in keys:
                if key in carrier:  # else there is nothing to extract: the usual case at the edge
                    context = self._extract(carrier, context, getter)
                    break
        span: Any
        if excluded:
            span = self._unrecorded(context)
        else:
            name = self._known.get(method, _UNKNOWN)
            request = {}
            if self._sampler.reads_request:
                request = {HTTP_REQUEST_METHOD: name, URL_PATH: self._path_of(carrier)[:MAX_LENGTH]}
            span = self._tracer.start(name, SERVER, request, context, self._describe, carrier)
        if context is before:
            return span, Context({**context, SPAN_KEY: span})
        _put(context, SPAN_KEY, span)  # our own propagators have just made it, for nobody else
        return span, context

    def _unrecorded(self, context: Context) -> UnsampledSpan:
        provider = self._tracer.provider
        parent = context.get(SPAN_KEY)
        trace_id = getattr(parent, "trace_id", 0) or provider.new_trace_id()
        return UnsampledSpan(trace_id, provider.new_span_id(), 0, getattr(parent, "trace_state", None))

    def finish(
        self,
        span: Span,
        status: int,
        route: str | None = None,
        headers: Iterable[tuple[str, str]] | None = None,
    ) -> None:
        """Name the span, record how the request ended, and end it.

        Args:
            span: From `begin`, recording.
            status: The response's status code; 0 when none was sent.
            route: The route's template where the framework knows one.
            headers: Of the response, when some are to be captured.
        """
        attributes = span._attributes  # noqa: SLF001 - the span is ours, and these attributes are trusted
        if route is not None:
            attributes[HTTP_ROUTE] = route
            name = span.name
            if (
                name == attributes.get(HTTP_REQUEST_METHOD) or name == _UNKNOWN
            ):  # else the application renamed it
                span.name = f"{name} {route}"
        if status:
            attributes[HTTP_RESPONSE_STATUS_CODE] = status
            if status >= _SERVER_ERROR:
                attributes.setdefault(ERROR_TYPE, str(status))
                span.status_code = ERROR
        if headers is not None:
            self.response_headers.capture(headers, attributes)
        if self._emit_old:
            semconv.add_old_http_server(attributes)
        span.end_time = time_ns()
        span._on_end(span)  # noqa: SLF001 - `span.end()`, without its check for a second call
