"""FastAPI: server spans, or names for those of the server, and never a second one of its own.

Patched: `FastAPI.__call__`, and `APIRoute.handle` for routes of included routers, whose own template
lacks the prefix they are included with; Starlette's part serves the rest. Recent versions trace
themselves as soon as there is a global tracer provider. Ours takes that place while it is free, which
is no wish of the application's: `_unconfigured` and `_configure_from_environment` of its telemetry see
it as the free place it is. Where it traces with a provider of the application's, our span is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.asgi import Asgi, patch_entry
from autotrace.instrumentation.starlette import tell_route
from autotrace.patching.guard import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType
    from typing import Any

    from autotrace.instrumentation.asgi_exchange import Receive, Scope, Send
    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `fastapi.applications`."""
    patch_entry(module, "FastAPI.__call__", patcher, Asgi(patcher, "fastapi"))


def install_routing(module: ModuleType, patcher: Patcher) -> None:
    """Patch `fastapi.routing`."""

    def observe(original: Function) -> Function:
        def handle(self: Any, scope: Scope, receive: Receive, send: Send) -> Any:
            with guard:
                tell_route(scope, _as_included(scope, self))
            return original(self, scope, receive, send)

        return handle

    patcher.replace(module, "APIRoute.handle", observe)


def _as_included(scope: Scope, route: Any) -> Any:
    """What has the whole template of a route: the route, or what stands for it in an included router."""
    context = scope.get("fastapi", {}).get("effective_route_context")
    return context if getattr(context, "original_route", None) is route else route


def install_telemetry(module: ModuleType, patcher: Patcher) -> None:
    """Patch `fastapi.telemetry._asgi`."""
    ours = patcher.tracer.provider

    def observe(original: Function) -> Function:
        def _unconfigured(provider: Any) -> Any:
            return original(provider) or (provider is ours and patcher.enabled)

        return _unconfigured

    patcher.replace(module, "_unconfigured", observe)


def install_telemetry_export(module: ModuleType, patcher: Patcher) -> None:
    """Patch `fastapi.telemetry._runtime`."""
    ours = patcher.tracer.provider

    def observe_configure(call: Call) -> Generator[None, Outcome, None]:
        config = call.get(0, "config")
        provider = config["tracer_provider"] or module.trace.get_tracer_provider()
        if provider is ours:  # else its exporter would send all our spans a second time
            call.set(0, "config", {**config, "tracing": False})
        yield

    patcher.wrap(module, "_configure_from_environment", observe_configure)
