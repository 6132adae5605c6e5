"""Server spans for WSGI, whichever server and framework.

The outermost patched entry point that sees a request makes the span and leaves its `Exchange` in
the environ; inner ones find it there (`in_progress`) and only tell the route. All state of a request
lives in its exchange. The span lasts until the response body is closed (PEP 3333).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

from autotrace.instrumentation.http import MAX_TEXT, apply_forwarded, split_host
from autotrace.instrumentation.http_server import SERVER, HttpServer
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
from autotrace.patching.guard import absorbed, guard
from autotrace.tracing.context import SPAN_KEY, attach, current, detach, reset
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.context import Context

    Environ = dict[str, Any]

EXCHANGE = "autotrace.exchange"
"""The environ's key for a weak reference to the exchange in progress."""

_complete: dict[type, bool] = {}
"""By type of body: whether it holds all chunks already. Bounded by the types a program has."""

_PROTOCOLS = {"HTTP/1.1": "1.1", "HTTP/1.0": "1.0", "HTTP/2": "2", "HTTP/2.0": "2", "HTTP/3": "3"}


class EnvironGetter:
    """Reads headers from an environ: `x-b3-traceid` is `HTTP_X_B3_TRACEID` there."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def get(self, environ: Environ, name: str) -> Any:
        """The header's value, None when it was not sent."""
        return environ.get(self._names.get(name) or self.key_of(name))

    def key_of(self, name: str) -> str:
        """The environ's key for a header."""
        key = self._names[name] = "HTTP_" + name.upper().replace("-", "_")
        return key

    def keys(self, environ: Environ) -> list[str]:
        """The names of the headers sent."""
        return [key[5:].replace("_", "-").lower() for key in environ if key.startswith("HTTP_")]


_GETTER = EnvironGetter()


def in_progress(environ: Environ) -> Unrecorded | None:
    """The exchange that an outer entry point has begun for this request."""
    reference = environ.get(EXCHANGE)
    exchange: Unrecorded | None = None if reference is None else reference()
    return exchange if exchange is not None and exchange.open else None


class Wsgi:
    """Traces WSGI applications for one library."""

    def __init__(self, patcher: Patcher, library: str) -> None:
        self.server = HttpServer(patcher, library, self._describe, _GETTER.key_of, _path)

    def begin(self, environ: Environ, start_response: Callable[..., Any]) -> Unrecorded | None:
        """Begin a request; None when there is nothing to do here. Never raises."""
        try:
            server = self.server
            context = current()
            if context and _is_served(environ, context.get(SPAN_KEY)):
                return None
            excluded = server.excluded is not None and bool(server.excluded.search(_url(environ)))
            begun = server.begin(environ.get("REQUEST_METHOD", ""), environ, _GETTER, excluded)
            if begun is None:
                return None
            span, context = begun
            exchange: Unrecorded
            if type(span) is Span:
                exchange = Exchange(server, span, context, environ, start_response)
            else:
                exchange = Unrecorded(context, start_response)
            environ[EXCHANGE] = ref(
                exchange
            )  # no cycle: a request's objects shall not wait for the collector
        except Exception as error:
            absorbed(error)
            return None
        return exchange

    def exclude(self, outer: Unrecorded, environ: Environ) -> None:
        """Let the exclusions of a framework count where its server has begun the exchange. Never raises."""
        try:
            excluded = self.server.excluded
            if excluded is not None and excluded.search(_url(environ)):
                begun = self.server.begin("", environ, _GETTER, excluded=True)
                if begun is not None:
                    outer.drop(begun[1])
        except Exception as error:
            absorbed(error)

    def _describe(self, environ: Environ) -> dict[str, Any]:
        """The attributes at start; missing or odd variables leave theirs out."""
        get = environ.get
        scheme = get("HTTP_X_FORWARDED_PROTO") or get("wsgi.url_scheme") or "http"
        path = _path(environ)
        attributes: dict[str, Any] = {
            URL_SCHEME: scheme,
            URL_PATH: path if len(path) <= MAX_LENGTH else path[:MAX_LENGTH],
        }
        method = get("REQUEST_METHOD", "")
        attributes[HTTP_REQUEST_METHOD] = self.server.methods.known.get(
            method
        ) or self.server.methods.describe_unknown(method, attributes)
        query = get("QUERY_STRING")
        if query:
            attributes[URL_QUERY] = redact_query(query)
        host = get("HTTP_X_FORWARDED_HOST") or get("HTTP_HOST") or get("SERVER_NAME")
        forwarded = get("HTTP_FORWARDED")
        client = get("HTTP_X_FORWARDED_FOR")
        peer = get("REMOTE_ADDR")
        if forwarded:
            scheme, host, client = apply_forwarded(forwarded, scheme, host, client)
            attributes[URL_SCHEME] = scheme
        if host:
            attributes[SERVER_ADDRESS], port = split_host(host, scheme)
            if port is not None:
                attributes[SERVER_PORT] = port
        if peer:
            attributes[NETWORK_PEER_ADDRESS] = peer
            attributes[CLIENT_ADDRESS] = client.split(",", 1)[0].strip()[:MAX_TEXT] if client else peer
        agent = get("HTTP_USER_AGENT")
        if agent:
            attributes[USER_AGENT_ORIGINAL] = agent if len(agent) <= MAX_TEXT else agent[:MAX_TEXT]
        version = _PROTOCOLS.get(get("SERVER_PROTOCOL", ""))
        if version is not None:
            attributes[NETWORK_PROTOCOL_VERSION] = version
        if self.server.request_headers:
            self.server.request_headers.capture(_headers(environ), attributes)
        return attributes


