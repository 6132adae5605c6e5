"""Starlette: server spans, or names for those of the server.

Patched: `Starlette.__call__`, the door of every request, the test client's included; the `handle` of
`Route`, `WebSocketRoute` and `Mount`, which runs when their template has matched; and Starlette's own
middleware for OpenTelemetry: one of the two makes the span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.asgi import BY_STARLETTE, Asgi, in_progress, patch_entry
from autotrace.patching.guard import absorbed

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

    from autotrace.instrumentation.asgi_exchange import Receive, Scope, Send, Unrecorded
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `starlette.applications`."""
    patch_entry(module, "Starlette.__call__", patcher, Asgi(patcher, "starlette"))


def install_routing(module: ModuleType, patcher: Patcher) -> None:
    """Patch `starlette.routing`."""
    patcher.replace(module, "Route.handle", _observe_route)
    patcher.replace(module, "WebSocketRoute.handle", _observe_route)
    patcher.replace(module, "Mount.handle", _observe_mount)


def _observe_route(original: Function) -> Function:
    def handle(self: Any, scope: Scope, receive: Receive, send: Send) -> Any:
        tell_route(scope, self)
        return original(self, scope, receive, send)  # a coroutine; one of ours would slow its every step

    return handle


def tell_route(scope: Scope, route: Any) -> None:
    """Tell the exchange the template that has matched. Never raises."""
    try:
        exchange = in_progress(scope)
        if exchange is not None:
            exchange.route = exchange.prefix + route.path
    except Exception as error:
        absorbed(error)


def _observe_mount(original: Function) -> Function:
    async def handle(self: Any, scope: Scope, receive: Receive, send: Send) -> Any:
        entered = _enter_mount(scope, self)
        if entered is None:
            return await original(self, scope, receive, send)
        exchange, outside = entered
        try:
            return await original(self, scope, receive, send)
        finally:
            exchange.prefix = outside

    return handle


def _enter_mount(scope: Scope, mount: Any) -> tuple[Unrecorded, str] | None:
    """Tell the exchange what templates below begin with; returns it, and what they began with before."""
    try:
        exchange = in_progress(scope)
        if exchange is None:
            return None
        outside = exchange.prefix
        exchange.prefix = outside + mount.path
        exchange.route = exchange.prefix or None  # nothing is said by a mount at /
    except Exception as error:
        absorbed(error)
        return None
    return exchange, outside


def install_middleware(module: ModuleType, patcher: Patcher) -> None:
    """Patch `starlette.middleware.opentelemetry`."""
    ours = patcher.tracer.provider

    def is_ours(middleware: Any, scope: Scope) -> bool:
        """Whether we have the request; it is left to a middleware with a provider of the application's."""
        try:
            exchange = in_progress(scope)
            if exchange is None or BY_STARLETTE in scope:
                return False
            if middleware._tracer_provider is ours:  # noqa: SLF001
                return True
            exchange.drop()
        except Exception as error:
            absorbed(error)
        return False

    def observe(original: Function) -> Function:
        async def __call__(self: Any, scope: Scope, receive: Receive, send: Send) -> Any:  # noqa: N807
            if not is_ours(self, scope):
                return await original(self, scope, receive, send)
            scope[BY_STARLETTE] = True
            try:
                return await original(self, scope, receive, send)
            finally:
                scope.pop(BY_STARLETTE, None)

        return __call__

    patcher.replace(module, "OpenTelemetryMiddleware.__call__", observe)
