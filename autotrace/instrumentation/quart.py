"""Quart: server spans, or names for those of the server.

Patched: `Quart.asgi_app`, the door of every request, the test client's included; `handle_request` and
`handle_websocket`, where the matched rule is known; `handle_exception` and `handle_websocket_exception`,
which see what becomes a 500.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.asgi import Asgi, in_progress, patch_entry
from autotrace.tracing.context import SPAN_KEY, current
from autotrace.tracing.span import Span

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `quart.app`."""
    patch_entry(module, "Quart.asgi_app", patcher, Asgi(patcher, "quart"))
    patcher.wrap(module, "Quart.handle_request", observe_handle)
    patcher.wrap(module, "Quart.handle_websocket", observe_handle)
    patcher.wrap(module, "Quart.handle_exception", observe_exception)
    patcher.wrap(module, "Quart.handle_websocket_exception", observe_exception)


def observe_handle(call: Call) -> Generator[None, Outcome, None]:
    """Tell the rule that matched, for example `/users/<int:user>`; there is none for a 404."""
    yield
    request = call.args[1]
    rule = request.url_rule
    exchange = in_progress(request.scope)
    if rule is not None and exchange is not None:
        exchange.route = str(rule.rule)


def observe_exception(call: Call) -> Generator[None, Outcome, None]:
    """Record the exception before Quart turns it into a response."""
    error = call.args[-1]  # the context comes before it since Quart 0.23
    span = current().get(SPAN_KEY)
    if isinstance(error, Exception) and isinstance(span, Span):
        span.fail(error)
    yield