class Unrecorded:
    """A request of which nothing is recorded, and its response body: its context is current, no more.

    Iterated by a generator, which costs a third of a `__next__` in Python; closed by this object, since
    a generator that was never started would not run its `finally`.
    """

    __slots__ = (
        "__weakref__",
        "_body",
        "_chunks",
        "_context",
        "_token",
        "open",
        "route_of",
        "start_response",
    )

    def __init__(self, context: Context, start_response: Callable[..., Any]) -> None:
        self._body: Any = None
        self._chunks: Iterator[bytes] | None = None
        self._context = context
        self._token = attach(context)
        self.open = True
        """Whether the request is in progress: an environ may be used again afterwards."""
        self.route_of: Callable[[Environ], str | None] | None = None
        """Told by the framework: finds the route when the response starts."""
        self.start_response = start_response
        """What the application gets to call."""

    def body(self, body: Iterable[bytes], environ: Environ) -> Iterable[bytes]:
        """What the server gets to send: `body` itself where nothing of the application runs in it."""
        detach(self._token)
        if _is_complete(body, environ):
            self.finish()
            return body
        self._body = body
        return self

    def fail(self, _error: BaseException) -> None:
        """An exception has left the application: there is no response, and no body to wait for."""
        detach(self._token)
        self.finish()

    def drop(self, context: Context) -> None:
        """Record nothing of this request after all; `context` is current from now on."""
        self.open = False
        self._context = context
        attach(context)  # until the application returns, which puts back what was before the exchange

    def record(self, error: BaseException) -> None:
        """An exception that comes out of the body."""

    def finish(self) -> None:
        """The request is over; only the first call counts. Never raises."""
        self.open = False

    def __iter__(self) -> Iterator[bytes]:
        context = self._context
        chunks: Iterator[bytes] | None = None
        while True:
            token = attach(context)
            try:
                if chunks is None:
                    chunks = iter(self._body)
                chunk = next(chunks)
            except StopIteration:
                return
            except Exception as error:
                with guard:
                    self.record(error)
                raise
            finally:
                reset(token)
            yield chunk

    def __next__(self) -> bytes:
        """For those who take any body for an iterator."""
        if self._chunks is None:
            self._chunks = iter(self)
        return next(self._chunks)

    def __getattr__(self, name: str) -> Any:
        """Servers and tests ask a body for more than PEP 3333 names."""
        return getattr(self._body, name)

    def close(self) -> None:
        """Called once by the server, also when it never asked for a chunk (PEP 3333)."""
        token = attach(self._context)
        try:
            if (close := getattr(self._body, "close", None)) is not None:
                close()
        finally:
            reset(token)
            self.finish()


