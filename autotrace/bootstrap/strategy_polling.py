"""Asks a Jaeger backend how to sample (`jaeger_remote`), each time on a thread that ends with the answer.

No thread waits in between: forks go undisturbed, and a program that stops tracing stops asking.
"""

from __future__ import annotations

import os
import threading
from time import monotonic
from typing import TYPE_CHECKING
from weakref import WeakMethod

from autotrace import forks, notices
from autotrace.export import threads
from autotrace.export.transport import HttpTransport
from autotrace.tracing.context import attach, suppressing

if TYPE_CHECKING:
    from typing import Final

    from autotrace.sampling.jaeger_remote import JaegerRemote

TIMEOUT: Final = 10.0
"""Seconds for one question."""


class StrategyPolling:
    """Asks one backend for the strategy of one service.

    Args:
        endpoint: Of the sampling server, over HTTP.
        service: The value of `service.name`.
    """

    def __init__(self, endpoint: str, service: str) -> None:
        self._endpoint = endpoint
        self._service = service
        self._failures: set[str] = set()
        self._start_afresh()
        forks.in_child(self._start_afresh)
        before = WeakMethod(self._before_fork)
        os.register_at_fork(before=lambda: (method := before()) and method())

    def _start_afresh(self) -> None:
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def ask(self, sampler: JaegerRemote) -> None:
        """Ask, unless a question is under way; never waits, never raises."""
        if not self._starting.acquire(blocking=False):
            return
        try:
            allowed = threads.allowed()
            if allowed == threads.NEVER:
                notices.warn("without threads no sampling strategy can be asked for", "sampling strategy")
            elif allowed == threads.NOW and (self._thread is None or not self._thread.is_alive()):
                thread = threading.Thread(
                    target=self._work, args=(sampler,), name="autotrace-sampling", daemon=True
                )
                thread.start()
                self._thread = thread
        except Exception:
            pass  # no more threads: the strategy stays, and there is another time
        finally:
            self._starting.release()

    def _work(self, sampler: JaegerRemote) -> None:
        threads.unwatched()
        attach(suppressing())
        try:
            failure = self._fetch(sampler)
        except Exception as error:
            failure = repr(error)
        if failure and failure not in self._failures:
            self._failures.add(failure)
            notices.warn(f"no sampling strategy from {self._endpoint}: {failure}; what was in force stays")

    def _fetch(self, sampler: JaegerRemote) -> str:
        """What went wrong; empty when nothing did."""
        from urllib.parse import quote  # noqa: PLC0415 - on this thread, not at start

        joint = "&" if "?" in self._endpoint else "?"
        transport = HttpTransport(f"{self._endpoint}{joint}service={quote(self._service, safe='')}")
        try:
            response = transport.get(monotonic() + TIMEOUT)
        finally:
            transport.close()
        if response.reason:
            return response.reason
        try:
            sampler.learn(response.body)
        except ValueError as error:
            return str(error)
        return ""

    def _before_fork(self) -> None:
        thread = self._thread
        if thread is not None and thread.is_alive() and thread.native_id != threading.get_native_id():
            threads.ends_before_fork(thread)
            threads.imports_before_fork(thread)
