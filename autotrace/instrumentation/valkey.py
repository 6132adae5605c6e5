"""Spans for valkey-py, a fork of redis-py: one per command or pipeline.

Patched: as in redis-py, under the names of the fork.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from autotrace.instrumentation.redis import install_as

if TYPE_CHECKING:
    from types import ModuleType

    from autotrace.patching.patcher import Patcher


def install(module: ModuleType, patcher: Patcher) -> None:
    """Patch the package `valkey`."""
    install_as("Valkey", module, patcher)
