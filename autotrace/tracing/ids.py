"""Trace and span ids.

From a generator of our own: an application that calls `random.seed(42)` would otherwise make the
same ids in every process. A forked child draws from a new seed.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Protocol

from autotrace import forks

if TYPE_CHECKING:
    from collections.abc import Callable

_random = Random()  # noqa: S311 - ids need to be distinct, not secret
forks.in_child(_random.seed)

getrandbits: Callable[[int], int] = _random.getrandbits
"""One C call."""


class IdGenerator(Protocol):
    """The SDK's protocol, for generators named by `OTEL_PYTHON_ID_GENERATOR`."""

    def generate_trace_id(self) -> int:
        """128 bits, not 0."""
        ...

    def generate_span_id(self) -> int:
        """64 bits, not 0."""
        ...


class RandomIds:
    """Ours in that protocol, for applications that ask the provider for ids; spans take theirs directly."""

    def generate_trace_id(self) -> int:
        """128 bits, not 0."""
        return getrandbits(128) or self.generate_trace_id()

    def generate_span_id(self) -> int:
        """64 bits, not 0."""
        return getrandbits(64) or self.generate_span_id()

    def is_trace_id_random(self) -> bool:
        """In the sense of W3C Trace Context, Level 2."""
        return True
