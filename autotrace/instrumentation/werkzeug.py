"""Server spans for Werkzeug's development server, with any WSGI application.

Patched: `BaseWSGIServer.__init__`, the base of its single-threaded, threaded and forking servers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.wsgi_server import trace_given_application

if TYPE_CHECKING:
    from types import ModuleType

    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `werkzeug.serving`."""
    trace_given_application(module, patcher, "werkzeug", "BaseWSGIServer.__init__", 3, "app")
