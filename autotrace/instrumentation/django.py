"""Django: server spans, or names for those of the server; settings and middleware are left alone.

Patched: `WSGIHandler.__call__` and `ASGIHandler.__call__`, the doors of every request;
`BaseHandler.resolve_request`, after which the matched pattern is known; `handle_uncaught_exception`, which
sees what becomes a 500, of views and of middleware; and the handlers of the test clients, which go past
the doors.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation import asgi, wsgi
from autotrace.instrumentation.wsgi_entry import patch_entry
from autotrace.patching.guard import absorbed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType

    from autotrace.instrumentation.asgi_exchange import Unrecorded as AsgiExchange
    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]

_ANCHORS = re.compile(r"(?<![\[\\])\^|(?<!\\)(?:\$|\\Z)")
"""Of the regular expressions that a pattern is joined from; `[^/]` is no anchor."""


def install_wsgi(module: ModuleType, patcher: Patcher) -> None:
    """Patch `django.core.handlers.wsgi`."""
    patch_entry(module, "WSGIHandler.__call__", patcher, "django")


def install_asgi(module: ModuleType, patcher: Patcher) -> None:
    """Patch `django.core.handlers.asgi`."""
    asgi.patch_entry(module, "ASGIHandler.__call__", patcher, asgi.Asgi(patcher, "django"))


def install_base(module: ModuleType, patcher: Patcher) -> None:
    """Patch `django.core.handlers.base`."""
    patcher.replace(module, "BaseHandler.resolve_request", _observe_resolve)


def install_exception(module: ModuleType, patcher: Patcher) -> None:
    """Patch `django.core.handlers.exception`."""
    patcher.wrap(module, "handle_uncaught_exception", observe_uncaught)


def install_test_client(module: ModuleType, patcher: Patcher) -> None:
    """Patch `django.test.client`."""
    of_wsgi = wsgi.Wsgi(patcher, "django")
    of_asgi = asgi.Asgi(patcher, "django")

    def make(original: Function) -> Function:
        return _traced_client(original, of_wsgi, patcher)

    def make_async(original: Function) -> Function:
        return _traced_async_client(original, of_asgi)

    patcher.replace(module, "ClientHandler.__call__", make)
    patcher.replace(module, "AsyncClientHandler.__call__", make_async)


def _traced_client(original: Function, traces: wsgi.Wsgi, patcher: Patcher) -> Function:
    def __call__(self: Any, environ: dict[str, Any]) -> Any:  # noqa: N807
        exchange = traces.begin(environ, _nothing) if patcher.enabled else None
        if exchange is None:
            return original(self, environ)
        try:
            response = original(self, environ)
        except BaseException as error:
            exchange.fail(error)
            raise
        try:
            exchange.start_response(str(response.status_code), list(response.items()))
        except Exception as error:
            absorbed(error)
        exchange.body((), environ)
        return response

    return __call__


def _traced_async_client(original: Function, traces: asgi.Asgi) -> Function:
    async def __call__(self: Any, scope: dict[str, Any]) -> Any:  # noqa: N807
        if not traces.takes(scope):
            return await original(self, scope)

        async def serve(scope: dict[str, Any], _receive: Function, send: Function) -> Any:
            response = await original(self, scope)
            try:
                await send(_start_of(response))
            except Exception as error:
                absorbed(error)
            return response

        return await traces.run(serve, scope, _nothing_async, _nothing_async)

    return __call__


def observe_uncaught(call: Call) -> Generator[None, Outcome, None]:
    """Record the exception before Django turns it into a response."""
    request, exc_info = call.get(0, "request"), call.get(2, "exc_info")
    exchange = _exchange_of(request)
    if isinstance(exchange, wsgi.Unrecorded):
        exchange.record(exc_info[1])
    elif exchange is not None:
        exchange.fail(exc_info[1])
    yield


@lru_cache(maxsize=1024)
def template(route: str) -> str:
    """A route as Django joins it from the patterns that have matched, as a template of paths."""
    return "/" + _ANCHORS.sub("", route)


def _observe_resolve(original: Function) -> Function:
    def resolve_request(self: Any, request: Any) -> Any:
        match = original(self, request)
        try:
            exchange = _exchange_of(request)
            if exchange is not None:
                _tell(exchange, template(match.route), request)
        except Exception as error:
            absorbed(error)
        return match

    return resolve_request


def _exchange_of(request: Any) -> wsgi.Unrecorded | AsgiExchange | None:
    """The exchange in progress, whichever the interface; None for a request that a test has made up."""
    environ = getattr(request, "environ", None)
    if environ is not None:
        return wsgi.in_progress(environ)
    scope = getattr(request, "scope", None)
    return None if scope is None else asgi.in_progress(scope)


def _tell(exchange: wsgi.Unrecorded | AsgiExchange, route: str, request: Any) -> None:
    if isinstance(exchange, wsgi.Unrecorded):
        rooted = wsgi.root_of(request.environ) + route
        exchange.route_of = lambda _environ: rooted
    else:
        exchange.route = exchange.prefix + route


def _start_of(response: Any) -> dict[str, Any]:
    """The message that a server would be sent."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    return {"type": "http.response.start", "status": response.status_code, "headers": headers}


def _nothing(*_arguments: Any) -> None:
    """There is no server behind a test client."""


async def _nothing_async(*_arguments: Any) -> None:
    """Likewise."""
