"""The one way into the store: a bounded queue, and a thread that writes in large transactions.

A span that was taken is written, also when the process is told to end. What the store refuses is
counted and said.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from autotrace import notices
from autotrace.store.errors import BUSY, StoreError
from autotrace.store.rows import prepared

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Final

    from autotrace.store.records import SpanRecord
    from autotrace.store.rows import PreparedSpan
    from autotrace.store.writer import Writer

_MANY: Final = 10_000
"""Spans: half a second's worth, 25 MiB. When so many are waiting, senders should."""
_MAX_WAITING: Final = 2 * _MANY
"""A batch is taken whole as long as fewer are waiting."""
_BATCH: Final = 2000
"""Spans of a transaction, from which on larger ones are not cheaper."""
_PATIENCE: Final = 2.0
"""Seconds to wait for other writers before we say so and try again."""


class Ingest:
    """Takes spans from any thread and writes them with `writer`, which it closes at the end."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._changed = threading.Condition()
        self._batches: deque[list[PreparedSpan]] = deque()
        self._waiting = 0
        self._closing = False
        self.received = 0
        """Spans taken so far."""
        self.dropped = 0
        """Spans not taken because the queue was full, or not written because the store refused them."""
        self._thread = threading.Thread(target=self._run, name="autotrace-ingest")
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether senders who can wait should."""
        return self._waiting >= _MANY

    def submit(self, spans: Sequence[SpanRecord]) -> bool:
        """Take `spans` to be written; False, and nothing is taken, when too many are waiting.

        They are encoded here, so that the thread that writes, of which there is one, has less to do.
        """
        rows = prepared(spans)
        with self._changed:
            if self._closing or self._waiting >= _MAX_WAITING:
                return False
            self.received += len(spans)
            if rows:
                self._batches.append(rows)
                self._waiting += len(rows)
                self._changed.notify()
        if len(rows) < len(spans):
            self._lose(len(spans) - len(rows), "span could not be encoded")
        return True

    def drop(self, spans: int) -> None:
        """Count spans that could not wait for a better moment, as those of a datagram."""
        with self._changed:
            self.dropped += spans

    def close(self) -> None:
        """Take nothing more, write what is waiting, and close the store."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            batch = self._next()
            if not batch:
                break
            self._write(batch)
        self._writer.close()

    def _next(self) -> list[PreparedSpan]:
        """The spans of the next transaction; empty when there will be none."""
        batch: list[PreparedSpan] = []
        with self._changed:
            while not self._batches and not self._closing:
                self._changed.wait()
            while self._batches and len(batch) < _BATCH:
                head = self._batches.popleft()
                if len(head) > _BATCH:  # other writers want the store too
                    self._batches.appendleft(head[_BATCH:])
                    head = head[:_BATCH]
                batch += head
            self._waiting -= len(batch)
        return batch

    def _write(self, batch: list[PreparedSpan]) -> None:
        while True:
            try:
                self._writer.write_rows(batch, time.monotonic() + _PATIENCE)
            except StoreError as error:
                if error.reason != BUSY or self._closing:
                    return self._lose(len(batch), error.reason)
                notices.warn("the store is busy: another process holds it; spans are waiting", "ingest busy")
            except Exception as error:  # a bug of ours costs this batch, and not all that come after
                return self._lose(len(batch), repr(error)[:300])
            else:
                return None

    def _lose(self, spans: int, reason: str) -> None:
        self.drop(spans)
        notices.error(f"spans were lost: {reason}", f"ingest {reason}")
