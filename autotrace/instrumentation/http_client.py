"""Client spans for HTTP: what every client library shares.

One physical exchange, one span. The layer that sees a request as it is sent makes the span and, for
the duration, sets the context key by which the layers below, ours and OpenTelemetry's own, stand
down. Redirects and retries are exchanges of their own: siblings, counted by `counted`.

Spec: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client
"""

from __future__ import annotations

from contextvars import ContextVar
from time import time_ns
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind

from autotrace.instrumentation import semconv
from autotrace.instrumentation.http import HeaderCapture, Methods
from autotrace.instrumentation.semconv import (
    ERROR_TYPE,
    HTTP_REQUEST_METHOD,
    HTTP_REQUEST_RESEND_COUNT,
    HTTP_RESPONSE_STATUS_CODE,
    NETWORK_PROTOCOL_VERSION,
    SERVER_ADDRESS,
    SERVER_PORT,
    URL_FULL,
)
from autotrace.instrumentation.urls import redact_url
from autotrace.patching.guard import absorbed, guard
from autotrace.tracing.context import (
    SPAN_KEY,
    SUPPRESS_HTTP_KEY,
    SUPPRESS_KEY,
    Context,
    attach,
    current,
    detach,
)
from autotrace.tracing.span import ERROR, Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from autotrace.instrumentation.http_server import AnySpan
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

CLIENT = SpanKind.CLIENT
_FIRST_ERROR_STATUS = 400
_VERSIONS: dict[int | None, str] = {9: "0.9", 10: "1.0", 11: "1.1", 20: "2", 30: "3"}

_group: ContextVar[list[Any] | None] = ContextVar("autotrace-http-group", default=None)
"""The attempts at one request: how many were made so far, and below which span."""


def counted(original: Function, patcher: Patcher, excluded: Callable[..., bool] | None = None) -> Function:
    """Count the exchanges made inside a call as attempts at one request; the outermost call counts.

    Args:
        original: A method that calls itself, or another one wrapped so, for redirects and retries.
        patcher: Switches the patch.
        excluded: Tells from the call's arguments that its exchanges are not to be traced.
    """

    def call(*args: Any, **kwargs: Any) -> Any:
        if not patcher.enabled:
            return original(*args, **kwargs)
        if excluded is not None and _holds(excluded, args, kwargs):
            context = attach(Context({**current(), SUPPRESS_HTTP_KEY: True}))
            try:
                return original(*args, **kwargs)
            finally:
                detach(context)
        token = open_group()
        if token is None:
            return original(*args, **kwargs)
        try:
            return original(*args, **kwargs)
        finally:
            _group.reset(token)

    return call


def open_group() -> Any:
    """Begin to count; None where a call further out counts already.

    An application that is served inside a call (`ASGITransport`, test clients) has a span of its own
    current, and its requests count for themselves.
    """
    group = _group.get()
    parent = current().get(SPAN_KEY)
    return None if group is not None and group[1] is parent else _group.set([0, parent])


def counted_coroutine(original: Function, patcher: Patcher) -> Function:
    """The coroutine twin of `counted`: it differs by `async` and `await`, and has nothing to exclude."""

    async def call(*args: Any, **kwargs: Any) -> Any:
        token = open_group() if patcher.enabled else None
        if token is None:
            return await original(*args, **kwargs)
        try:
            return await original(*args, **kwargs)
        finally:
            try:
                _group.reset(token)
            except ValueError:  # closed late, in another context: nothing to restore there
                pass

    return call


