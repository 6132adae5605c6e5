"""Server spans for eventlet's WSGI server, with any application.

Patched: `Server.__init__`, which `eventlet.wsgi.server` calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.wsgi_server import trace_given_application

if TYPE_CHECKING:
    from types import ModuleType

    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `eventlet.wsgi`."""
    trace_given_application(module, patcher, "eventlet", "Server.__init__", 3, "app")
