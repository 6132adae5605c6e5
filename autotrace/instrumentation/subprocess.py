"""The trace goes along into programs that `subprocess` and `asyncio` start, in their environment.

Patched: `Popen.__init__`, which all of them pass. No span is made: what a program does is its own to tell.

Spec: https://opentelemetry.io/docs/specs/otel/context/env-carriers/
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from autotrace.propagation.environment import continued

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType
    from typing import Final

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher

_ENV: Final = 11
"""Position of `env` among the arguments of `Popen.__init__`."""


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `subprocess`."""

    def observe_init(call: Call) -> Generator[None, Outcome, None]:
        environ = continued(call.get(_ENV, "env"), patcher.propagator, os.environ)
        if environ is not None:
            call.set(_ENV, "env", environ)
        yield

    if patcher.settings.propagate_to_children:
        patcher.wrap(module, "Popen.__init__", observe_init)
