"""urllib.request: what only it knows of the exchanges that http.client makes below it.

Patched: `OpenerDirector.open`, which calls itself for each redirect. http.client makes the spans;
this layer groups them and applies `OTEL_PYTHON_URLLIB_EXCLUDED_URLS`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from autotrace.instrumentation.http_client import counted

if TYPE_CHECKING:
    from types import ModuleType

    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `urllib.request`."""
    pattern = patcher.settings.excluded_urls("urllib")

    def excluded(_opener: Any, fullurl: Any, *_options: Any, **_more: Any) -> bool:
        url = fullurl if isinstance(fullurl, str) else getattr(fullurl, "full_url", "")
        return pattern is not None and bool(pattern.search(url))

    make = partial(counted, patcher=patcher, excluded=excluded if pattern is not None else None)
    patcher.replace(module, "OpenerDirector.open", make)
