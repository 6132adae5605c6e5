"""Server spans for daphne, with any ASGI application.

Patched: `Server.__init__`, which is handed the application, by the command line and by Channels'
`runserver` alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.asgi import Asgi, traced

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `daphne.server`."""
    asgi = Asgi(patcher, "daphne", serves=True)

    def observe_init(call: Call) -> Generator[None, Outcome, None]:
        call.set(1, "application", traced(call.get(1, "application"), asgi))
        yield

    patcher.wrap(module, "Server.__init__", observe_init)
