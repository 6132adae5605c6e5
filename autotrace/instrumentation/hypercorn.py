"""Server spans for hypercorn, with any ASGI application.

Patched: `ASGIWrapper.__call__`, which every request of the asyncio and trio workers passes. WSGI
applications have a wrapper of their own there; their framework makes the span.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.asgi import Asgi, patch_entry

if TYPE_CHECKING:
    from types import ModuleType

    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `hypercorn.app_wrappers`."""
    patch_entry(module, "ASGIWrapper.__call__", patcher, Asgi(patcher, "hypercorn", serves=True))
