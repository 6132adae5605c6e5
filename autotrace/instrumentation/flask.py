"""Flask: server spans, or names for those of the server.

Patched: `Flask.wsgi_app`, the door of every request, the test client's included, and
`Flask.handle_exception`, which sees the exceptions that become a 500. The route needs no patch of
its own: while Flask answers, Werkzeug's request, and with it the matched rule, is in the environ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.wsgi import Wsgi, in_progress, root_of
from autotrace.tracing.context import SPAN_KEY, current
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `flask.app`."""
    wsgi = Wsgi(patcher, "flask")

    def observe(original: Function) -> Function:
        def wsgi_app(self: Any, environ: dict[str, Any], start_response: Function) -> Any:
            outer = in_progress(environ)
            if outer is not None:
                outer.route_of = route_of
                wsgi.exclude(outer, environ)
                return original(self, environ, start_response)
            exchange = wsgi.begin(environ, start_response) if patcher.enabled else None
            if exchange is None:
                return original(self, environ, start_response)
            exchange.route_of = route_of
            try:
                body = original(self, environ, exchange.start_response)
            except BaseException as error:
                exchange.fail(error)
                raise
            return exchange.body(body, environ)

        return wsgi_app

    patcher.replace(module, "Flask.wsgi_app", observe)
    patcher.wrap(module, "Flask.handle_exception", observe_handle_exception)


def route_of(environ: dict[str, Any]) -> str | None:
    """The rule that matched, for example `/users/<int:user>`; None for a 404."""
    rule = getattr(environ.get("werkzeug.request"), "url_rule", None)
    return None if rule is None else root_of(environ) + str(rule.rule)


def observe_handle_exception(call: Call) -> Generator[None, Outcome, None]:
    """Record the exception before Flask turns it into a response."""
    error = call.args[-1]  # the context comes before it since Flask 3.2
    span = current().get(SPAN_KEY)
    if isinstance(error, Exception) and isinstance(span, Span):
        span.fail(error)
    yield
