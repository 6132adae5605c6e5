"""Writes batches of spans into the store that all processes share.

One transaction per batch, so that a batch is there whole or not at all, even after `kill -9`
(`synchronous = NORMAL`: a power cut may cost the last batches, never the file). Writers of other
processes are waited for until the deadline. What is broken is moved aside once and begun anew.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from autotrace import notices
from autotrace.store import files, forks
from autotrace.store.connection import open_writer
from autotrace.store.errors import BUSY, CORRUPT, StoreError, reason_of
from autotrace.store.removal import write_lock
from autotrace.store.retention import Retention
from autotrace.store.rows import insert, prepared

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Final

    from autotrace.store.records import SpanRecord
    from autotrace.store.rows import PreparedSpan

_T = TypeVar("_T")

_RETENTION_BUDGET: Final = 0.1
"""Seconds after a batch for retention; what is left to do waits for the next batch."""

_BREATH: Final = 0.002
"""Seconds between two attempts, so that a fork that waits for our lock gets it."""


class Writer:
    """Writes to the database at `path`, made when there is none. Used by one thread at a time.

    Keeps it within `max_bytes`, and removes traces that are older than `max_age` seconds.
    """

    def __init__(self, path: str, max_bytes: int, max_age: float) -> None:
        self._path = path
        self._retention = Retention(max_bytes, max_age)
        self._holder = forks.Holder()
        self._opened: tuple[int, int] | None = None

    def write(self, spans: Sequence[SpanRecord], deadline: float) -> int:
        """Write `spans` in one transaction.

        Args:
            spans: In any order, of any traces.
            deadline: On the clock of `time.monotonic()`: until then we wait for other writers.

        Returns:
            How many could not be encoded and were left out.

        Raises:
            StoreError: Nothing was written; it tells why.
        """
        rows = prepared(spans)
        if rows:
            self.write_rows(rows, deadline)
        return len(spans) - len(rows)

    def write_rows(self, rows: Sequence[PreparedSpan], deadline: float) -> None:
        """The same for what `prepared` has made, elsewhere."""
        try:
            self._insert(rows, deadline)
        except StoreError as error:
            if error.reason != CORRUPT or not self._begin_anew(deadline):
                raise
            self._insert(rows, deadline)
        self._retain(min(deadline, time.monotonic() + _RETENTION_BUDGET))

    def close(self) -> None:
        """Close the connection; SQLite folds the WAL into the file when it was the last one."""
        with self._holder.lock, suppress(sqlite3.Error):
            self._holder.close()

    def _insert(self, rows: Sequence[PreparedSpan], deadline: float) -> None:
        def work(connection: sqlite3.Connection) -> None:
            with write_lock(connection):
                insert(connection, rows)

        while True:
            try:
                self._locked(work, deadline)
            except StoreError as error:
                if error.reason != BUSY or time.monotonic() >= deadline:
                    raise
                time.sleep(_BREATH)
            else:
                return

    def _retain(self, deadline: float) -> None:
        more = True
        try:
            while more and time.monotonic() < deadline:
                more = self._locked(self._retention.step, deadline)
        except StoreError as error:
            if error.reason == CORRUPT:  # otherwise it would grow without bound
                self._begin_anew(deadline)
            # Else the batch is safe, and the next writer tries again.

    def _locked(self, work: Callable[[sqlite3.Connection], _T], deadline: float) -> _T:
        """Do `work` on an open connection while no fork can happen; its errors become StoreError."""
        with self._holder.lock:
            try:
                return work(self._connection(deadline))
            except StoreError:
                self._holder.close()
                raise
            except (sqlite3.Error, OSError) as error:
                reason = reason_of(error)
                if reason != BUSY:
                    with suppress(sqlite3.Error):
                        self._holder.close()
                raise StoreError(reason) from error

    def _connection(self, deadline: float) -> sqlite3.Connection:
        holder = self._holder
        if holder.connection is not None and files.identity(self._path) != self._opened:
            holder.close()  # removed or moved aside: our spans would go to a file without a name
        if holder.connection is None:
            forks.check()
            self._opened = files.identity(self._path)  # noted first: should it be corrupt, it is this one
            holder.connection = open_writer(self._path, deadline, self._retention.wal_bytes)
            self._opened = self._opened or files.identity(self._path)
        return holder.connection

    def _begin_anew(self, deadline: float) -> bool:
        """Move the corrupt database out of the way; False when that is impossible."""
        if self._opened is None:
            return False
        try:
            aside = files.move_aside(self._path, self._opened, deadline)
        except (OSError, StoreError):
            return False
        if aside is not None:
            notices.warn(f"the trace store was corrupt; it is kept as {aside}, and a new one is begun")
        return True
