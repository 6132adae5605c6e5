"""Server spans for servers with request objects of their own: neither WSGI nor ASGI.

The library's module makes a `Request` of the library's own, and an `Exchange` of it with `WebServer.begin`.
It keeps the exchange's context current while the application works, and finishes it when the response has
been sent. All state of a request lives in its exchange.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.http import MAX_TEXT, apply_forwarded, split_host
from autotrace.instrumentation.http_server import HttpServer
from autotrace.instrumentation.semconv import (
    CLIENT_ADDRESS,
    HTTP_REQUEST_METHOD,
    NETWORK_PEER_ADDRESS,
    NETWORK_PROTOCOL_NAME,
    NETWORK_PROTOCOL_VERSION,
    SERVER_ADDRESS,
    SERVER_PORT,
    URL_PATH,
    URL_QUERY,
    URL_SCHEME,
    USER_AGENT_ORIGINAL,
    WEBSOCKET_CLOSE_CODE,
    WEBSOCKET_MESSAGES_RECEIVED,
    WEBSOCKET_MESSAGES_SENT,
)
from autotrace.instrumentation.urls import MAX_LENGTH, redact_query
from autotrace.patching.guard import absorbed, guard
from autotrace.tracing.context import Context, attach, current, reset, suppressed
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from autotrace.instrumentation.http_server import AnySpan
    from autotrace.patching.patcher import Patcher

    Lines = Callable[[], Iterable[tuple[str, str]]]

_NOTHING = Context()
_PATH_OF = attrgetter("path")


class Request:
    """What a server tells of a request when it begins.

    Args:
        method: As sent.
        path: Without the query.
        query: As sent, without its question mark.
        headers: By name in lower case.
        lines: All headers, repeated ones too.
        scheme: Of the connection.
        peer: The address of the other end; nothing for a Unix socket.
        version: Of HTTP, as in `1.1`.
    """

    __slots__ = ("headers", "lines", "method", "path", "peer", "query", "scheme", "version")

    def __init__(
        self,
        method: str,
        path: str,
        query: str,
        headers: Mapping[str, str],
        lines: Lines,
        scheme: str,
        peer: str | None,
        version: str,
    ) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.lines = lines
        self.scheme = scheme
        self.peer = peer
        self.version = version

    def __contains__(self, name: str) -> bool:
        return name in self.headers


class _Getter:
    """Reads headers for propagators."""

    def get(self, request: Request, name: str) -> list[str] | None:
        """All lines of a header; None when it was not sent."""
        name = name.lower()
        return [value for sent, value in request.lines() if sent.lower() == name] or None

    def keys(self, request: Request) -> list[str]:
        """The names of the headers sent."""
        return [sent.lower() for sent, _ in request.lines()]


_GETTER = _Getter()


class WebServer:
    """Traces the requests of one library.

    Whatever is current where it serves is a remnant, of where the server was started for one: requests come
    from the network.
    """

    def __init__(self, patcher: Patcher, library: str) -> None:
        self.server = HttpServer(patcher, library, self._describe, str, _PATH_OF)

    def begin(self, request: Request) -> Exchange | None:
        """Begin a request; None where nothing may be traced."""
        context = current()
        if not context or suppressed(context):
            begun = self._start(request)
        else:
            remnant = attach(_NOTHING)
            try:
                begun = self._start(request)
            finally:
                reset(remnant)
        if begun is None:
            return None
        return Exchange(self.server, *begun)

    def _start(self, request: Request) -> tuple[AnySpan, Context] | None:
        server = self.server
        excluded = server.excluded is not None and bool(server.excluded.search(_url(request)))
        return server.begin(request.method, request, _GETTER, excluded)

    def _describe(self, request: Request) -> dict[str, Any]:
        """The attributes at start; what is missing leaves its own out."""
        get = request.headers.get
        scheme = get("x-forwarded-proto", "")[:MAX_TEXT] or request.scheme
        attributes: dict[str, Any] = {URL_SCHEME: scheme, URL_PATH: request.path[:MAX_LENGTH]}
        methods = self.server.methods
        attributes[HTTP_REQUEST_METHOD] = methods.known.get(request.method) or methods.describe_unknown(
            request.method, attributes
        )
        if request.query:
            attributes[URL_QUERY] = redact_query(request.query)
        host = get("x-forwarded-host") or get("host")
        client = get("x-forwarded-for")
        forwarded = get("forwarded")
        if forwarded:
            scheme, host, client = apply_forwarded(forwarded, scheme, host, client)
            attributes[URL_SCHEME] = scheme
        if host:
            attributes[SERVER_ADDRESS], port = split_host(host, scheme)
            if port is not None:
                attributes[SERVER_PORT] = port
        peer = request.peer
        if peer:
            attributes[NETWORK_PEER_ADDRESS] = peer
            attributes[CLIENT_ADDRESS] = client.split(",", 1)[0].strip()[:MAX_TEXT] if client else peer
        agent = get("user-agent")
        if agent:
            attributes[USER_AGENT_ORIGINAL] = agent[:MAX_TEXT]
        attributes[NETWORK_PROTOCOL_VERSION] = request.version
        if self.server.request_headers:
            self.server.request_headers.capture(request.lines(), attributes)
        return attributes


class Exchange:
    """One request and its response; where nothing is recorded its context is current, no more."""

    __slots__ = (
        "_headers",
        "_server",
        "_span",
        "close_code",
        "context",
        "open",
        "received",
        "route",
        "sent",
        "status",
        "websocket",
    )

    def __init__(self, server: HttpServer, span: AnySpan, context: Context) -> None:
        self._headers: Iterable[tuple[str, str]] | None = None
        self._server = server
        self._span: Any = span
        self.context = context
        """For the application to run in."""
        self.open = type(span) is Span
        """Whether something can still be recorded."""
        self.route: str | None = None
        """The template of the route, where there is one."""
        self.status = 0
        """Of the response that has begun to be sent."""
        self.websocket = False
        self.received = 0
        """Messages; of a websocket."""
        self.sent = 0
        """Likewise."""
        self.close_code: int | None = None
        """Likewise."""

    def respond(self, status: int, lines: Lines) -> None:
        """The head of a response is about to be sent."""
        self.status = status
        if self._server.response_headers:
            self._headers = lines()

    def fail(self, error: BaseException) -> None:
        """An exception that the application did not handle; a cancellation is none."""
        if self.open and isinstance(error, Exception):
            with guard:
                self._span.fail(error)

    def finish(self) -> None:
        """The request is over; only the first call counts. Never raises."""
        if not self.open:
            return
        self.open = False
        try:
            if self.websocket:
                attributes = self._span._attributes  # noqa: SLF001 - the span is ours
                attributes[NETWORK_PROTOCOL_NAME] = "websocket"
                attributes[WEBSOCKET_MESSAGES_RECEIVED] = self.received
                attributes[WEBSOCKET_MESSAGES_SENT] = self.sent
                if self.close_code is not None:
                    attributes[WEBSOCKET_CLOSE_CODE] = self.close_code
            self._server.finish(self._span, self.status, self.route, self._headers)
        except Exception as error:
            absorbed(error)


def _url(request: Request) -> str:
    """The URL that exclusions are searched in."""
    url = f"{request.scheme}://{request.headers.get('host', '')}{request.path}"
    return f"{url}?{request.query}" if request.query else url
