"""Server spans for ASGI, whichever server and framework.

The outermost patched entry point that sees a request makes the span and leaves its `Exchange` in the
scope; inner ones find it there (`in_progress`) and only tell the route. A private key of the scope,
and not the context, since a mount copies the scope and hands it on, while a request that the
application makes to itself in the same task has a scope of its own.

Spec: https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.asgi_exchange import EXCHANGE, Connection, Exchange, Unrecorded, decoded
from autotrace.instrumentation.http import MAX_TEXT, apply_forwarded, split_host
from autotrace.instrumentation.http_server import HttpServer
from autotrace.instrumentation.semconv import (
    CLIENT_ADDRESS,
    HTTP_REQUEST_METHOD,
    NETWORK_PEER_ADDRESS,
    NETWORK_PROTOCOL_VERSION,
    SERVER_ADDRESS,
    SERVER_PORT,
    URL_PATH,
    URL_QUERY,
    URL_SCHEME,
    USER_AGENT_ORIGINAL,
)
from autotrace.instrumentation.urls import MAX_LENGTH, redact_query
from autotrace.patching.guard import absorbed
from autotrace.patching.patcher import MARK
from autotrace.tracing.context import Context, attach, current, reset, suppressed
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import ModuleType

    from autotrace.instrumentation.asgi_exchange import Receive, Scope, Send
    from autotrace.instrumentation.http_server import AnySpan
    from autotrace.patching.patcher import Patcher

    Application = Callable[[Scope, Receive, Send], Awaitable[Any]]

_TRACED = frozenset({"http", "websocket"})
_BY_FASTAPI = "fastapi.telemetry"
BY_STARLETTE = "starlette.opentelemetry"
"""Keys of the scope by which these frameworks know that they are tracing a request themselves."""

_UPGRADE = "GET"
"""The method of a websocket's handshake, which its scope does not tell."""

_NOTHING = Context()


class Headers(dict[bytes, bytes]):
    """The headers of a request by name, and its scope; of a repeated header, the first line."""

    __slots__ = ("scope",)

    scope: Scope


class HeadersGetter:
    """Reads headers for propagators."""

    def get(self, headers: Headers, name: str) -> list[str] | None:
        """All lines of a header; None when it was not sent."""
        key = key_of(name)
        if key not in headers:
            return None
        return [value.decode("latin-1") for found, value in headers.scope["headers"] if found == key]

    def keys(self, headers: Headers) -> list[str]:
        """The names of the headers sent."""
        return [name.decode("latin-1") for name in headers]


_GETTER = HeadersGetter()


def key_of(name: str) -> bytes:
    """A header's key in a scope."""
    return name.encode("latin-1")


def in_progress(scope: Scope) -> Unrecorded | None:
    """The exchange that an outer entry point has begun for this request, while its span is open."""
    exchange: Unrecorded | None = scope.get(EXCHANGE)
    return exchange if exchange is not None and exchange.open else None


