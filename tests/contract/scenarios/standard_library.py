"""One unit of work for what carries context inside a process, and for `logging`."""

from __future__ import annotations

from scenarios.scenario import Scenario

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def write_a_log_line(_url: str) -> Any:
    import logging

    from opentelemetry import trace

    written = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            written.append(record)

    logger = logging.getLogger(f"shop {len(logging.root.manager.loggerDict)}")
    logger.propagate = False
    logger.addHandler(Handler())
    with trace.get_tracer("app").start_as_current_span("work") as span:
        logger.warning("sold %s", "out", extra={"shelf": 7})
        (record,) = written
        span_id = format(span.get_span_context().span_id, "016x")
        span.set_attribute("marked", getattr(record, "otelSpanID", "") == span_id)
    return [record.getMessage(), record.shelf, record.levelname]


def work_in_a_thread(_url: str) -> Any:
    import threading

    from opentelemetry import trace

    done = []

    def inner() -> None:
        with trace.get_tracer("app").start_as_current_span("inner"):
            done.append(threading.current_thread().name)

    with trace.get_tracer("app").start_as_current_span("outer"):
        thread = threading.Thread(target=inner, name="helper")
        thread.start()
        thread.join()
    return done


def work_in_a_pool(_url: str) -> Any:
    from concurrent.futures import ThreadPoolExecutor

    from opentelemetry import trace

    def inner(number: int) -> int:
        with trace.get_tracer("app").start_as_current_span("inner"):
            return number * number

    with ThreadPoolExecutor(1) as pool, trace.get_tracer("app").start_as_current_span("outer"):
        return [pool.submit(inner, 3).result(), *pool.map(inner, [4])]


SCENARIOS = {
    "logging": Scenario(
        write_a_log_line,
        "app INTERNAL work marked",
        "app INTERNAL work",
        before=("autotrace.instrumentation.logging:correlate",),
    ),
    "threading": Scenario(
        work_in_a_thread,
        """
        app INTERNAL outer
          app INTERNAL inner
        """,
        """
        app INTERNAL outer
        app INTERNAL inner
        """,
        before=("autotrace.instrumentation.threading:current",),
        after=("autotrace.instrumentation.threading:attach",),
    ),
    "concurrent.futures.thread": Scenario(
        work_in_a_pool,
        """
        app INTERNAL outer
          app INTERNAL inner
          app INTERNAL inner
        """,
        """
        app INTERNAL outer
        app INTERNAL inner
        app INTERNAL inner
        """,
        before=("autotrace.instrumentation.concurrent_futures:current",),
        after=("autotrace.instrumentation.concurrent_futures:attach",),
    ),
}
"""By the module that a row patches."""
