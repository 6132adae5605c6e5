"""Server spans for wsgiref's servers, with any WSGI application.

Patched: `BaseHandler.run`, which every request passes; the application is wrapped for that request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.wsgi import Wsgi, traced

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `wsgiref.handlers`."""
    wsgi = Wsgi(patcher, "wsgiref")

    def observe_run(call: Call) -> Generator[None, Outcome, None]:
        call.set(1, "application", traced(call.get(1, "application"), wsgi))
        yield

    patcher.wrap(module, "BaseHandler.run", observe_run)
