"""What the instrumentations of WSGI frameworks share: the method of theirs that is a WSGI application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.wsgi import Wsgi, in_progress

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]


def patch_entry(module: ModuleType, path: str, patcher: Patcher, library: str) -> None:
    """Trace a method that is a WSGI application, where its server has not begun the exchange."""
    wsgi = Wsgi(patcher, library)

    def observe(original: Function) -> Function:
        def entry(self: Any, environ: dict[str, Any], start_response: Function) -> Any:
            outer = in_progress(environ)
            if outer is not None:
                wsgi.exclude(outer, environ)
                return original(self, environ, start_response)
            exchange = wsgi.begin(environ, start_response) if patcher.enabled else None
            if exchange is None:
                return original(self, environ, start_response)
            try:
                body = original(self, environ, exchange.start_response)
            except BaseException as error:
                exchange.fail(error)
                raise
            return exchange.body(body, environ)

        return entry

    patcher.replace(module, path, observe)
