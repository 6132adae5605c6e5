"""Server spans for gunicorn's WSGI workers, with any application.

Patched: `load_wsgi` of the sync, the threaded and the asynchronous (gevent, eventlet) worker, which all
requests of a worker process come after. Not of their base class: workers for ASGI and tornado have it too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.wsgi import Wsgi, handed_over_as_it_is, traced

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher


def install_sync(module: ModuleType, patcher: Patcher) -> None:
    """Patch `gunicorn.workers.sync`."""
    _trace_loaded_application(module, patcher, "SyncWorker.load_wsgi")


def install_threaded(module: ModuleType, patcher: Patcher) -> None:
    """Patch `gunicorn.workers.gthread`."""
    _trace_loaded_application(module, patcher, "ThreadWorker.load_wsgi")


def install_async(module: ModuleType, patcher: Patcher) -> None:
    """Patch `gunicorn.workers.base_async`."""
    handed_over_as_it_is(type(module.ALREADY_HANDLED))  # compared by identity, for websockets
    _trace_loaded_application(module, patcher, "AsyncWorker.load_wsgi")


def _trace_loaded_application(module: ModuleType, patcher: Patcher, method: str) -> None:
    wsgi = Wsgi(patcher, "gunicorn")

    def observe_load(call: Call) -> Generator[None, Outcome, None]:
        outcome = yield
        if outcome.error is None:
            worker = call.args[0]
            worker.wsgi = traced(worker.wsgi, wsgi)

    patcher.wrap(module, method, observe_load)
