"""How far long work has come, for somebody who waits at a terminal."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Final

    from typing_extensions import Self

_T = TypeVar("_T")

_PATIENCE: Final = 0.5
"""Seconds that pass without a word."""
_INTERVAL: Final = 0.25
_ERASE: Final = "\r\x1b[K"


class Progress:
    """A line on stderr that counts `what`, rewritten in place, gone at the end; only on a terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = False
        self._due = time.monotonic() + _PATIENCE if sys.stderr.isatty() else float("inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        if self._shown:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()

    def over(self, things: Iterable[_T]) -> Iterator[_T]:
        """The same things, counted."""
        for number, thing in enumerate(things, 1):
            if time.monotonic() >= self._due:
                sys.stderr.write(f"{_ERASE}{number:,} {self._what}")
                sys.stderr.flush()
                self._shown = True
                self._due = time.monotonic() + _INTERVAL
            yield thing
