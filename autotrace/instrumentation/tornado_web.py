"""Tornado: server spans for `tornado.web`, and for WSGI applications in its server.

Patched: `RequestHandler._execute`, which answers one request in a task of its own; `RequestHandler.finish`,
with which the response ends; `_handle_request_exception` and `log_exception`, which see what fails;
`_HandlerDelegate.data_received`, for handlers that take the body in pieces; `PathMatches.match`, where a rule
matches; and what sends and receives the messages of a websocket. Nothing is made for a `FallbackHandler`:
what it falls back to has the request from there on.
"""

from __future__ import annotations

from functools import partial
from inspect import iscoroutine
from typing import TYPE_CHECKING
from weakref import finalize

from autotrace.instrumentation.tornado_routes import template_of
from autotrace.instrumentation.web_server import Request, WebServer
from autotrace.instrumentation.wsgi_server import trace_given_application
from autotrace.patching.guard import absorbed, guard
from autotrace.tracing.context import attach, detach

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import ModuleType
    from typing import Any, Final

    from autotrace.instrumentation.web_server import Exchange
    from autotrace.patching.patcher import Patcher
    from autotrace.tracing.context import Context

    Function = Callable[..., Any]

_EXCHANGE: Final = "_autotrace_exchange"
"""The attribute of a handler."""

_MATCHER: Final = "_autotrace_matcher"
"""The attribute of a request: what matched last. Nested routers match the whole path anew."""

_TEMPLATE: Final = "_autotrace_template"
"""The attribute of a matcher."""

_SWITCHED: Final = 101
_NOT_FOUND: Final = 404
_MESSAGES: Final = (0x1, 0x2)
"""The opcodes of text and of binary messages."""

