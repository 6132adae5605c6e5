"""Litestar: server spans, or names for those of the server.

Patched: `Litestar.__call__`, the door of every request, the test client's included; `ASGIRouter.__call__`,
which knows the template once it has found the handler; `ExceptionHandlerMiddleware`, which makes responses of
exceptions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.asgi import Asgi, in_progress, patch_entry
from autotrace.patching.guard import guard
from autotrace.tracing.context import SPAN_KEY, current
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Generator
    from types import ModuleType
    from typing import Any

    from autotrace.instrumentation.asgi_exchange import Receive, Scope, Send, Unrecorded
    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `litestar.app`."""
    patch_entry(module, "Litestar.__call__", patcher, Asgi(patcher, "litestar"))


def install_router(module: ModuleType, patcher: Patcher) -> None:
    """Patch `litestar._asgi.asgi_router`."""
    patcher.replace(module, "ASGIRouter.__call__", _observe_router)


def install_exceptions(module: ModuleType, patcher: Patcher) -> None:
    """Patch `litestar.middleware._internal.exceptions.middleware`."""
    answered = module.HTTPException

    def observe_request(call: Call) -> Generator[None, Outcome, None]:
        """Record what has become a 5xx, whose span is still open when the response has been sent."""
        yield
        error, exchange = call.get(5, "exc"), in_progress(call.get(2, "scope"))
        if exchange is not None and not isinstance(error, answered):
            exchange.fail(error)

    def observe_websocket(call: Call) -> Generator[None, Outcome, None]:
        error, span = call.get(1, "exc"), current().get(SPAN_KEY)
        if isinstance(span, Span) and not isinstance(error, (answered, module.WebSocketException)):
            span.fail(error)
        yield

    patcher.wrap(module, "ExceptionHandlerMiddleware.handle_request_exception", observe_request)
    patcher.wrap(module, "ExceptionHandlerMiddleware.handle_websocket_exception", observe_websocket)


def _observe_router(original: Function) -> Function:
    async def __call__(self: Any, scope: Scope, receive: Receive, send: Send) -> Any:  # noqa: N807
        teller: _Teller | None = None
        with guard:
            exchange = in_progress(scope)
            if exchange is not None:
                teller = _Teller(exchange, scope, send)
        if teller is None:
            return await original(self, scope, receive, send)
        try:
            return await original(self, scope, receive, teller.send)
        finally:
            teller.tell()

    return __call__


class _Teller:
    """Tells the exchange the template, with the first message that is sent: by then the router knows it."""

    __slots__ = ("_before", "_exchange", "_path", "_scope", "_send", "_told")

    def __init__(self, exchange: Unrecorded, scope: Scope, send: Send) -> None:
        self._before = exchange.route
        self._exchange = exchange
        self._path: str = scope["path"]
        self._scope = scope
        self._send = send
        self._told = False

    def send(self, message: Any) -> Awaitable[Any]:
        """Stands in for the server's own."""
        if not self._told:
            self.tell()
        return self._send(message)

    def tell(self) -> None:
        """Tell it, once. Never raises."""
        with guard:
            exchange, template = self._exchange, self._scope.get("path_template")
            if self._told or template is None:  # it is not known, or there is none
                return
            self._told = True
            exchange.route = exchange.prefix + (template or self._mount())

    def _mount(self) -> str:
        """What a mounted application is below, and the route that it has told itself."""
        path, rest = self._path.rstrip("/"), self._scope["path"].rstrip("/")
        inner, prefix = self._exchange.route, self._exchange.prefix
        told = inner[len(prefix) :] if inner is not None and inner != self._before else ""
        return path[: len(path) - len(rest)] + told
