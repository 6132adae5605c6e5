"""Sentry's SDK: what it sends to Sentry makes no spans.

Patched: `BackgroundWorker._target`, the thread that all its requests are made on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.tracing.context import attach, detach, suppressing

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `sentry_sdk.worker`."""
    patcher.wrap(module, "BackgroundWorker._target", observe_thread)


def observe_thread(_call: Call) -> Generator[None, Outcome, None]:
    """Nothing that happens on this thread is the application's."""
    token = attach(suppressing())
    yield
    detach(token)
