"""requests: what only it knows of the exchanges that urllib3 makes below it.

Patched: `Session.send`, which calls itself for each redirect. urllib3 makes the spans; this layer
groups them, so that a redirect counts as a resend, and applies `OTEL_PYTHON_REQUESTS_EXCLUDED_URLS`.
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
    """Patch `requests.sessions`."""
    excluded = patcher.settings.excluded_urls("requests")

    def observe_send(call: Call) -> Generator[None, Outcome, None]:
        if excluded is not None and excluded.search(call.get(1, "request").url or ""):
            with standing_down():
                yield
            return
        with resends():
            yield

    patcher.wrap(module, "Session.send", observe_send)
