"""Server spans for uvicorn, with any ASGI application, under gunicorn too.

Patched: `Server.startup`, after which every protocol takes the application from the configuration, and
`Server.shutdown`: uvicorn raises the signal that stopped it once more, and the process ends by it
without running `atexit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace import notices
from autotrace.instrumentation.asgi import Asgi, traced
from autotrace.patching.guard import guard

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import ModuleType
    from typing import Any

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

    Function = Callable[..., Any]


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `uvicorn.server`."""
    asgi = Asgi(patcher, "uvicorn", serves=True)

    def observe_startup(call: Call) -> Generator[None, Outcome, None]:
        config = call.args[0].config
        if config.interface != "wsgi":  # there the framework makes the span
            config.loaded_app = traced(config.loaded_app, asgi)
        yield

    def observe_shutdown(original: Function) -> Function:
        async def shutdown(*args: Any, **kwargs: Any) -> Any:
            try:
                return await original(*args, **kwargs)
            finally:
                await _flush(patcher)

        return shutdown

    patcher.wrap(module, "Server.startup", observe_startup)
    patcher.replace(module, "Server.shutdown", observe_shutdown)


async def _flush(patcher: Patcher) -> None:
    """In a thread: a server may be one task of several in its loop."""
    import asyncio  # noqa: PLC0415 - uvicorn has imported it

    with guard:
        if patcher.enabled and not await asyncio.get_running_loop().run_in_executor(None, patcher.flush):
            notices.warn("uvicorn has shut down, and AUTOTRACE_EXIT_TIMEOUT ended before all was sent")
