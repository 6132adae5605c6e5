"""From the request's thread to the exporter: a bounded queue and one daemon thread.

The request's thread appends and, where the worker sleeps, rings its bell; it never waits and takes
no lock. The worker starts with the first span, sleeps while there is nothing to do, and gathers for
a short delay before it sends: short when traffic is low, so that a killed process loses fractions
of a second.

Fork: the worker sends what waits and ends, where that is a matter of moments; the next span starts
another. A child starts afresh with an empty queue; what waited in the parent is the parent's to send.
gevent, eventlet: the worker is a greenlet where threads are patched, and its locks are of the same kind.
Where no thread can run, spans are sent by the one that ends a request, within a short time.
Exit: `shutdown` sends what is left within the exit budget and says what was lost.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import Counter, deque
from time import monotonic
from typing import TYPE_CHECKING

from autotrace import forks, notices
from autotrace.export import threads
from autotrace.tracing.context import attach, detach, suppressing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

    from autotrace.export.exporter import Exporter
    from autotrace.tracing.resource import Resource
    from autotrace.tracing.span import Span

LOW_TRAFFIC: Final = 64
"""Spans in one delivery below which the short delay is used."""
SHORT_DELAY: Final = 0.2
"""Seconds to gather spans at low traffic."""
LONG_DELAY: Final = 1.0
"""Seconds to gather spans otherwise; a full batch ends the wait."""

FORKS_GO_ON: Final = 10.0
"""Seconds for which forks do not wait after one that waited in vain."""

REQUEST_WAITS: Final = 0.25
"""Seconds that the end of a request may take where no thread can run."""
GREENLETS_LOOK: Final = 1.0
"""Seconds after which a worker that is a greenlet looks whether there are spans."""
FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Seconds without such a try after one that failed, doubling from the first to the longest."""

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
        self._others: tuple[Resource, ...] = ()
        self._start_afresh()
        forks.in_child(self._start_afresh)
        if hasattr(os, "register_at_fork"):
            before = weakref.WeakMethod(self._before_fork)
            os.register_at_fork(before=lambda: (method := before()) and method())

    def _start_afresh(self) -> None:
        """At construction and in a forked child: the parent's thread is gone, its locks may be held."""
        self._queue: deque[Span] = deque()
        self._bytes = 0
        self._make_locks()
        self._starting = threading.Lock()
        self._worker: threading.Thread | None = None
        self._dismissed: threading.Thread | None = None
        """The worker before, which may be in the middle of a delivery."""
        self._forks_wait_from = 0.0
        self._exporter: Exporter | None = None
        self._pause = 0.0
        self._paused_until = 0.0
        self._idle = False
        self._rung_for_batch = False
        self._flushing = 0
        self._deadline: float | None = None
        self._shut_down = False
        self._reported = False
        self._refused = 0
        self._taken = 0
        self.sent = 0
        self.losses: Counter[str] = Counter()
        """Spans that did not arrive, by reason."""

    def leave_to_parent(self, resource: Resource) -> None:
        """In a forked child: spans of `resource` began in the parent, and are the parent's to send."""
        self._others += (resource,)

    def _make_locks(self) -> None:
        """Made with a worker, of the kind that threads are by then: gevent and eventlet replace both."""
        self._bell = _silent_bell()
        self._delivered = threading.Condition(threading.Lock())

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
        if self._worker is None:
            self._start_worker(span)
        elif self._idle:
            self._idle = False
            _ring(self._bell)
        elif waiting >= self._last_of_batch and not self._rung_for_batch:
            self._rung_for_batch = True
            _ring(self._bell)

    def _start_worker(self, ended: Span | None = None) -> None:
        """Start it, or send from here what may be sent, now that a span has `ended`."""
        if not self._starting.acquire(blocking=False):
            return  # somebody else is at it
        try:
            if self._worker is not None or self._deadline is not None:
                return
            allowed = threads.allowed()
            if allowed == threads.NOW:
                self._make_locks()
                worker = threading.Thread(
                    target=self._work,
                    args=(self._bell, self._dismissed),
                    name=f"autotrace-{self.name}",
                    daemon=True,
                )
                worker.start()
                self._worker = worker
            elif allowed == threads.NEVER and ended is not None:
                self._send_with_request(ended)
        except Exception:
            pass  # no more threads, or the interpreter is closing: `shutdown` will send
        finally:
            self._starting.release()

    def _send_with_request(self, ended: Span) -> None:
        """Send what waits, at the end of a request; after a failure not for a while."""
        begins_here = not ended.parent_id or ended.parent_is_remote
        now = monotonic()
        if not begins_here or now < self._paused_until:
            return
        lost = sum(self.losses.values())
        token = attach(suppressing())
        try:
            while self._queue and monotonic() < now + REQUEST_WAITS:
                self._deliver(self._take(), REQUEST_WAITS)
        finally:
            detach(token)
        if sum(self.losses.values()) == lost:
            self._pause = 0.0
        else:
            self._pause = min(max(FIRST_PAUSE, 2 * self._pause), LONGEST_PAUSE)
            self._paused_until = monotonic() + self._pause

    # Before a fork.

    def _before_fork(self) -> None:
        """Have the worker end, if it can soon: from 3.12 on Python warns of a fork beside a thread."""
        worker = self._worker
        if worker is None or self._deadline is not None or worker.native_id == threading.get_native_id():
            return  # there is none, or a greenlet of this very thread
        bell, self._bell = self._bell, _silent_bell()
        self._dismissed, self._worker = worker, None
        _ring(bell)
        if monotonic() >= self._forks_wait_from and not threads.ends_before_fork(worker):
            self._forks_wait_from = monotonic() + FORKS_GO_ON
        threads.imports_before_fork(worker)

    # On the worker's thread.

    def _work(self, bell: threading.Lock, before: threading.Thread | None) -> None:
        """Work as long as `bell` is in service; one worker `before` may be in the middle of a delivery."""
        threads.unwatched()
        if before is not None:
            before.join()
        attach(suppressing())
        delay = self._short_delay
        # A greenlet may not hear a bell that a thread of the system's rings.
        longest_sleep = GREENLETS_LOOK if threads.greenlets() else -1
        while True:
            if not self._queue:
                self._idle = True
                if not self._queue and not self._flushing:
                    bell.acquire(timeout=longest_sleep)
                self._idle = False
            dismissed = bell is not self._bell
            if not dismissed and self._may_gather():
                bell.acquire(timeout=delay)
                dismissed = bell is not self._bell
            self._rung_for_batch = False
            # Read before the drain, after the bell: `shutdown` rings once, and either wait may take it.
            closing = self._deadline is not None
            delivered = self._drain()
            if closing:
                while self._queue and not self._too_late():
                    self._drain()  # other threads may end spans until the very last
                return
            if dismissed:
                return
            delay = self._short_delay if delivered < LOW_TRAFFIC else self._long_delay

    def _may_gather(self) -> bool:
        return len(self._queue) < self._batch_size and not self._flushing and self._deadline is None

    def _drain(self) -> int:
        """Send what waits now, in batches; how many spans that were."""
        due = len(self._queue)
        done = 0
        while done < due and not self._too_late():
            batch = self._take()
            self._deliver(batch, self._export_timeout)
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

    def _deliver(self, batch: list[Span], timeout: float) -> None:
        if self._others:
            batch = [span for span in batch if not any(span.resource is other for other in self._others)]
        try:
            if self._exporter is None:
                self._exporter = self._new_exporter()
            deadline = monotonic() + timeout
            if self._deadline is not None:
                deadline = min(deadline, self._deadline)
            losses = self._exporter.export(batch, deadline) if batch else {}
        except Exception as error:
            notices.error(
                f"the {self.name} exporter failed: {error!r:.300}", f"export {self.name} {type(error)}"
            )
            losses = {EXPORTER_FAILED: len(batch)}
        with self._delivered:
            self._taken = 0
            if self._reported:
                return  # counted as not sent
            self.sent += len(batch) - sum(losses.values())
            self.losses.update(losses)
            self._say_what_is_lost(losses)

    def _say_what_is_lost(self, losses: Mapping[str, int]) -> None:
        """Under the lock: a daemon thread that ends in the middle of a line would take stderr with it."""
        refused, self._refused = self._refused, self.losses[QUEUE_FULL]
        if refused < self._refused:
            losses = {**losses, QUEUE_FULL: self._refused - refused}
        destination = self._exporter.destination if self._exporter else self.name
        for reason, count in losses.items():
            topic = f"loss {self.name} {reason}"
            notices.warn(f"{_spans(count)} did not reach {destination}: {reason}", topic)

    def _too_late(self) -> bool:
        return self._deadline is not None and monotonic() >= self._deadline

    # From outside.

    def flush(self, timeout: float) -> bool:
        """Send what has ended by now, waiting `timeout` seconds at most; whether that was enough."""
        deadline = monotonic() + timeout
        while self._queue or self._taken:
            if self._deadline is not None:
                return False  # `shutdown` sends what it can; nothing is sent after it
            if self._worker is None:
                self._start_worker()
            delivered = self._delivered
            with delivered:
                if not self._queue and not self._taken:
                    break
                self._flushing = 1
                _ring(self._bell)
                left = deadline - monotonic()
                if left <= 0 or self._worker is None:
                    return False
                delivered.wait(min(left, 0.1))
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
            _ring(self._bell)

    def shutdown(self) -> None:
        """Wait until what is left is sent or the exit budget is spent, and report what was lost; once."""
        if self._shut_down:
            return
        self._shut_down = True
        self.close()
        assert self._deadline is not None
        try:
            # Another thread may be starting the worker: two must not be at it.
            self._starting.acquire(timeout=max(0.0, self._deadline - monotonic()))
            for worker in filter(None, (self._dismissed, self._worker)):
                worker.join(max(0.0, self._deadline - monotonic()))
        except Exception:
            pass  # a greenlet of a hub that runs no more
        if not self._taken:  # nobody is at it, and what is left is left to us
            token = attach(suppressing())
            while self._queue and not self._too_late():
                self._drain()
            detach(token)
        with self._delivered:  # the worker may be about to give up at this very moment
            left = len(self._queue) + self._taken
            if left:
                self.losses[NOT_SENT_AT_EXIT] += left
            lost = self.losses.copy()
            self._reported = True
        if lost:
            reasons = ", ".join(f"{count} {reason}" for reason, count in lost.items())
            notices.warn(f"{_spans(sum(lost.values()))} lost on the way to {self.name}: {reasons}")
        if self._exporter is not None and not self._taken:
            try:
                self._exporter.shutdown()
            except Exception as error:
                notices.warn(f"the {self.name} exporter could not be shut down: {error!r:.300}")


def _silent_bell() -> threading.Lock:
    """A lock to wait for: released, it rings."""
    bell = threading.Lock()
    bell.acquire()
    return bell


def _ring(bell: threading.Lock) -> None:
    try:
        bell.release()
    except RuntimeError:
        pass  # it rings already


def _spans(count: int) -> str:
    return "1 span" if count == 1 else f"{count} spans"
