"""requests: what only it knows of the exchanges that urllib3 makes below it.

Patched: `Session.send`, which calls itself for each redirect. urllib3 makes the spans; this layer
groups them, so that a redirect counts as a resend, and applies `OTEL_PYTHON_REQUESTS_EXCLUDED_URLS`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.http_client import counted

if TYPE_CHECKING:
    from types import ModuleType

    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `requests.sessions`."""
    pattern = patcher.settings.excluded_urls("requests")

    def excluded(_session: Any, request: Any, **_options: Any) -> bool:
        return pattern is not None and bool(pattern.search(request.url or ""))

    make = partial(counted, patcher=patcher, excluded=excluded if pattern is not None else None)
    patcher.replace(module, "Session.send", make)
