"""The exchange of one ASGI request: what the application gets to call, and when its span ends.

A span lasts until the last piece of the response has been sent, or until the application returns or
raises, whichever comes first. After a response of 5xx it waits for the application in any case:
frameworks answer first, and raise what it was about afterwards.

Spec: https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.semconv import (
    NETWORK_PROTOCOL_NAME,
    WEBSOCKET_CLOSE_CODE,
    WEBSOCKET_MESSAGES_RECEIVED,
    WEBSOCKET_MESSAGES_SENT,
)
from autotrace.patching.guard import absorbed, guard
from autotrace.tracing.context import attach, detach

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator
    from types import TracebackType

    from autotrace.instrumentation.http_server import HttpServer
    from autotrace.tracing.context import Context
    from autotrace.tracing.span import Span

    Scope = dict[str, Any]
    Receive = Callable[[], Awaitable[Any]]
    Send = Callable[[Any], Awaitable[Any]]

EXCHANGE = "autotrace.exchange"
"""The scope's key for the exchange in progress; gone when the application has returned."""

_SWITCHED = 101
_FORBIDDEN = 403
_SERVER_ERROR = 500

_BODY = frozenset({"http.response.body", "http.response.zerocopysend"})
_DISCONNECTS = frozenset({"ClientDisconnect", "ClientDisconnected", "WebSocketDisconnect"})
"""By which Starlette, uvicorn and others tell an application that the client has gone: no errors."""


class Unrecorded:
    """A request of which nothing is recorded: its context is current in the `with` block, no more."""

    __slots__ = ("_token", "context", "open", "prefix", "receive", "route", "scope", "send")

    scope: Scope
    """Where it can be found during the block."""

    def __init__(self, context: Context, receive: Receive, send: Send) -> None:
        self.context = context
        self.receive = receive
        """What the application gets to call."""
        self.send = send
        """Likewise."""
        self.open = True
        """Whether the request is in progress: background tasks come after it."""
        self.prefix = ""
        """Of the templates of the routers that the request has passed."""
        self.route: str | None = None
        """Told by the framework: the template of the route."""

    def __enter__(self) -> None:
        self._token = attach(self.context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.fail(error)
        detach(self._token)
        self.finish()
        self.scope.pop(EXCHANGE, None)

    def fail(self, error: BaseException) -> None:
        """An exception has left the application."""

    def drop(self) -> None:
        """Record nothing of this request after all."""
        self.open = False

    def finish(self) -> None:
        """The request is over; only the first call counts. Never raises."""
        self.open = False


class Exchange(Unrecorded):
    """One recorded request and its response."""

    __slots__ = ("_forward", "_headers", "_server", "_span", "_status", "_trailers")

    def __init__(
        self, server: HttpServer, span: Span, context: Context, receive: Receive, send: Send
    ) -> None:
        # As the base's, which a call would make dearer; `send` is a method here.
        self.context = context
        self.receive = receive
        self.open = True
        self.prefix = ""
        self.route = None
        self._forward = send
        self._headers: Any = None
        self._server = server
        self._span = span
        self._status = 0
        self._trailers = False

    def send(self, message: Any) -> Awaitable[Any]:
        """Stands in for the server's own."""
        try:
            kind = message["type"]
            if kind == "http.response.start":
                self._status = int(message["status"])
                if self._server.response_headers:
                    self._headers = message.get("headers", ())
                if message.get("trailers"):
                    self._trailers = True
            elif self.open and self._is_last(kind, message):
                return self._send_last(message)
        except Exception as error:
            absorbed(error)
        return self._forward(message)

    def _is_last(self, kind: str, message: Any) -> bool:
        """Whether the response is complete with this message, of the extensions' too."""
        if kind in _BODY:
            return not self._trailers and not message.get("more_body")
        if kind == "http.response.trailers":
            return not message.get("more_trailers")
        return kind == "http.response.pathsend" and not self._trailers

    async def _send_last(self, message: Any) -> Any:
        try:
            return await self._forward(message)
        finally:
            if self._status < _SERVER_ERROR:
                self.finish()

    def fail(self, error: BaseException) -> None:
        """As of the base; the span says why, unless the client has gone or the task was cancelled."""
        if self.open and isinstance(error, Exception) and type(error).__name__ not in _DISCONNECTS:
            with guard:
                self._span.fail(error)
                if not self._status:
                    self._status = _SERVER_ERROR  # which the server sends for it

    def finish(self) -> None:
        """End the span."""
        if not self.open:
            return
        self.open = False
        try:
            headers = None if self._headers is None else decoded(self._headers)
            self._server.finish(self._span, self._status, self.route, headers)
        except Exception as error:
            absorbed(error)


class Connection(Unrecorded):
    """One recorded websocket, from the handshake until the application has done with it.

    Its messages are counted. A span for each would be many, of an operation that nobody waits for.
    """

    __slots__ = ("_code", "_forward", "_received", "_sent", "_server", "_span", "_status", "_wait")

    def __init__(
        self, server: HttpServer, span: Span, context: Context, receive: Receive, send: Send
    ) -> None:
        self.context = context
        self.open = True
        self.prefix = ""
        self.route = None
        self._code: int | None = None
        self._forward = send
        self._received = 0
        self._sent = 0
        self._server = server
        self._span = span
        self._status = 0
        self._wait = receive

    async def receive(self) -> Any:
        """Stands in for the server's own."""
        message = await self._wait()
        with guard:
            kind = message["type"]
            if kind == "websocket.receive":
                self._received += 1
            elif kind == "websocket.disconnect" and self._code is None:
                self._code = message.get("code")
        return message

    def send(self, message: Any) -> Awaitable[Any]:
        """Stands in for the server's own."""
        with guard:
            kind = message["type"]
            if kind == "websocket.send":
                self._sent += 1
            elif kind == "websocket.accept":
                self._status = _SWITCHED
            elif kind == "websocket.http.response.start":
                self._status = int(message["status"])
            elif kind == "websocket.close":
                if not self._status:
                    self._status = _FORBIDDEN  # what servers make of a handshake that is refused
                elif self._code is None:
                    self._code = message.get("code") or 1000
        return self._forward(message)

    def fail(self, error: BaseException) -> None:
        """As of an exchange."""
        if isinstance(error, Exception) and type(error).__name__ not in _DISCONNECTS:
            with guard:
                self._span.fail(error)
                if not self._status:
                    self._status = _SERVER_ERROR

    def finish(self) -> None:
        """End the span."""
        if not self.open:
            return
        self.open = False
        with guard:
            attributes = self._span._attributes  # noqa: SLF001 - the span is ours
            attributes[NETWORK_PROTOCOL_NAME] = "websocket"
            attributes[WEBSOCKET_MESSAGES_RECEIVED] = self._received
            attributes[WEBSOCKET_MESSAGES_SENT] = self._sent
            if self._code is not None:
                attributes[WEBSOCKET_CLOSE_CODE] = self._code
            self._server.finish(self._span, self._status, self.route)


def decoded(headers: Iterable[Any]) -> Iterator[tuple[str, str]]:
    """Headers as text."""
    for name, value in headers:
        yield name.decode("latin-1"), value.decode("latin-1")
