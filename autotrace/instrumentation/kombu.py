"""kombu on Redis: the commands that carry messages make no spans, nor does a worker that waits for them.

Patched: `_get_pool` of the Redis channels, the one place where their connections come from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.redis import silence

if TYPE_CHECKING:
    from collections.abc import Generator
    from types import ModuleType

    from autotrace.patching.call import Call, Outcome
    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch `kombu.transport.redis`."""
    for channel in ("Channel", "SentinelChannel"):
        patcher.wrap(module, f"{channel}._get_pool", observe_get_pool)


def observe_get_pool(_call: Call) -> Generator[None, Outcome, None]:
    """Silence the pool that has been made."""
    outcome = yield
    if outcome.error is None:
        silence(outcome.result)
