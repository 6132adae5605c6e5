"""From the environment to a running tracer: the one start-up sequence, in order.

`arm` runs at every interpreter start and imports next to nothing; `start` follows when the first
library that is worth a tracer has been imported.
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock

from autotrace import notices, settings
from autotrace.bootstrap import ending
from autotrace.instrumentation.hooks import HOOKS, of_functions
from autotrace.patching.registry import Registry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container

_registry: Registry | None = None
_searching = allocate_lock()
"""Taken for good by the thread that looks for instrumentors."""
_NOT_THE_PROGRAMS = {"usercustomize", "autotrace", "opentelemetry", "typing_extensions", "importlib_metadata"}
"""Imported without any library of the program's being there."""
_standard_modules: Container[str] | None = getattr(sys, "stdlib_module_names", None)
_is_child = os.environ.pop(notices.OF_A_CHILD, None) is not None


def arm() -> None:
    """Watch imports from now on. Called once, by `sitecustomize`; a second call does nothing.

    Never raises: a failure of ours is one line on stderr, and the program runs untraced.
    """
    global _registry  # noqa: PLW0603 - one per process, like `sys.meta_path`
    if _registry is not None or settings.switched_off(os.environ) is not None:
        return
    try:
        ending.watch()
        _registry = Registry((*HOOKS, *map(of_functions, settings.modules_of_functions(os.environ))), _wake)
        if settings.wants_diagnostics(os.environ):
            from autotrace.bootstrap import diagnostics  # noqa: PLC0415 - few ask for them

            diagnostics.watch(_registry)
        _registry.ask_before_imports(_before_import)
        _registry.arm()
        os.putenv(notices.OF_A_CHILD, "1")  # not in `os.environ`, which the application may show or compare
    except Exception as error:
        _untraced(error)


def _before_import(name: str) -> None:
    """With the first package that is not Python's own: see which instrumentors there are. Never raises."""
    if "." in name or name in _NOT_THE_PROGRAMS or name in (_standard_modules or _list_standard_modules()):
        return
    if not _searching.acquire(False):
        return
    assert _registry is not None
    _registry.ask_before_imports(None)
    try:
        from autotrace.bootstrap.instrumentors import find  # noqa: PLC0415 - not at interpreter start

        for instrumentor in find(sys.path):
            if not instrumentor.known(HOOKS):
                _registry.add(instrumentor.rows())
    except Exception as error:
        notices.warn(f"OpenTelemetry's instrumentors are left out: {error!r:.300}")


def _list_standard_modules() -> Container[str]:
    """For Python 3.9, which does not tell them."""
    global _standard_modules  # noqa: PLW0603 - one Python per process
    directory = os.path.dirname(os.__file__)  # noqa: PTH120 - pathlib costs 4 ms
    try:
        files = [*os.listdir(directory), *os.listdir(f"{directory}/lib-dynload")]  # noqa: PTH208
    except OSError:
        files = []  # frozen, or in an archive
    _standard_modules = {*sys.builtin_module_names, *(file.partition(".")[0] for file in files)}
    return _standard_modules


def _wake() -> None:
    assert _registry is not None
    try:
        from autotrace.bootstrap.opentelemetry_api import provide  # noqa: PLC0415 - not before it is needed

        provide(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))  # noqa: PTH100, PTH120
        from autotrace.bootstrap.start import start  # noqa: PLC0415 - the heavy part, likewise

        start(_registry, os.environ)
    except Exception as error:
        _registry.disarm()
        _untraced(error)


def _untraced(error: Exception) -> None:
    if not _is_child:
        notices.error(f"could not start, the program runs untraced: {error!r:.300}")
