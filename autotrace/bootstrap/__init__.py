"""From the environment to a running tracer: the one start-up sequence, in order.

`arm` runs at every interpreter start and imports next to nothing; `start` follows when the first
library that is worth a tracer has been imported.
"""

from __future__ import annotations

import os

from autotrace import notices, settings
from autotrace.instrumentation.hooks import HOOKS
from autotrace.patching.registry import Registry

_registry: Registry | None = None


def arm() -> None:
    """Watch imports from now on. Called once, by `sitecustomize`; a second call does nothing.

    Never raises: a failure of ours is one line on stderr, and the program runs untraced.
    """
    global _registry  # noqa: PLW0603 - one per process, like `sys.meta_path`
    if _registry is not None or settings.switched_off(os.environ) is not None:
        return
    try:
        _registry = Registry(HOOKS, _wake)
        _registry.arm()
    except Exception as error:
        notices.error(f"could not start, the program runs untraced: {error!r:.300}")


def _wake() -> None:
    assert _registry is not None
    try:
        from autotrace.bootstrap.start import start  # noqa: PLC0415 - the heavy part, not before it is needed

        start(_registry, os.environ)
    except Exception as error:
        _registry.disarm()
        notices.error(f"could not start, the program runs untraced: {error!r:.300}")
