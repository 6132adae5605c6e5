"""Server spans for granian, with any ASGI application.

Patched: `_asgi_call_wrap`, to which each kind of worker (processes, threads, embedded) hands the
application, and which they have imported by that name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.asgi import Asgi, traced

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher


def install_processes(module: ModuleType, patcher: Patcher) -> None:
    """Patch `granian.server.mp`."""
    _patch(module, patcher)


def install_threads(module: ModuleType, patcher: Patcher) -> None:
    """Patch `granian.server.mt`."""
    _patch(module, patcher)


def install_embedded(module: ModuleType, patcher: Patcher) -> None:
    """Patch `granian.server.embed`."""
    _patch(module, patcher)


def _patch(module: ModuleType, patcher: Patcher) -> None:
    asgi = Asgi(patcher, "granian", serves=True)

    def observe_wrap(call: Call) -> Generator[None, Outcome, None]:
        call.set(0, "callback", traced(call.get(0, "callback"), asgi))
        yield

    patcher.wrap(module, "_asgi_call_wrap", observe_wrap)
