"""aiohttp.web: server spans, with its own server, gunicorn's workers for it, and its test client.

Patched: `RequestHandler._handle_request`, in which one request is answered and its response sent, in a task
of its own; `RequestHandler.handle_error`, which sees what becomes a 500 or 504; `StreamResponse._start`,
where the status is decided; and what sends and receives the messages of a `WebSocketResponse`.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from autotrace.instrumentation.web_server import Request, WebServer
from autotrace.patching.guard import absorbed, guard
from autotrace.tracing.context import attach, detach

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any, Final

    from autotrace.instrumentation.web_server import Exchange
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_EXCHANGE: Final = "_autotrace_exchange"
"""The attribute of a request, and of a websocket. It goes past `__setattr__`, which warns in debug mode."""

_WEBSOCKET: Final = "_autotrace_websocket"
"""Likewise: of a request, the websocket that it has become."""

_MESSAGES: Final = (1, 2)
"""The types of text and of binary ones; pings and the like do not count."""

_SERVER_ERROR: Final = 500


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `aiohttp.web_protocol`."""
    server = WebServer(patcher, "aiohttp_web")
    patcher.replace(
        module, "RequestHandler._handle_request", partial(_handle_request, server, patcher, module.ERROR)
    )
    patcher.replace(module, "RequestHandler.handle_error", _handle_error)
    patcher.replace(module, "StreamResponse._start", _start)


def install_websockets(module: ModuleType, patcher: Patcher) -> None:
    """Patch `aiohttp.web_ws`."""
    patcher.replace(module, "WebSocketResponse._post_start", _post_start)
    patcher.replace(module, "WebSocketResponse.send_str", _send)
    patcher.replace(module, "WebSocketResponse.send_bytes", _send)
    patcher.replace(module, "WebSocketResponse.receive", _receive)


def _handle_request(server: WebServer, patcher: Patcher, malformed: Any, original: Function) -> Function:
    def begin(request: Any) -> Exchange | None:
        if not patcher.enabled or request._message is malformed:  # noqa: SLF001 - stands for what is no request
            return None
        exchange = server.begin(_described(request))
        if exchange is not None:
            request.__dict__[_EXCHANGE] = exchange
        return exchange

    async def handle(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        exchange: Exchange | None = None
        try:
            exchange = begin(request)
        except Exception as error:
            absorbed(error)
        if exchange is None:
            return await original(self, request, *args, **kwargs)
        token = attach(exchange.context)
        result: Any = None
        try:
            result = await original(self, request, *args, **kwargs)
            return result
        except ConnectionError:  # a sign of aiohttp's: nothing can be sent any more. `handle_error` knows why
            raise
        except BaseException as error:
            exchange.fail(error)
            raise
        finally:
            detach(token)
            _finish(exchange, request, result)

    return handle


def _described(request: Any) -> Request:
    target = request.raw_path
    path, _, query = target.partition("?")
    if "%" in path or path[:1] != "/":  # the absolute form, for one
        path = request.path
    major, minor = request.version
    return Request(
        request.method,
        path,
        query,
        request.headers,
        request.headers.items,
        request.scheme,
        request.remote,
        f"{major}.{minor}",
    )


def _finish(exchange: Exchange, request: Any, result: Any) -> None:
    try:
        websocket = request.__dict__.pop(_WEBSOCKET, None)
        request.__dict__.pop(_EXCHANGE, None)
        if not exchange.open:
            return
        if websocket is not None:
            exchange.close_code = websocket.close_code
        exchange.route = _route_of(request)
        if not exchange.status and result is not None and not result[1]:
            exchange.status = result[0].status  # sent on behalf of a clone of the request
    except Exception as error:
        absorbed(error)
    exchange.finish()


def _route_of(request: Any) -> str | None:
    """The template that matched, for example `/users/{number}`, prefixes of sub-applications included."""
    match = getattr(
        request, "_match_info", None
    )  # a bare `web.Server` has none, nor has what was refused early
    resource = getattr(getattr(match, "route", None), "resource", None)
    route: str | None = getattr(resource, "canonical", None)
    return route


def _handle_error(original: Function) -> Function:
    def handle_error(
        self: Any, request: Any, status: int = 500, exc: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        with guard:
            _record(self, request, status, exc or sys.exc_info()[1])
        return original(self, request, status, exc, *args, **kwargs)

    return handle_error


def _record(protocol: Any, request: Any, status: int, error: BaseException | None) -> None:
    exchange = request.__dict__.get(_EXCHANGE)
    if exchange is None or error is None or status < _SERVER_ERROR:
        return
    transport = protocol.transport
    if isinstance(error, ConnectionError) and (transport is None or transport.is_closing()):
        del request.__dict__[_EXCHANGE]  # the client has gone: what aiohttp answers now reaches nobody
    else:
        exchange.fail(error)


def _start(original: Function) -> Function:
    async def start(self: Any, request: Any) -> Any:
        with guard:
            exchange = request.__dict__.get(_EXCHANGE)
            if exchange is not None:
                exchange.respond(self.status, self.headers.items)
        return await original(self, request)

    return start


def _post_start(original: Function) -> Function:
    def post_start(self: Any, request: Any, *args: Any) -> Any:
        with guard:
            exchange = request.__dict__.get(_EXCHANGE)
            if exchange is not None:
                exchange.websocket = True
                self.__dict__[_EXCHANGE] = exchange
                request.__dict__[_WEBSOCKET] = self
        return original(self, request, *args)

    return post_start


def _send(original: Function) -> Function:
    async def send(self: Any, *args: Any, **kwargs: Any) -> Any:
        with guard:
            exchange = self.__dict__.get(_EXCHANGE)
            if exchange is not None:
                exchange.sent += 1
        return await original(self, *args, **kwargs)

    return send


def _receive(original: Function) -> Function:
    async def receive(self: Any, *args: Any, **kwargs: Any) -> Any:
        message = await original(self, *args, **kwargs)
        with guard:
            exchange = self.__dict__.get(_EXCHANGE)
            if exchange is not None and message.type in _MESSAGES:
                exchange.received += 1
        return message

    return receive
