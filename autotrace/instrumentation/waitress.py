"""Server spans for waitress, with any WSGI application.

Patched: `BaseWSGIServer.__init__`, the base of the servers for TCP and Unix sockets. The application is
wrapped before waitress puts its handling of trusted proxies around it: spans see what it sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.wsgi_server import trace_given_application

if TYPE_CHECKING:
    from types import ModuleType

    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `waitress.server`."""
    trace_given_application(module, patcher, "waitress", "BaseWSGIServer.__init__", 1, "application")
