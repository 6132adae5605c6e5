"""Server spans for Cheroot, CherryPy's server, with any WSGI application.

Patched: `Server.__init__`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.wsgi_server import trace_given_application

if TYPE_CHECKING:
    from types import ModuleType

    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `cheroot.wsgi`."""
    trace_given_application(module, patcher, "cheroot", "Server.__init__", 2, "wsgi_app")
