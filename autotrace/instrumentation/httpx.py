"""httpx: what only it knows of the exchanges that httpcore makes below it.

Patched: `Client.send` and `AsyncClient.send`, inside which redirects and authentication are followed.
httpcore makes the spans; this layer groups them, so that a redirect counts as a resend. A transport that
sends nothing through httpcore (`ASGITransport`, `WSGITransport`, `MockTransport`) makes no span.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from autotrace.instrumentation.http_client import counted, counted_coroutine

if TYPE_CHECKING:
    from types import ModuleType

    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `httpx`."""
    patcher.replace(module, "Client.send", partial(counted, patcher=patcher))
    patcher.replace(module, "AsyncClient.send", partial(counted_coroutine, patcher=patcher))
