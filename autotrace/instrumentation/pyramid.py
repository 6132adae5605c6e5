"""Pyramid: server spans, or names for those of the server.

Patched: `Router.__call__`, the door of every request; `Router.invoke_request`, after which the matched route
is known (a view that is found by traversal has none); `_error_handler` of the tween that turns exceptions
into responses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.wsgi import in_progress, root_of
from autotrace.instrumentation.wsgi_entry import patch_entry

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

_SERVER_ERROR = 500


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `pyramid.router`."""
    patch_entry(module, "Router.__call__", patcher, "pyramid")
    patcher.wrap(module, "Router.invoke_request", observe_request)


def install_tweens(module: ModuleType, patcher: Patcher) -> None:
    """Patch `pyramid.tweens`."""
    patcher.wrap(module, "_error_handler", observe_error)


def observe_request(call: Call) -> Generator[None, Outcome, None]:
    """Tell the pattern that matched, for example `/users/{user}`; of requests within one, the outermost's."""
    request: Any = call.args[1]
    yield
    exchange, route = in_progress(request.environ), getattr(request, "matched_route", None)
    if exchange is not None:
        pattern = None if route is None else f"{root_of(request.environ)}/{str(route.pattern).lstrip('/')}"
        exchange.route_of = lambda _environ: pattern


def observe_error(call: Call) -> Generator[None, Outcome, None]:
    """Record what a view for exceptions has made a 5xx of; one that it cannot make anything of goes on up."""
    request: Any = call.args[0]
    error: Any = call.args[1]
    outcome = yield
    if outcome.error is not None or hasattr(error, "status_int"):  # Pyramid's HTTP exceptions are responses
        return
    exchange = in_progress(request.environ)
    if exchange is not None and getattr(outcome.result, "status_int", 0) >= _SERVER_ERROR:
        exchange.record(error)
