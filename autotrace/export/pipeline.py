"""From the request's thread to the exporter: a bounded queue and one daemon thread.

The request's thread appends and, where the worker sleeps, rings its bell; it never waits and takes
no lock. The worker starts with the first span, sleeps while there is nothing to do, and gathers for
a short delay before it sends: short when traffic is low, so that a killed process loses fractions
of a second.

Fork: a child starts afresh with an empty queue; what waited in the parent is the parent's to send.
Exit: `shutdown` sends what is left within the exit budget and says what was lost.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from _thread import allocate_lock
from collections import Counter, deque
from time import monotonic
from typing import TYPE_CHECKING, Any

from autotrace import notices
from autotrace.tracing.context import attach, detach, suppressing

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from autotrace.export.exporter import Exporter
    from autotrace.tracing.span import Span

LOW_TRAFFIC: Final = 64
"""Spans in one delivery below which the short delay is used."""
SHORT_DELAY: Final = 0.2
"""Seconds to gather spans at low traffic."""
LONG_DELAY: Final = 1.0
"""Seconds to gather spans otherwise; a full batch ends the wait."""

LAST: Final = -1_000_000
"""Priority among multiprocessing's finalizers: the application's may make spans."""

QUEUE_FULL = "queue full"
NOT_SENT_AT_EXIT = "not sent before exit"
EXPORTER_FAILED = "exporter failed"


class Pipeline:
    """Queue and worker of one exporter.

    Args:
        name: Of the exporter, for messages.
        new_exporter: Makes the exporter, on the worker's thread: what it imports costs no request.
        max_spans: Spans that may wait; more are dropped and counted.
        max_bytes: Bytes of long attribute values that may wait; short ones are bounded by `max_spans`.
        batch_size: Spans in one delivery.
        delay: Longest time to gather spans, in seconds.
        export_timeout: For one delivery with its retries, in seconds.
        exit_timeout: For all that is left at exit, in seconds.
    """

    def __init__(
        self,
        name: str,
        new_exporter: Callable[[], Exporter],
        max_spans: int = 2048,
        max_bytes: int = 64 * 2**20,
        batch_size: int = 512,
        delay: float = 5.0,
        export_timeout: float = 30.0,
        exit_timeout: float = 2.0,
    ) -> None:
        self.name = name
        self._new_exporter = new_exporter
        self._max_spans = max_spans
        self._max_bytes = max_bytes
        self._batch_size = batch_size
        self._last_of_batch = batch_size - 1
        self._short_delay = min(SHORT_DELAY, delay)
        self._long_delay = min(LONG_DELAY, delay)
        self._export_timeout = export_timeout
        self._exit_timeout = exit_timeout
        self._start_afresh()
        if hasattr(os, "register_at_fork"):
            afresh = weakref.WeakMethod(self._start_afresh)
            os.register_at_fork(after_in_child=lambda: (method := afresh()) and method())

    def _start_afresh(self) -> None:
        """At construction and in a forked child: the parent's thread is gone, its locks may be held."""
        self._queue: deque[Span] = deque()
        self._bytes = 0
        self._bell = allocate_lock()
        self._bell.acquire()
        self._starting = allocate_lock()
        self._delivered = threading.Condition()
        self._worker: threading.Thread | None = None
        self._exporter: Exporter | None = None
        self._idle = False
        self._rung_for_batch = False
        self._flushing = 0
        self._deadline: float | None = None
        self._shut_down = False
        self._taken = 0
        self.sent = 0
        self.losses: Counter[str] = Counter()
        """Spans that did not arrive, by reason."""

    # On the request's thread.

    def put(self, span: Span) -> None:
        """Take a finished span. Never blocks; a full queue drops and counts."""
        queue = self._queue
        waiting = len(queue)
        if waiting >= self._max_spans or self._bytes > self._max_bytes:
            self.losses[QUEUE_FULL] += 1
            return
        if span.weight:
            self._bytes += span.weight
        queue.append(span)
        if self._idle:
            self._idle = False
            self._ring()
        elif self._worker is None:
            self._start_worker()
        elif waiting >= self._last_of_batch and not self._rung_for_batch:
            self._rung_for_batch = True
            self._ring()

    def _ring(self) -> None:
        try:
            self._bell.release()
        except RuntimeError:
            pass  # it rings already

    def _start_worker(self) -> None:
        if not self._starting.acquire(blocking=False):
            return  # somebody else is at it
        try:
            if self._worker is None and self._deadline is None:
                worker = threading.Thread(target=self._work, name=f"autotrace-{self.name}", daemon=True)
                self._worker = worker
                worker.start()
                _end_with_child(self.shutdown)
        except RuntimeError:
            self._worker = None  # no more threads, or the interpreter is closing: `shutdown` will send
        finally:
            self._starting.release()

    # On the worker's thread.

    def _work(self) -> None:
        attach(suppressing())
        delay = self._short_delay
        while True:
            if not self._queue:
                self._idle = True
                if not self._queue and not self._flushing:
                    self._bell.acquire()
                self._idle = False
            if len(self._queue) < self._batch_size and not self._flushing and self._deadline is None:
                self._bell.acquire(timeout=delay)
            self._rung_for_batch = False
            # Read before the drain, after the bell: `shutdown` rings once, and either wait may take it.
            closing = self._deadline is not None
            delivered = self._drain()
            if closing:
                while self._queue and not self._too_late():
                    self._drain()  # other threads may end spans until the very last
                return
            delay = self._short_delay if delivered < LOW_TRAFFIC else self._long_delay

    def _drain(self) -> int:
        """Send what waits now, in batches; how many spans that were."""
        due = len(self._queue)
        done = 0
        while done < due and not self._too_late():
            batch = self._take()
            self._deliver(batch)
            done += len(batch)
        with self._delivered:
            self._flushing = 0
            self._delivered.notify_all()
        return done

    def _take(self) -> list[Span]:
        queue = self._queue
        with self._delivered:  # whoever flushes or counts what is left sees each span once
            self._taken = size = min(self._batch_size, len(queue))
            batch = [queue.popleft() for _ in range(size)]
        if not queue:
            self._bytes = 0
        elif self._bytes:
            # Not exact, as `put` takes no lock; the next empty queue sets it right.
            self._bytes = max(0, self._bytes - sum(span.weight for span in batch))
        return batch

    def _deliver(self, batch: list[Span]) -> None:
        deadline = monotonic() + self._export_timeout
        if self._deadline is not None:
            deadline = min(deadline, self._deadline)
        try:
            if self._exporter is None:
                self._exporter = self._new_exporter()
            losses = self._exporter.export(batch, deadline)
        except Exception as error:
            notices.error(
                f"the {self.name} exporter failed: {error!r:.300}", f"export {self.name} {type(error)}"
            )
            losses = {EXPORTER_FAILED: len(batch)}
        with self._delivered:
            self._taken = 0
            self.sent += len(batch) - sum(losses.values())
            self.losses.update(losses)
        for reason, count in losses.items():
            destination = self._exporter.destination if self._exporter else self.name
            topic = f"loss {self.name} {reason}"
            notices.warn(f"{_spans(count)} did not reach {destination}: {reason}", topic)

    def _too_late(self) -> bool:
        return self._deadline is not None and monotonic() >= self._deadline

    # From outside.

    def flush(self, timeout: float) -> bool:
        """Send what has ended by now, waiting `timeout` seconds at most; whether that was enough."""
        deadline = monotonic() + timeout
        with self._delivered:
            while self._queue or self._taken:
                if self._deadline is not None:
                    return False  # `shutdown` sends what it can; nothing is sent after it
                if self._worker is None:
                    self._start_worker()
                self._flushing = 1
                self._ring()
                left = deadline - monotonic()
                if left <= 0 or self._worker is None:
                    return False
                self._delivered.wait(min(left, 0.1))
        return True

    def _hasten(self, deadline: float) -> None:
        """Cut short a delivery in progress: one that waits between tries, or for an answer."""
        hasten = getattr(self._exporter, "hasten", None)  # UDP and the local store have nothing to wait for
        if hasten is not None:
            hasten(deadline)

    def close(self) -> None:
        """Begin to send what is left, within the exit budget, and take the time from now on."""
        if self._deadline is None:
            self._deadline = monotonic() + self._exit_timeout
            self._hasten(self._deadline)
            self._ring()

    def shutdown(self) -> None:
        """Wait until what is left is sent or the exit budget is spent, and report what was lost; once."""
        if self._shut_down:
            return
        self._shut_down = True
        self.close()
        assert self._deadline is not None
        worker = self._worker
        if worker is not None and worker.is_alive():
            worker.join(max(0.0, self._deadline - monotonic()))
        else:
            token = attach(suppressing())
            while self._queue and not self._too_late():
                self._drain()
            detach(token)
        with self._delivered:  # the worker may be about to give up at this very moment
            left = len(self._queue) + self._taken
            if left:
                self.losses[NOT_SENT_AT_EXIT] += left
            lost = self.losses.copy()
        if lost:
            reasons = ", ".join(f"{count} {reason}" for reason, count in lost.items())
            notices.warn(f"{_spans(sum(lost.values()))} lost on the way to {self.name}: {reasons}")
        if self._exporter is not None and not (worker is not None and worker.is_alive()):
            try:
                self._exporter.shutdown()
            except Exception as error:
                notices.warn(f"the {self.name} exporter could not be shut down: {error!r:.300}")


def _end_with_child(shutdown: Callable[[], None]) -> None:
    """Children of `multiprocessing` run none of the parent's `atexit` functions, only its own finalizers."""
    process: Any = sys.modules.get("multiprocessing.process")
    util: Any = sys.modules.get("multiprocessing.util")
    if process is not None and util is not None and process.parent_process() is not None:
        util.Finalize(None, shutdown, exitpriority=LAST)


def _spans(count: int) -> str:
    return "1 span" if count == 1 else f"{count} spans"
