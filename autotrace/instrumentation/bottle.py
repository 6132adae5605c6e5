"""Bottle: server spans, or names for those of the server.

Patched: `Bottle.wsgi`, the door of every request; `Bottle._handle`, after which the matched route is in the
environ; `Bottle._cast`, which sees the exceptions that become a 500, those of generators included.
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

_PREFIX = "autotrace.bottle.prefix"
"""The environ's key for the prefixes of the mounts that the request has passed."""
_SERVER_ERROR = 500


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `bottle`."""
    patch_entry(module, "Bottle.wsgi", patcher, "bottle")
    patcher.wrap(module, "Bottle._handle", observe_handle)

    def observe_cast(call: Call) -> Generator[None, Outcome, None]:
        """Record the exception behind an error page of Bottle's own making, or of making one."""
        out = call.get(1, "out")
        failed = isinstance(out, module.HTTPError) and out.status_code >= _SERVER_ERROR
        outcome = yield
        error = outcome.error or (out.exception if failed else None)
        exchange = in_progress(module.request.environ) if isinstance(error, Exception) else None
        if exchange is not None and error is not None:
            exchange.record(error)

    patcher.wrap(module, "Bottle._cast", observe_cast)


def observe_handle(call: Call) -> Generator[None, Outcome, None]:
    """Tell the rule that matched, for example `/users/<user:int>`; a mounted application tells its own."""
    environ: dict[str, Any] = call.args[1]
    exchange = in_progress(environ)
    if exchange is None:
        return
    told, mount, outside = exchange.route_of, environ.get("bottle.route"), environ.get(_PREFIX)
    if outside is None:
        outside = root_of(environ)
    prefix = environ[_PREFIX] = outside + _mounted_at(mount)
    yield
    environ[_PREFIX] = outside
    if exchange.route_of is not told:
        return
    route = environ.get("bottle.route")
    rule = None if route is None or route is mount else prefix + (_mounted_at(route) or route.rule)
    exchange.route_of = lambda _environ: rule


def _mounted_at(route: Any) -> str:
    """The prefix of a mount; nothing for another route."""
    return "" if route is None else str(route.config.get("mountpoint.prefix", "")).rstrip("/")