class Exchange(Unrecorded):
    """One recorded request and its response body; the span ends when the server is done with it."""

    __slots__ = ("_environ", "_headers", "_route", "_server", "_server_start_response", "_span", "_status")

    def __init__(
        self,
        server: HttpServer,
        span: Span,
        context: Context,
        environ: Environ,
        start_response: Callable[..., Any],
    ) -> None:
        # As the base's, which a call would make dearer; `start_response` is a method here.
        self._body = None
        self._chunks = None
        self._context = context
        self._token = attach(context)
        self.open = True
        self.route_of = None
        self._environ = environ
        self._headers: Iterable[tuple[str, str]] | None = None
        self._route: str | None = None
        self._server = server
        self._server_start_response = start_response
        self._span = span
        self._status = ""

    def start_response(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        """Stands in for the server's own; the last call counts, as in PEP 3333."""
        self._status = status
        if self._server.response_headers:
            self._headers = headers
        if self.route_of is not None:
            try:
                self._route = self.route_of(self._environ)
            except Exception as error:
                absorbed(error)
        if exc_info is None:
            return self._server_start_response(status, headers)
        return self._server_start_response(status, headers, exc_info)

    def fail(self, error: BaseException) -> None:
        """As of the base; the span says why."""
        with guard:
            if isinstance(error, Exception):
                self.record(error)
            if self.route_of is not None and not self._status:
                self._route = self.route_of(self._environ)
        super().fail(error)

    def record(self, error: BaseException) -> None:
        """Record it, while the span is open."""
        if self.open:
            self._span.fail(error)

    def finish(self) -> None:
        """End the span."""
        if not self.open:
            return
        self.open = False
        try:
            status = self._status[:3]
            self._server.finish(
                self._span, int(status) if status.isdigit() else 0, self._route, self._headers
            )
        except Exception as error:
            absorbed(error)

    def __del__(self) -> None:
        """Test clients may drop a body without closing it."""
        if self.open:
            self.finish()


def _is_complete(body: Iterable[bytes], environ: Environ) -> bool:
    """Whether the server must get the body itself, and nothing of the application runs in it.

    A list and its like: servers compute Content-Length from its length. A `wsgi.file_wrapper`: the
    server knows it by its type, to send the file from the kernel; uWSGI's is a function that gives the
    file back, and knows that.
    """
    kind = type(body)
    complete = _complete.get(kind)
    if complete is None:
        complete = _complete[kind] = hasattr(kind, "__len__")
    if complete:
        return True
    wrapper = environ.get("wsgi.file_wrapper")
    if isinstance(wrapper, type):
        return isinstance(body, wrapper)
    return wrapper is not None and hasattr(kind, "read")


def handed_over_as_it_is(kind: type) -> None:
    """Give the server bodies of this type themselves: they are signs of its own."""
    _complete[kind] = True


def _is_served(environ: Environ, outer: Any) -> bool:
    """Whether the current span is that of this very request, which came in by ASGI or a middleware of theirs.

    OpenTelemetry's middleware uses the old names of attributes.
    """
    if type(outer) is not Span or outer.kind is not SERVER or outer.end_time is not None:
        return False
    attributes = outer._attributes  # noqa: SLF001 - the span is ours
    method = attributes.get(HTTP_REQUEST_METHOD) or attributes.get("http.method")
    path = attributes.get(URL_PATH) or str(attributes.get("http.target")).partition("?")[0]
    return method == environ.get("REQUEST_METHOD") and path == _path(environ)[:MAX_LENGTH]


def traced(application: Callable[..., Iterable[bytes]], wsgi: Wsgi) -> Callable[..., Iterable[bytes]]:
    """A WSGI application that is traced, for servers that are handed one."""

    def serve(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        if in_progress(environ) is not None:
            return application(environ, start_response)
        exchange = wsgi.begin(environ, start_response)
        if exchange is None:
            return application(environ, start_response)
        try:
            body = application(environ, exchange.start_response)
        except BaseException as error:
            exchange.fail(error)
            raise
        return exchange.body(body, environ)

    return serve


def root_of(environ: Environ) -> str:
    """Where the application is mounted, which its routes begin with; mostly nothing."""
    root = environ.get("SCRIPT_NAME")
    return _decoded(root).rstrip("/") if root else ""


def _path(environ: Environ) -> str:
    return _decoded(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""))


def _decoded(path: str) -> str:
    """A path of an environ, where its bytes are Latin-1 (PEP 3333)."""
    return path if path.isascii() else path.encode("latin-1", "replace").decode("utf-8", "replace")


def _url(environ: Environ) -> str:
    """The URL that exclusions are searched in."""
    get = environ.get
    host = get("HTTP_HOST") or get("SERVER_NAME", "")
    query = get("QUERY_STRING")
    path = get("SCRIPT_NAME", "") + get("PATH_INFO", "")
    return f"{get('wsgi.url_scheme', 'http')}://{host}{path}{'?' + query if query else ''}"


def _headers(environ: Environ) -> Iterator[tuple[str, str]]:
    for key, value in environ.items():
        if key.startswith("HTTP_"):
            yield key[5:].replace("_", "-"), value
        elif key in {"CONTENT_TYPE", "CONTENT_LENGTH"} and value:
            yield key.replace("_", "-"), value
