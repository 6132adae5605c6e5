"""Spans for valkey-py, a fork of redis-py: one per command or pipeline.

Patched: as in redis-py, under the names of the fork.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.redis import patch

if TYPE_CHECKING:
    from types import ModuleType

    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch the package `valkey`."""
    patch("Valkey", module, patcher)


def install_asyncio(module: ModuleType, patcher: Patcher) -> None:
    """Patch the package `valkey.asyncio`."""
    patch("Valkey", module, patcher)