def _holds(excluded: Callable[..., bool], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    try:
        return excluded(*args, **kwargs)
    except Exception as error:
        absorbed(error)
        return False


class HttpClient:
    """Makes the client spans of one library.

    Args:
        patcher: Tracer, settings and propagator of the library.
        library: Its name in `OTEL_PYTHON_<X>_EXCLUDED_URLS`.
    """

    def __init__(self, patcher: Patcher, library: str) -> None:
        settings = patcher.settings
        self._tracer = patcher.tracer
        self._inject = patcher.propagator.inject

        def learn_formats() -> None:
            self._fields = frozenset(map(str.lower, patcher.propagator.fields))

        patcher.propagator.follow(learn_formats)
        self._methods = Methods(settings)
        self._known = self._methods.known
        self._excluded = settings.excluded_urls(library)
        self._receivers = settings.propagate_to
        self._emit_old = settings.emit_old_http
        secret = settings.instrumentation_http_capture_headers_sanitize_fields
        self._request_headers = HeaderCapture(
            "http.request.header.", settings.instrumentation_http_capture_headers_client_request, secret
        )
        self._response_headers = HeaderCapture(
            "http.response.header.", settings.instrumentation_http_capture_headers_client_response, secret
        )
        self._captures_request = bool(self._request_headers)
        self._captures_response = bool(self._response_headers)

    def excludes(self, url: str) -> bool:
        """Whether the operator wants no span for this URL, from any layer."""
        return self._excluded is not None and bool(self._excluded.search(url))

    def begin(
        self, method: str, url: str, host: str, port: int | None, headers: Any = None
    ) -> tuple[AnySpan, Context | None] | None:
        """Begin the span of one exchange; None where another layer traces it, or nobody may.

        Args:
            method: As sent.
            url: In full.
            host: Of the peer that answers, not of a proxy before it.
            port: Likewise.
            headers: A mapping, for those that the operator wants captured.

        Returns:
            The span, and the context that carries it, for `propagate` or `inject`; None where this host
            may not receive trace headers.
        """
        context = current()
        if context and (context.get(SUPPRESS_KEY) or context.get(SUPPRESS_HTTP_KEY)):
            return None
        if self._excluded is not None and self._excluded.search(url):
            return None
        span: AnySpan = self._tracer.start(
            self._known.get(method, "HTTP"),
            CLIENT,
            {},
            context,
            self._describe,
            (method, url, host, port, headers),
        )
        if self._receivers is not None and not self._receivers.fullmatch(host):
            return span, None
        return span, Context({**context, SPAN_KEY: span, SUPPRESS_HTTP_KEY: True})

    def _describe(self, request: tuple[str, str, str, int | None, Any]) -> dict[str, Any]:
        method, url, host, port, headers = request
        attributes: dict[str, Any] = {URL_FULL: redact_url(url), SERVER_ADDRESS: host}
        attributes[HTTP_REQUEST_METHOD] = self._known.get(method) or (
            self._methods.describe_unknown(method, attributes)
        )
        if port is not None:
            attributes[SERVER_PORT] = port
        group = _group.get()
        if group is not None and group[1] is current().get(SPAN_KEY):
            if group[0]:
                attributes[HTTP_REQUEST_RESEND_COUNT] = group[0]
            group[0] += 1
        if self._captures_request and headers is not None:
            self._request_headers.capture(headers.items(), attributes)
        return attributes

    def propagate(self, headers: Any, context: Context | None) -> Any:
        """A copy of `headers` that carries the trace, where `begin` gave a context.

        A copy: the mapping may be a constant of the application's, sent again later. Trace headers
        that the application has set are replaced, whatever their case.
        """
        if context is None:
            return headers
        fresh = headers.copy()
        if type(fresh) is dict:
            for name in [name for name in fresh if isinstance(name, str) and name.lower() in self._fields]:
                del fresh[name]
        self._inject(fresh, context)
        return fresh

    def inject(self, carrier: Any, context: Context | None) -> None:
        """Write the trace into a carrier that is nobody else's, where `begin` gave a context."""
        if context is not None:
            self._inject(carrier, context)

    def succeed(self, span: AnySpan, response: Any) -> None:
        """The response's head is here: end the span. Never raises.

        Args:
            span: From `begin`.
            response: With `status`, `version` and `headers`, as most libraries name them.
        """
        if type(span) is not Span:
            return
        try:
            self.finish(
                span,
                response.status,
                response.version,
                response.headers.items() if self._captures_response else None,
            )
        except Exception as error:
            absorbed(error)

    def end(self, span: AnySpan, status: int, version: int | None, headers: Any) -> None:
        """As `succeed`, for a library that names things otherwise; `headers` has `items`."""
        if type(span) is not Span:
            return
        try:
            self.finish(span, status, version, headers.items() if self._captures_response else None)
        except Exception as error:
            absorbed(error)

    def fail(self, span: AnySpan, error: BaseException | None) -> None:
        """No response will come: end the span. Never raises, as `error` has to come out."""
        if type(span) is not Span:
            return
        with guard:
            if isinstance(error, Exception):
                span.fail(error)
            if self._emit_old:
                semconv.add_old_http_client(span._attributes)  # noqa: SLF001 - as in `finish`
            span.end()

    def finish(
        self, span: Span, status: int, version: int | None, headers: Iterable[tuple[str, str]] | None = None
    ) -> None:
        """Record how the exchange ended, and end its span.

        Args:
            span: From `begin`, recording.
            status: Of the response.
            version: Of HTTP, as 11 or 20; 0 or None when the library does not tell.
            headers: Of the response, when some are to be captured.
        """
        attributes = span._attributes  # noqa: SLF001 - the span is ours, and these attributes are trusted
        attributes[HTTP_RESPONSE_STATUS_CODE] = status
        if status >= _FIRST_ERROR_STATUS:
            attributes[ERROR_TYPE] = str(status)
            span.status_code = ERROR
        protocol = _VERSIONS.get(version)
        if protocol is not None:
            attributes[NETWORK_PROTOCOL_VERSION] = protocol
        if headers is not None:
            self._response_headers.capture(headers, attributes)
        if self._emit_old:
            semconv.add_old_http_client(attributes)
        span.end_time = time_ns()
        span._on_end(span)  # noqa: SLF001 - `span.end()`, without its check for a second call