_DISCONNECTS: Final = frozenset({"StreamClosedError", "WebSocketClosedError"})


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `tornado.web`."""
    server = WebServer(patcher, "tornado_web")
    patcher.replace(module, "RequestHandler._execute", partial(_execute, module, server, patcher))
    patcher.replace(module, "RequestHandler.finish", partial(_finish, module))
    record = partial(_record, module)

    def handle_exception(original: Function) -> Function:
        def _handle_request_exception(self: Any, e: BaseException) -> Any:
            with guard:
                record(self, e)
            return original(self, e)

        return _handle_request_exception

    def log_exception(original: Function) -> Function:
        def log_exception(self: Any, typ: Any, value: Any, tb: Any) -> Any:
            with guard:
                record(self, value)
            return original(self, typ, value, tb)

        return log_exception

    patcher.replace(module, "RequestHandler._handle_request_exception", handle_exception)
    patcher.replace(module, "RequestHandler.log_exception", log_exception)
    patcher.replace(module, "_HandlerDelegate.data_received", _data_received)


def install_routing(module: ModuleType, patcher: Patcher) -> None:
    """Patch `tornado.routing`."""

    def observe(original: Function) -> Function:
        def match(self: Any, request: Any) -> Any:
            found = original(self, request)
            if found is not None:
                with guard:
                    setattr(request, _MATCHER, self)
            return found

        return match

    patcher.replace(module, "PathMatches.match", observe)


def install_websockets(module: ModuleType, patcher: Patcher) -> None:
    """Patch `tornado.websocket`."""

    def observe_write(original: Function) -> Function:
        def write_message(self: Any, *args: Any, **kwargs: Any) -> Any:
            sent = original(self, *args, **kwargs)
            exchange = self.__dict__.get(_EXCHANGE)
            if exchange is not None:
                exchange.sent += 1
            return sent

        return write_message

    def observe_message(original: Function) -> Function:
        def handle_message(self: Any, opcode: int, data: bytes) -> Any:
            with guard:
                exchange = getattr(self.handler, _EXCHANGE, None)  # none of a client's
                if exchange is not None and opcode in _MESSAGES:
                    exchange.received += 1
            return original(self, opcode, data)

        return handle_message

    patcher.replace(module, "WebSocketHandler.write_message", observe_write)
    patcher.replace(module, "WebSocketProtocol13._handle_message", observe_message)


def install_wsgi(module: ModuleType, patcher: Patcher) -> None:
    """Patch `tornado.wsgi`."""
    trace_given_application(module, patcher, "tornado_web", "WSGIContainer.__init__", 1, "wsgi_application")


def _execute(module: ModuleType, server: WebServer, patcher: Patcher, original: Function) -> Function:
    def begin(handler: Any) -> Exchange | None:
        if not patcher.enabled or isinstance(handler, module.FallbackHandler):
            return None
        exchange = server.begin(_described(handler.request))
        if exchange is not None:
            setattr(handler, _EXCHANGE, exchange)
        return exchange

    async def execute(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange: Exchange | None = None
        try:
            exchange = begin(self)
        except Exception as error:
            absorbed(error)
        if exchange is None:
            return await original(self, *args, **kwargs)
        token = attach(exchange.context)
        try:
            return await original(self, *args, **kwargs)
        finally:
            detach(token)
            if exchange.open:
                with guard:
                    _leave(module, self, exchange)

    return execute


def _data_received(original: Function) -> Function:
    """A piece of a streamed request, which the handler gets while its own task waits."""

    def data_received(self: Any, data: bytes) -> Any:
        exchange = getattr(self.__dict__.get("handler"), _EXCHANGE, None)
        if exchange is None:
            return original(self, data)
        token = attach(exchange.context)
        try:
            received = original(self, data)
        finally:
            detach(token)
        return _in_context(exchange.context, received) if iscoroutine(received) else received

    return data_received


async def _in_context(context: Context, coroutine: Awaitable[Any]) -> Any:
    token = attach(context)
    try:
        return await coroutine
    finally:
        detach(token)


def _described(request: Any) -> Request:
    lines = request.headers.get_all
    return Request(
        request.method,
        request.path,
        request.query,
        {name.lower(): value for name, value in reversed(list(lines()))},
        lines,
        request.protocol,
        request.remote_ip,
        request.version[len("HTTP/") :],
    )


def _finish(module: ModuleType, original: Function) -> Function:
    def finish(self: Any, *args: Any, **kwargs: Any) -> Any:
        future = original(self, *args, **kwargs)
        exchange = self.__dict__.get(_EXCHANGE)
        if exchange is not None and exchange.open:
            with guard:
                _respond(module, self, exchange)
                if exchange.status == _SWITCHED:
                    exchange.websocket = True
                else:
                    exchange.finish()
        return future

    return finish


def _respond(module: ModuleType, handler: Any, exchange: Exchange) -> None:
    exchange.respond(handler.get_status(), handler._headers.get_all)  # noqa: SLF001 - there is no public way
    if exchange.status != _NOT_FOUND or not isinstance(handler, module.ErrorHandler):
        exchange.route = _route_of(handler.request)


def _leave(module: ModuleType, handler: Any, exchange: Exchange) -> None:
    """The handler has returned, and its response is not over, or has become a websocket that is."""
    if exchange.websocket:
        exchange.close_code = getattr(handler, "close_code", None)
    elif not handler._auto_finish:  # noqa: SLF001 - there is no public way
        finalize(handler, exchange.finish)  # it calls `finish` later, or its connection is closed before
        return
    else:  # the client has gone
        _abandon(module, handler, exchange)
    exchange.finish()


def _abandon(module: ModuleType, handler: Any, exchange: Exchange) -> None:
    if handler._headers_written:  # noqa: SLF001 - there is no public way
        _respond(module, handler, exchange)
    else:
        exchange.route = _route_of(handler.request)


def _record(module: ModuleType, handler: Any, error: BaseException) -> None:
    exchange = handler.__dict__.get(_EXCHANGE)
    if exchange is None or not exchange.open or isinstance(error, (module.HTTPError, module.Finish)):
        return
    if type(error).__name__ not in _DISCONNECTS or not _has_gone(handler.request.connection):
        exchange.fail(error)
    elif not exchange.websocket:  # what Tornado answers now reaches nobody
        _abandon(module, handler, exchange)
        exchange.finish()


def _has_gone(connection: Any) -> bool:
    stream = getattr(connection, "stream", None)  # none of a websocket, whose handler closes it
    return stream is None or stream.closed()


def _route_of(request: Any) -> str | None:
    matcher = getattr(request, _MATCHER, None)
    if matcher is None:
        return None
    template: str | None = getattr(matcher, _TEMPLATE, None)
    if template is None:
        template = template_of(matcher.regex.pattern)
        setattr(matcher, _TEMPLATE, template)
    return template or None
