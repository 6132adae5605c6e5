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


def work_in_a_pool_of_multiprocessing(_url: str) -> Any:
    from multiprocessing.pool import ThreadPool

    from opentelemetry import trace

    def inner(number: int) -> int:
        with trace.get_tracer("app").start_as_current_span("inner"):
            return number * number

    with ThreadPool(1) as pool, trace.get_tracer("app").start_as_current_span("outer"):
        return [pool.apply(inner, (3,)), *pool.map(inner, [4]), *pool.imap(func=inner, iterable=[5])]


def work_in_a_process(_url: str) -> Any:
    import multiprocessing.process

    from opentelemetry import trace

    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()

    def inner() -> None:
        parent = trace.get_current_span().get_span_context()
        answers.put(parent.span_id)

    with trace.get_tracer("app").start_as_current_span("outer") as span:
        process = context.Process(target=inner)
        process.start()
        process.join()
        span.set_attribute("marked", answers.get() == span.get_span_context().span_id)
    return [process.exitcode, sorted(name for name in vars(process) if "autotrace" in name)]


def work_in_a_pool_of_processes(_url: str) -> Any:
    import multiprocessing
    from concurrent.futures.process import ProcessPoolExecutor

    from opentelemetry import trace

    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        pool.submit(span_above, 0).result()  # the worker is forked here
        with trace.get_tracer("app").start_as_current_span("outer") as span:
            ids = list(pool.map(span_above, [0]))
            span.set_attribute("marked", ids == [span.get_span_context().span_id])
        return [pool.submit(max, 1, 2).result(), pool.submit(span_above, 0).result()]


def span_above(_number: int) -> int:
    from opentelemetry import trace

    return trace.get_current_span().get_span_context().span_id


def start_a_program(_url: str) -> Any:
    import os
    import subprocess

    from opentelemetry import trace

    given = {"PATH": os.defpath}
    with trace.get_tracer("app").start_as_current_span("outer") as span:
        done = subprocess.run(
            ["sh", "-c", "echo $TRACEPARENT; exit 3"],
            env=given,
            check=False,
            stdout=subprocess.PIPE,
            text=True,
        )
        span.set_attribute("marked", format(span.get_span_context().span_id, "016x") in done.stdout)
    return [done.returncode, given, done.args]


def start_a_program_by_os(_url: str) -> Any:
    import os

    from opentelemetry import trace

    codes = []
    with trace.get_tracer("app").start_as_current_span("outer") as span:
        wanted = format(span.get_span_context().span_id, "016x")
        script = f"case $TRACEPARENT in *{wanted}*) exit 3;; *) exit 4;; esac"
        codes.append(os.waitstatus_to_exitcode(os.system(script)))
        codes.append(os.spawnv(os.P_WAIT, "/bin/sh", ["sh", "-c", script]))
        codes.append(os.spawnve(os.P_WAIT, "/bin/sh", ["sh", "-c", script], {}))
        pid = os.posix_spawn("/bin/sh", ["sh", "-c", script], {})
        codes.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        span.set_attribute("marked", codes == [3, 3, 3, 3])
    return sum(code in (3, 4) for code in codes)


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
        after=("autotrace.instrumentation.carried:attach",),
    ),
    "multiprocessing.pool": Scenario(
        work_in_a_pool_of_multiprocessing,
        """
        app INTERNAL outer
          app INTERNAL inner
          app INTERNAL inner
          app INTERNAL inner
        """,
        """
        app INTERNAL outer
        app INTERNAL inner
        app INTERNAL inner
        app INTERNAL inner
        """,
        before=("autotrace.instrumentation.multiprocessing_pool:current",),
        after=("autotrace.instrumentation.carried:attach",),
    ),
    "multiprocessing.process": Scenario(
        work_in_a_process,
        "app INTERNAL outer marked",
        "app INTERNAL outer marked",
        before=("autotrace.instrumentation.multiprocessing:packed",),
    ),
    "concurrent.futures.process": Scenario(
        work_in_a_pool_of_processes,
        "app INTERNAL outer marked",
        "app INTERNAL outer",
        before=("autotrace.instrumentation.process_pool_executor:addressed",),
    ),
    "subprocess": Scenario(
        start_a_program,
        "app INTERNAL outer marked",
        "app INTERNAL outer",
        before=("autotrace.instrumentation.subprocess:continued",),
    ),
    "os": Scenario(
        start_a_program_by_os,
        "app INTERNAL outer marked",
        "app INTERNAL outer",
        before=("autotrace.instrumentation.os:said", "autotrace.instrumentation.os:continued"),
    ),
}
"""By the module that a row patches."""
