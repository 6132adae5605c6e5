"""urllib.request: what only it knows of the exchanges that http.client makes below it.

Patched: `OpenerDirector.open`, which calls itself for each redirect. http.client makes the spans;
this layer groups them and applies `OTEL_PYTHON_URLLIB_EXCLUDED_URLS`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.http_client import resends, standing_down

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `urllib.request`."""
    excluded = patcher.settings.excluded_urls("urllib")

    def observe_open(call: Call) -> Generator[None, Outcome, None]:
        target = call.get(1, "fullurl")
        url = target if isinstance(target, str) else getattr(target, "full_url", "")
        if excluded is not None and excluded.search(url):
            with standing_down():
                yield
            return
        with resends():
            yield

    patcher.wrap(module, "OpenerDirector.open", observe_open)
