"""The store's bounds: whole traces go, the oldest first, in steps that hold the write lock for milliseconds.

Whichever writer notices does it; two at once only get done sooner. Nothing is remembered between
processes: the state is the file's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from autotrace.store.removal import remove_some, remove_unused_names, write_lock

if TYPE_CHECKING:
    import sqlite3
    from typing import Final

_STEP_PAGES: Final = 256
_OLDEST: Final = 200
"""How many of the oldest traces are looked at for their age: one that goes on for days hides no other."""
_AGE_CHECK_EVERY: Final = 30.0
"""Seconds between two looks for aged traces; the first write looks too."""
_SPARE_PAGES: Final = 1024
"""Free pages that are always kept for new spans (4 MiB)."""

# Eviction begins at the high mark and goes on to the low one. The rest is for the WAL and the
# batch that is under way, so that the files together stay within what the operator allowed.
_WAL_SHARE: Final = 1 / 16
_HIGH: Final = 1 - _WAL_SHARE
_LOW: Final = 1 - 2 * _WAL_SHARE

_OLDEST_TRACES: Final = "SELECT id, spans FROM traces ORDER BY id LIMIT ?"
_AGED_TRACES: Final = (
    "SELECT id, spans FROM (SELECT id, spans, written FROM traces ORDER BY id LIMIT ?) WHERE written < ?"
)


class Retention:
    """Keeps the store within `max_bytes` and `max_age` (seconds)."""

    def __init__(self, max_bytes: int, max_age: float) -> None:
        self.max_bytes = max_bytes
        self.wal_bytes = int(max_bytes * _WAL_SHARE)
        self.max_age = max_age
        self._evicting = False
        self._ageing = False
        self._collecting = False
        self._next_age_check = float("-inf")

    def step(self, connection: sqlite3.Connection) -> bool:
        """Do one bounded piece of work in one transaction; False when there was nothing to do.

        Raises:
            sqlite3.Error: Busy, or worse; what was done before stays done.
        """
        if self._too_large(connection):
            self._evicting = self._evict(connection, _OLDEST_TRACES, (_OLDEST,))
        elif self._too_old():
            self._ageing = self._evict(connection, _AGED_TRACES, (_OLDEST, time.time() - self.max_age))
        elif self._collecting:
            self._collecting = remove_unused_names(connection)
        else:
            return self._shrink(connection)
        return True

    def _too_large(self, connection: sqlite3.Connection) -> bool:
        pages, free, size = _usage(connection)
        used = (pages - free) * size
        self._evicting = used > self.max_bytes * (_LOW if self._evicting else _HIGH)
        return self._evicting

    def _too_old(self) -> bool:
        now = time.monotonic()
        if now >= self._next_age_check:
            self._next_age_check = now + _AGE_CHECK_EVERY
            self._ageing = True
        return self._ageing

    def _evict(self, connection: sqlite3.Connection, query: str, parameters: tuple[float, ...]) -> bool:
        """Delete the traces that `query` selects, within a step's quota; False when there were none."""
        with write_lock(connection):
            oldest = connection.execute(query, parameters).fetchall()
            if oldest and not remove_some(connection, oldest):
                self._ageing = True  # a part of it went, and it counts as aged now
        self._collecting = self._collecting or bool(oldest)
        return bool(oldest)

    def _shrink(self, connection: sqlite3.Connection) -> bool:
        """Give free pages back when they are many, or when the file is larger than allowed."""
        pages, free, size = _usage(connection)
        if free > max(_SPARE_PAGES, pages // 4) or (free and pages * size > self.max_bytes):
            connection.execute(f"PRAGMA incremental_vacuum({_STEP_PAGES})").fetchall()
            return _usage(connection)[0] < pages
        return False


def _usage(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Pages of the file, free ones among them, and bytes of a page."""
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    return pages, free, size
