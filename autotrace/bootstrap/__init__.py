"""From the environment to a running tracer: the one start-up sequence, in order.

`arm` runs at every interpreter start and imports next to nothing; `start` follows when the first
library that is worth a tracer has been imported.
"""

from __future__ import annotations

import os

from autotrace import notices, settings
from autotrace.bootstrap import ending
from autotrace.instrumentation.hooks import HOOKS
from autotrace.patching.registry import Registry

_registry: Registry | None = None
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
        _registry = Registry(HOOKS, _wake)
        if settings.wants_diagnostics(os.environ):
            from autotrace.bootstrap import diagnostics  # noqa: PLC0415 - few ask for them

            diagnostics.watch(_registry)
        _registry.arm()
        os.putenv(notices.OF_A_CHILD, "1")  # not in `os.environ`, which the application may show or compare
    except Exception as error:
        _untraced(error)


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
