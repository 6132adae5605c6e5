"""CherryPy: server spans, or names for those of the server.

Patched: `Tree.__call__` and `Application.__call__`, the doors of every request; `Dispatcher.find_handler`,
after which the handler is known; `Request.handle_error`, which sees what becomes a 500; `__init__` and
`__next__` of `AppResponse`, past which CherryPy hides what is raised by a body, or with `throw_errors`.

CherryPy's objects have no templates. A route is the path without what the handler takes as arguments:
`/users` for `/users/42`; what a dispatcher of the application's has taken out before stands in braces.
`RoutesDispatcher` keeps what it has matched to itself: there a request has no route.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.wsgi import in_progress
from autotrace.instrumentation.wsgi_entry import patch_entry
from autotrace.patching.guard import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]


def install_tree(module: ModuleType, patcher: Patcher) -> None:
    """Patch `cherrypy._cptree`."""
    patch_entry(module, "Tree.__call__", patcher, "cherrypy")
    patch_entry(module, "Application.__call__", patcher, "cherrypy")


def install_dispatch(module: ModuleType, patcher: Patcher) -> None:
    """Patch `cherrypy._cpdispatch`."""

    def observe_find(call: Call) -> Generator[None, Outcome, None]:
        """Tell the route of the handler that was found; there is none for a 404."""
        outcome = yield
        request = module.cherrypy.serving.request
        exchange = _exchange_of(request)
        if exchange is None or outcome.error is not None:
            return
        handler, arguments = outcome.result
        route = None
        if handler:
            route = route_of(request, call.get(1, "path"), handler, len(arguments), call.args[0].translate)
        exchange.route_of = lambda _environ: route

    patcher.wrap(module, "Dispatcher.find_handler", observe_find)


def install_request(module: ModuleType, patcher: Patcher) -> None:
    """Patch `cherrypy._cprequest`."""
    patcher.wrap(module, "Request.handle_error", observe_error)


def install_wsgi(module: ModuleType, patcher: Patcher) -> None:
    """Patch `cherrypy._cpwsgi`."""
    answers = module._cherrypy.CherryPyException  # noqa: SLF001 - redirects inside are among them

    def make(original: Function) -> Function:
        return _recording(original, (StopIteration, answers))

    patcher.replace(module, "AppResponse.__init__", make)
    patcher.replace(module, "AppResponse.__next__", make)


def _recording(original: Function, answers: tuple[type[Exception], ...]) -> Function:
    def method(self: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return original(self, *arguments, **named)
        except answers:
            raise
        except Exception as error:
            with guard:
                exchange = in_progress(getattr(self, "environ", {}))
                if exchange is not None:
                    exchange.record(error)
            raise

    return method


def route_of(request: Any, path: str, handler: Any, arguments: int, translate: dict[int, str]) -> str:
    """The path as far as it is made of names in the tree of objects.

    Looked up where they are defined, without a call of `__getattr__` or a property: those are the program's.
    """
    segments = [segment for segment in path.split("/") if segment]
    hidden = len(segments) - len([segment for segment in request.path_info.split("/") if segment])
    names = {value: name for name, value in request.params.items() if isinstance(value, str)}
    node, route = request.app.root, []
    for segment in segments[: len(segments) - arguments]:
        name = segment.translate(translate)
        below = _defined(node, name)
        if below is not None:
            node = below
        known = below is not None or name == getattr(handler, "__name__", None)
        route.append(segment if known else f"{{{names.get(segment, '')}}}")
    prefix: str = request.script_name
    return "/".join([prefix, *route[max(hidden, 0) :]]) or "/"  # a virtual host begins in the tree's depth


def _defined(node: Any, name: str) -> Any:
    for owner in (node, *getattr(node, "__mro__", ()), *type(node).__mro__):
        found = getattr(owner, "__dict__", {}).get(name)
        if found is not None:
            return found
    return None


def observe_error(call: Call) -> Generator[None, Outcome, None]:
    """Record the exception that is being handled."""
    error = sys.exc_info()[1]
    exchange = _exchange_of(call.args[0])
    if exchange is not None and isinstance(error, Exception):
        exchange.record(error)
    yield


def _exchange_of(request: Any) -> Any:
    """The exchange in progress; requests that a test has made up have no environ."""
    return in_progress(getattr(request, "wsgi_environ", {}))
