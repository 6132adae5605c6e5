"""CherryPy: server spans, or names for those of the server.

Patched: `Tree.__call__` and `Application.__call__`, the doors of every request; `Request.get_resource`, after
which the handler is known; `Request.handle_error`, which sees what becomes a 500.

A route is the path without what the handler takes as arguments, as CherryPy's objects have no templates:
`/users` for `/users/42`. `RoutesDispatcher` keeps to itself what has matched: there a request has no route.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.wsgi import in_progress
from autotrace.instrumentation.wsgi_entry import patch_entry

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher


def install_tree(module: ModuleType, patcher: Patcher) -> None:
    """Patch `cherrypy._cptree`."""
    patch_entry(module, "Tree.__call__", patcher, "cherrypy")
    patch_entry(module, "Application.__call__", patcher, "cherrypy")


def install_request(module: ModuleType, patcher: Patcher) -> None:
    """Patch `cherrypy._cprequest`."""
    patcher.wrap(module, "Request.get_resource", observe_resource)
    patcher.wrap(module, "Request.handle_error", observe_error)


def observe_resource(call: Call) -> Generator[None, Outcome, None]:
    """Tell the path of the handler that was found; there is none for a 404."""
    request = call.args[0]
    yield
    exchange = in_progress(getattr(request, "wsgi_environ", {}))
    handler = request.handler
    if exchange is None or not hasattr(handler, "callable"):  # an HTTPError stands for one that was not found
        return
    if request.is_index is None:  # no tree of objects was walked: the handler's arguments are not of the path
        return
    route = _route(request)
    exchange.route_of = lambda _environ: route


def _route(request: Any) -> str:
    arguments = len(request.args)
    segments = request.path_info.rstrip("/").split("/")
    return (request.script_name + "/".join(segments[: len(segments) - arguments])) or "/"


def observe_error(call: Call) -> Generator[None, Outcome, None]:
    """Record the exception that is being handled."""
    exchange = in_progress(getattr(call.args[0], "wsgi_environ", {}))
    error = sys.exc_info()[1]
    if exchange is not None and isinstance(error, Exception):
        exchange.record(error)
    yield
