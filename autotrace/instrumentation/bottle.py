"""Bottle: server spans, or names for those of the server.

Patched: `Bottle.wsgi`, the door of every request; `Bottle._handle`, after which the matched route is in the
environ; `Bottle._cast`, which sees the exceptions that become a 500, those of generators included.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.wsgi import in_progress
from autotrace.instrumentation.wsgi_entry import patch_entry

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

_OUTSIDE = "autotrace.bottle.outside"
"""The environ's key for the SCRIPT_NAME that the outermost application was called with."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `bottle`."""
    patch_entry(module, "Bottle.wsgi", patcher, "bottle")
    patcher.wrap(module, "Bottle._handle", observe_handle)

    def observe_cast(call: Call) -> Generator[None, Outcome, None]:
        """Record the exception behind an error page of Bottle's own making."""
        out = call.args[1]
        error = out.exception if isinstance(out, module.HTTPError) else None
        exchange = in_progress(module.request.environ) if isinstance(error, Exception) else None
        if exchange is not None and error is not None:
            exchange.record(error)
        yield

    patcher.wrap(module, "Bottle._cast", observe_cast)


def observe_handle(call: Call) -> Generator[None, Outcome, None]:
    """Tell the rule that matched, for example `/users/<user:int>`; a mounted application has told its own."""
    environ: dict[str, Any] = call.args[1]
    here = environ.get("SCRIPT_NAME", "")
    prefix = here[len(environ.setdefault(_OUTSIDE, here)) :]
    yield
    exchange, route = in_progress(environ), environ.get("bottle.route")
    if exchange is not None and route is not None and exchange.route_of is None:
        rule = prefix.rstrip("/") + route.rule
        exchange.route_of = lambda _environ: rule
