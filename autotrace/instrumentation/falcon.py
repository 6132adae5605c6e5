"""Falcon, WSGI and ASGI: server spans, or names for those of the server.

Patched: `App.__call__` of both kinds, the door of every request, the test client's included;
`App._get_responder`, which finds the template; `_python_error_handler`, which sees what becomes a 500.
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


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `falcon.app`, which applications of both kinds have `_get_responder` from."""
    patch_entry(module, "App.__call__", patcher, "falcon")
    patcher.wrap(module, "App._get_responder", observe_responder)
    patcher.wrap(module, "App._python_error_handler", observe_error)


def install_asgi(module: ModuleType, patcher: Patcher) -> None:
    """Patch `falcon.asgi.app`."""
    asgi.patch_entry(module, "App.__call__", patcher, asgi.Asgi(patcher, "falcon"))
    patcher.wrap(module, "App._python_error_handler", observe_error)


def observe_responder(call: Call) -> Generator[None, Outcome, None]:
    """Tell the template that matched, for example `/users/{user:int}`; sinks and a 404 have none."""
    outcome = yield
    route = None if outcome.error is not None else outcome.result[_TEMPLATE]
    exchange = _exchange_of(call.args[1])
    if route is None or exchange is None:
        return
    if isinstance(exchange, wsgi.Unrecorded):
        exchange.route_of = lambda _environ: route
    else:
        exchange.route = exchange.prefix + route


def observe_error(call: Call) -> Generator[None, Outcome, None]:
    """Record the exception that no handler of the application's has taken."""
    error, exchange = call.get(3, "error"), _exchange_of(call.args[1])
    if isinstance(exchange, wsgi.Unrecorded):
        exchange.record(error)
    elif exchange is not None:
        exchange.fail(error)
    yield


def _exchange_of(request: Any) -> wsgi.Unrecorded | AsgiExchange | None:
    scope = getattr(request, "scope", None)
    return wsgi.in_progress(request.env) if scope is None else asgi.in_progress(scope)
