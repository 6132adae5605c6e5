"""Sanic: server spans, with its own server; behind ASGI servers also names for theirs.

Patched, for its own server: `HttpProtocol._setup`, where a connection is given what answers its requests.
`Sanic.handle_request` itself is compiled anew when the server starts, without any patch. For ASGI:
`Sanic.__call__`, and `ASGIApp.__call__` and `Request.respond`, where the route is known. For both: `lookup`
and `log` of `ErrorHandler`, which see what becomes a 500.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from autotrace.instrumentation.asgi import Asgi, in_progress, patch_entry
from autotrace.instrumentation.web_server import Request, WebServer
from autotrace.patching.guard import absorbed, guard
from autotrace.tracing.context import SPAN_KEY, attach, current, detach
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, Final

    from autotrace.instrumentation.web_server import Exchange
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_MESSAGES: Final = "_autotrace_messages"
"""The attribute of a websocket: how many it has received and sent."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `sanic.app`."""
    patch_entry(module, "Sanic.__call__", patcher, Asgi(patcher, "sanic"))
    patcher.replace(module, "ASGIApp.__call__", _observe_asgi)
    patcher.replace(module, "Request.respond", _observe_respond)
    record = partial(_record, module.SanicException)

    def observe_lookup(original: Function) -> Function:
        def lookup(self: Any, exception: BaseException, *args: Any, **kwargs: Any) -> Any:
            handler = original(self, exception, *args, **kwargs)
            if handler is None:  # of the application's
                with guard:
                    record(exception)
            return handler

        return lookup

    def observe_log(original: Function) -> Function:
        def log(request: Any, exception: BaseException) -> Any:
            with guard:
                record(exception)
            return original(request, exception)

        return log

    patcher.replace(module, "ErrorHandler.lookup", observe_lookup)
    patcher.replace(module, "ErrorHandler.log", observe_log)


def install_server(module: ModuleType, patcher: Patcher) -> None:
    """Patch `sanic.server.protocols.http_protocol`."""
    server = WebServer(patcher, "sanic")
    patcher.replace(module, "HttpProtocol._setup", partial(_observe_setup, server, patcher))


def install_websockets(module: ModuleType, patcher: Patcher) -> None:
    """Patch `sanic.server.websockets.impl`: what sends and receives messages."""

    def observe_recv(original: Function) -> Function:
        async def recv(self: Any, *args: Any, **kwargs: Any) -> Any:
            message = await original(self, *args, **kwargs)
            if message is not None:  # a timeout
                self.__dict__.setdefault(_MESSAGES, [0, 0])[0] += 1
            return message

        return recv

    def observe_send(original: Function) -> Function:
        async def send(self: Any, *args: Any, **kwargs: Any) -> Any:
            self.__dict__.setdefault(_MESSAGES, [0, 0])[1] += 1
            return await original(self, *args, **kwargs)

        return send

    patcher.replace(module, "WebsocketImplProtocol.recv", observe_recv)
    patcher.replace(module, "WebsocketImplProtocol.send", observe_send)


def _observe_setup(server: WebServer, patcher: Patcher, original: Function) -> Function:
    def setup(self: Any) -> Any:
        result = original(self)
        with guard:
            self.request_handler = _traced(server, patcher, self, self.request_handler)
        return result

    return setup


def _traced(server: WebServer, patcher: Patcher, protocol: Any, answer: Function) -> Function:
    async def handle_request(request: Any, *args: Any, **kwargs: Any) -> Any:
        exchange: Exchange | None = None
        if patcher.enabled:
            try:
                exchange = server.begin(_described(request))
            except Exception as error:
                absorbed(error)
        if exchange is None:
            return await answer(request, *args, **kwargs)
        token = attach(exchange.context)
        try:
            return await answer(request, *args, **kwargs)
        except BaseException as error:
            exchange.fail(error)
            raise
        finally:
            detach(token)
            if exchange.open:
                with guard:
                    _read_outcome(exchange, request, getattr(protocol, "websocket", None))
                exchange.finish()

    return handle_request


def _described(request: Any) -> Request:
    headers = request.headers
    return Request(
        request.method,
        request.path,
        request.query_string,
        headers,
        headers.items,
        "https" if request.transport.get_extra_info("sslcontext") else "http",
        request.ip,
        request.version,
    )


def _read_outcome(exchange: Exchange, request: Any, websocket: Any) -> None:
    exchange.route = request.uri_template
    stream = request.stream
    if websocket is not None:
        exchange.websocket = True
        exchange.status = 101
        exchange.received, exchange.sent = websocket.__dict__.get(_MESSAGES, (0, 0))
        close = websocket.ws_proto.close_rcvd or websocket.ws_proto.close_sent
        exchange.close_code = getattr(close, "code", None)
    elif stream.response is not None:
        exchange.respond(stream.response.status, stream.response.headers.items)
    else:  # a timeout, which is answered after the handler has been cancelled
        exchange.status = getattr(getattr(stream, "exception", None), "status_code", 0)


def _observe_asgi(original: Function) -> Function:
    async def __call__(self: Any) -> Any:  # noqa: N807
        try:
            return await original(self)
        finally:
            with guard:
                _tell_route(self.request)

    return __call__


def _observe_respond(original: Function) -> Function:
    def respond(self: Any, *args: Any, **kwargs: Any) -> Any:
        with guard:
            _tell_route(self)
        return original(self, *args, **kwargs)

    return respond


def _tell_route(request: Any) -> None:
    scope = getattr(request.transport, "scope", None)  # none of Sanic's own server
    exchange = None if scope is None else in_progress(scope)
    if exchange is not None and request.route is not None:
        exchange.route = exchange.prefix + request.uri_template


def _record(answers: type[BaseException], error: BaseException) -> None:
    """Record what becomes a 500, unless it is an exception that is made to be an answer."""
    span = current().get(SPAN_KEY)
    if isinstance(span, Span) and isinstance(error, Exception) and not isinstance(error, answers):
        span.fail(error)
