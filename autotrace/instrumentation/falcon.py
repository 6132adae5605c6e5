"""Falcon, WSGI and ASGI: server spans, or names for those of the server.

Patched: `App.__call__` of both kinds, the door of every request, the test client's included;
`App._get_responder`, which finds the template; `App._handle_exception`, after which the status is known that
an exception has become, by Falcon's own handlers or the application's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.instrumentation import asgi, wsgi
from autotrace.instrumentation.wsgi_entry import patch_entry

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    from autotrace.instrumentation.asgi_exchange import Unrecorded as AsgiExchange
    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

_TEMPLATE = 3
"""Where it is in what `_get_responder` returns."""
_SERVER_ERROR = 500


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `falcon.app`, which applications of both kinds have `_get_responder` from."""
    patch_entry(module, "App.__call__", patcher, "falcon")
    patcher.wrap(module, "App._get_responder", observe_responder)
    _record_exceptions(module, patcher)


def install_asgi(module: ModuleType, patcher: Patcher) -> None:
    """Patch `falcon.asgi.app`."""
    asgi.patch_entry(module, "App.__call__", patcher, asgi.Asgi(patcher, "falcon"))
    _record_exceptions(module, patcher)


def observe_responder(call: Call) -> Generator[None, Outcome, None]:
    """Tell the template that matched, for example `/users/{user:int}`; sinks and a 404 have none."""
    outcome = yield
    request: Any = call.args[1]
    route = None if outcome.error is not None else outcome.result[_TEMPLATE]
    exchange = _exchange_of(request)
    if isinstance(exchange, wsgi.Unrecorded):
        rooted = None if route is None else wsgi.root_of(request.env) + route
        exchange.route_of = lambda _environ: rooted
    elif exchange is not None and route is not None:
        exchange.route = exchange.prefix + route


def _record_exceptions(module: ModuleType, patcher: Patcher) -> None:
    answers = (module.HTTPError, module.HTTPStatus)
    gone = getattr(module, "WebSocketDisconnected", ())

    def observe_exception(call: Call) -> Generator[None, Outcome, None]:
        """Record what has become a 5xx; there is no response to a websocket that has been accepted."""
        _, request, response, error = call.args[:4]
        yield
        if isinstance(error, answers):
            return
        exchange = _exchange_of(request)
        if exchange is None or (
            isinstance(error, gone) if response is None else _code_of(response.status) < _SERVER_ERROR
        ):
            return
        if isinstance(exchange, wsgi.Unrecorded):
            exchange.record(error)
        else:
            exchange.fail(error)

    patcher.wrap(module, "App._handle_exception", observe_exception)


def _code_of(status: Any) -> int:
    """Of what an application may set: `500 Internal Server Error`, a number or an `http.HTTPStatus`."""
    return int(status[:3] if isinstance(status, (str, bytes)) else status)


def _exchange_of(request: Any) -> wsgi.Unrecorded | AsgiExchange | None:
    scope = getattr(request, "scope", None)
    return wsgi.in_progress(request.env) if scope is None else asgi.in_progress(scope)