class Asgi:
    """Traces ASGI applications for one library.

    Args:
        patcher: Of the library.
        library: Its name in `OTEL_PYTHON_<X>_EXCLUDED_URLS`.
        serves: It is a server: its requests come from the network, and whatever is current is a remnant.
            uvicorn reads on in the task that serves a request, where the body is large, so that the next
            request on the connection finds the context of the one before.
    """

    def __init__(self, patcher: Patcher, library: str, serves: bool = False) -> None:
        self.server = HttpServer(patcher, library, self._describe, key_of, _path_of)
        self._patcher = patcher
        self._serves = serves

    def takes(self, scope: Scope) -> bool:
        """Whether `run` is to be used here: not for a lifespan, nor where an outer entry point has begun."""
        try:
            if scope["type"] not in _TRACED or not self._patcher.enabled:
                return False
            outer = scope.get(EXCHANGE)
            if outer is None:
                return _BY_FASTAPI not in scope and BY_STARLETTE not in scope
            if self.server.excluded is not None:
                self._exclude(outer, scope)
            if _BY_FASTAPI in scope and getattr(scope[_BY_FASTAPI], "span", None) is not None:
                outer.drop()  # FastAPI has made one with a provider of the application's own
        except Exception as error:
            absorbed(error)
        return False

    async def run(
        self,
        application: Callable[..., Awaitable[Any]],
        scope: Scope,
        receive: Receive,
        send: Send,
        *more: Any,
    ) -> Any:
        """Call the application, once, and trace it where that is wanted; `more` is for the application."""
        exchange = self.begin(scope, receive, send)
        if exchange is None:
            return await application(scope, receive, send, *more)
        with exchange:
            return await application(scope, exchange.receive, exchange.send, *more)

    def begin(self, scope: Scope, receive: Receive, send: Send) -> Unrecorded | None:
        """Begin a request, where `takes` says so; None when there is nothing to do here. Never raises.

        Returns:
            A context manager around the application.
        """
        try:
            server = self.server
            context = current()
            if self._serves and context and not suppressed(context):
                remnant = attach(_NOTHING)
                try:
                    begun = self._start(scope)
                finally:
                    reset(remnant)
            else:
                begun = self._start(scope)
            if begun is None:
                return None
            span, context = begun
            exchange: Unrecorded
            if type(span) is not Span:
                exchange = Unrecorded(context, receive, send)
            elif scope["type"] == "http":
                exchange = Exchange(server, span, context, receive, send)
            else:
                exchange = Connection(server, span, context, receive, send)
            scope[EXCHANGE] = exchange
            exchange.scope = scope
        except Exception as error:
            absorbed(error)
            return None
        return exchange

    def _start(self, scope: Scope) -> tuple[AnySpan, Context] | None:
        excluded = self.server.excluded is not None and self._is_excluded(scope)
        return self.server.begin(scope.get("method", _UPGRADE), _headers(scope), _GETTER, excluded)

    def _exclude(self, outer: Unrecorded, scope: Scope) -> None:
        """Let the exclusions of a framework count where its server has begun the exchange."""
        if self._is_excluded(scope):
            begun = self.server.begin("", _headers(scope), _GETTER, excluded=True)
            if begun is not None:
                outer.drop()
                attach(begun[1])  # until `run` puts back what was before the exchange

    def _is_excluded(self, scope: Scope) -> bool:
        excluded = self.server.excluded
        return excluded is not None and bool(excluded.search(_url(scope)))

    def _describe(self, headers: Headers) -> dict[str, Any]:  # noqa: C901 - one pass over the scope
        """The attributes at start; what is missing leaves its own out."""
        scope = headers.scope
        get = headers.get
        proto = get(b"x-forwarded-proto")
        scheme = proto[:MAX_TEXT].decode("latin-1") if proto else scope.get("scheme") or "http"
        path = scope["path"]
        attributes: dict[str, Any] = {
            URL_SCHEME: scheme,
            URL_PATH: path if len(path) <= MAX_LENGTH else path[:MAX_LENGTH],
        }
        method = scope.get("method", _UPGRADE)
        attributes[HTTP_REQUEST_METHOD] = self.server.methods.known.get(
            method
        ) or self.server.methods.describe_unknown(method, attributes)
        query = scope.get("query_string")
        if query:
            attributes[URL_QUERY] = redact_query(query.decode("latin-1"))
        named = get(b"x-forwarded-host") or get(b"host")
        host = named.decode("latin-1") if named else None
        behind = get(b"x-forwarded-for")
        client = behind.decode("latin-1") if behind else None
        if b"forwarded" in headers:
            scheme, host, client = apply_forwarded(
                headers[b"forwarded"].decode("latin-1"), scheme, host, client
            )
            attributes[URL_SCHEME] = scheme
        if host:
            attributes[SERVER_ADDRESS], port = split_host(host, scheme)
            if port is not None:
                attributes[SERVER_PORT] = port
        elif scope.get("server"):
            attributes[SERVER_ADDRESS], port = scope["server"]
            if port is not None:  # of a unix socket
                attributes[SERVER_PORT] = port
        peer = scope.get("client")
        if peer:
            attributes[NETWORK_PEER_ADDRESS] = address = peer[0]
            attributes[CLIENT_ADDRESS] = client.split(",", 1)[0].strip()[:MAX_TEXT] if client else address
        agent = get(b"user-agent")
        if agent:
            attributes[USER_AGENT_ORIGINAL] = agent[:MAX_TEXT].decode("latin-1")
        version = scope.get("http_version")
        if version:
            attributes[NETWORK_PROTOCOL_VERSION] = version
        if self.server.request_headers:
            self.server.request_headers.capture(decoded(scope["headers"]), attributes)
        return attributes


def traced(application: Application, asgi: Asgi) -> Application:
    """An ASGI application that is traced, for servers that are handed one; itself when it is already."""
    if getattr(application, MARK, False):
        return application

    def serve(scope: Scope, receive: Receive, send: Send) -> Awaitable[Any]:
        if asgi.takes(scope):
            return asgi.run(application, scope, receive, send)
        return application(scope, receive, send)

    setattr(serve, MARK, True)
    return serve


def patch_entry(module: ModuleType, path: str, patcher: Patcher, asgi: Asgi) -> None:
    """Trace a method that is an ASGI application."""

    def observe(original: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def entry(self: Any, scope: Scope, receive: Receive, send: Send, *more: Any) -> Any:
            # As `run`, which would be one coroutine more for each of the application's steps.
            exchange = asgi.begin(scope, receive, send) if asgi.takes(scope) else None
            if exchange is None:
                return await original(self, scope, receive, send, *more)
            with exchange:
                return await original(self, scope, exchange.receive, exchange.send, *more)

        return entry

    patcher.replace(module, path, observe)


def _headers(scope: Scope) -> Headers:
    lines = scope.get("headers", ())
    if type(lines) is not list and type(lines) is not tuple:
        lines = scope["headers"] = list(lines)  # any iterable is allowed, and the application's turn comes
    headers = Headers(lines[::-1])
    headers.scope = scope
    return headers


def _path_of(headers: Headers) -> str:
    path: str = headers.scope["path"]
    return path


def _url(scope: Scope) -> str:
    """The URL that exclusions are searched in."""
    host = _headers(scope).get(b"host", b"").decode("latin-1")
    query = scope.get("query_string", b"").decode("latin-1")
    return f"{scope.get('scheme', 'http')}://{host}{scope['path']}{'?' + query if query else ''}"
