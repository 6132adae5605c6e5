"""One unit of work for each row of the hook table, and the trace it leaves.

Imported by child interpreters before anything else is: libraries are imported by the functions.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class Scenario:
    """What to do with a patched module.

    Args:
        work: Given the URL of an echo server; returns what the application sees, as JSON has it. It must come
            out the same with tracing, without it, and with a broken one.
        trace: The spans that appear, as an indented tree of `scope KIND name` with what else matters.
        without: The spans that remain when the row's library is switched off.
        before: What to break so that our part before the original call fails, as `module:Class.name`.
        after: Likewise for our part after the call; nothing where there is none. Observers are broken always.
        says: How lines begin that appear on stderr beside.
    """

    def __init__(
        self,
        work: Callable[[str], Any],
        trace: str,
        without: str = "",
        before: tuple[str, ...] = (),
        after: tuple[str, ...] = (),
        says: tuple[str, ...] = (),
    ) -> None:
        self.work = work
        self.trace = trace
        self.without = without
        self.before = before
        self.after = after
        self.says = says


_START = ("autotrace.tracing.tracer:Tracer.start",)
_CLIENT_END = ("autotrace.instrumentation.http_client:HttpClient.finish",)


def answer_with_flask(_url: str) -> Any:
    import flask

    app = flask.Flask("shop")

    @app.get("/users/<int:number>")
    def user(number: int) -> str:
        return f"user {number}"

    @app.get("/broken")
    def broken() -> str:
        raise ValueError("no such thing")

    seen = []
    for path in ("/users/7", "/broken", "/nowhere"):
        with app.test_client().get(path) as answer:
            seen.append([answer.status_code, answer.text])
    return seen


def serve_with_wsgiref(_url: str) -> Any:
    import io
    from wsgiref.handlers import SimpleHandler
    from wsgiref.util import setup_testing_defaults

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [("date", "Sun, 06 Nov 1994 08:49:37 GMT")])
        return [environ["PATH_INFO"].encode()]

    environ: dict[str, Any] = {"PATH_INFO": "/users/7"}
    setup_testing_defaults(environ)
    sent = io.BytesIO()
    SimpleHandler(io.BytesIO(), sent, io.StringIO(), environ).run(application)
    return sent.getvalue().decode()


def follow_with_requests(url: str) -> Any:
    import requests

    answer = requests.get(f"{url}/redirect/1", timeout=10)
    return [answer.status_code, answer.url, [earlier.status_code for earlier in answer.history]]


def retry_with_a_pool(url: str) -> Any:
    import os
    from urllib.parse import urlsplit

    from urllib3 import HTTPConnectionPool
    from urllib3.util.retry import Retry

    peer = urlsplit(url)
    unlike_any_before = os.urandom(8).hex()
    retries = Retry(total=3, status_forcelist=[503], backoff_factor=0)
    with HTTPConnectionPool(peer.hostname, peer.port) as pool:
        return pool.request("GET", f"/flaky/1/{unlike_any_before}", retries=retries).status


def follow_with_a_pool_manager(url: str) -> Any:
    from urllib3 import PoolManager

    with PoolManager() as manager:
        answer = manager.request("GET", f"{url}/redirect/1")
        return [answer.status, answer.geturl()]


def get_with_http_client(url: str) -> Any:
    from http.client import HTTPConnection
    from urllib.parse import urlsplit

    connection = HTTPConnection(urlsplit(url).netloc, timeout=10)
    connection.request("GET", "/status/204")
    answer = connection.getresponse()
    connection.close()
    return [answer.status, answer.read().decode()]


def follow_with_urllib(url: str) -> Any:
    from urllib.request import urlopen

    with urlopen(f"{url}/redirect/1", timeout=10) as answer:
        return [answer.status, answer.geturl()]


def query_with_sqlite3(_url: str) -> Any:
    import sqlite3

    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE users (name TEXT)")
    cursor = connection.cursor()
    cursor.executemany("INSERT INTO users VALUES (?)", [["ada"], ["bob"]])
    try:
        cursor.execute("SELECT * FROM nowhere")
    except sqlite3.OperationalError as error:
        refused = str(error)
    found = cursor.execute("SELECT name FROM users WHERE name = 'ada'").fetchall()
    connection.close()
    return [found, refused]


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


def trace_by_hand(_url: str) -> Any:
    from opentelemetry import trace

    tracer = trace.get_tracer("app")
    done = []
    with tracer.start_as_current_span("work") as span:
        span.set_attribute("shelf", 7)
        done.append("worked")
    with trace.use_span(tracer.start_span("more work"), end_on_exit=True):
        done.append("worked more")
    return done


def propagate_by_hand(_url: str) -> Any:
    from opentelemetry import propagate, trace

    trace_id = "ff00aa11bb22cc330123456789abcdef"
    context = propagate.extract({"traceparent": f"00-{trace_id}-fedcba9876543210-01"})
    headers: dict[str, str] = {}
    with trace.get_tracer("app").start_as_current_span("work", context=context) as span:
        propagate.inject(headers)
        ours = type(propagate.get_global_textmap()).__module__.startswith("autotrace.")
        span.set_attribute("marked", ours and headers.get("traceparent", "")[3:35] == trace_id)
    return "worked"


def instrument_by_hand(_url: str) -> Any:
    import flask
    from opentelemetry.instrumentation.flask import FlaskInstrumentor

    app = flask.Flask("shop")

    @app.get("/users/<int:number>")
    def user(number: int) -> str:
        return f"user {number}"

    FlaskInstrumentor().instrument_app(app)
    with app.test_client().get("/users/7") as answer:
        return [answer.status_code, answer.text]


SCENARIOS = {
    "flask.app": Scenario(
        answer_with_flask,
        """
        autotrace.flask SERVER GET /users/<int:number>
        autotrace.flask SERVER GET /broken ERROR
        autotrace.flask SERVER GET
        """,
        before=_START,
        after=("autotrace.instrumentation.http_server:HttpServer.finish",),
    ),
    "wsgiref.handlers": Scenario(
        serve_with_wsgiref,
        "autotrace.wsgiref SERVER GET",
        before=_START,
        after=("autotrace.instrumentation.http_server:HttpServer.finish",),
    ),
    "requests.sessions": Scenario(
        follow_with_requests,
        """
        autotrace.urllib3 CLIENT GET
        autotrace.urllib3 CLIENT GET resend=1
        """,
        """
        autotrace.urllib3 CLIENT GET
        autotrace.urllib3 CLIENT GET
        """,
        before=_START,
        after=_CLIENT_END,
    ),
    "urllib3.connectionpool": Scenario(
        retry_with_a_pool,
        """
        autotrace.urllib3 CLIENT GET ERROR
        autotrace.urllib3 CLIENT GET resend=1
        """,
        """
        autotrace.http.client CLIENT GET ERROR
        autotrace.http.client CLIENT GET
        """,
        before=_START,
        after=_CLIENT_END,
    ),
    "urllib3.poolmanager": Scenario(
        follow_with_a_pool_manager,
        """
        autotrace.urllib3 CLIENT GET
        autotrace.urllib3 CLIENT GET resend=1
        """,
        """
        autotrace.http.client CLIENT GET
        autotrace.http.client CLIENT GET
        """,
        before=_START,
        after=_CLIENT_END,
    ),
    "http.client": Scenario(
        get_with_http_client, "autotrace.http.client CLIENT GET", before=_START, after=_CLIENT_END
    ),
    "urllib.request": Scenario(
        follow_with_urllib,
        """
        autotrace.http.client CLIENT GET
        autotrace.http.client CLIENT GET resend=1
        """,
        """
        autotrace.http.client CLIENT GET
        autotrace.http.client CLIENT GET
        """,
        before=_START,
        after=_CLIENT_END,
    ),
    "sqlite3": Scenario(
        query_with_sqlite3,
        """
        autotrace.sqlite3 CLIENT CREATE TABLE users
        autotrace.sqlite3 CLIENT BATCH INSERT users
        autotrace.sqlite3 CLIENT SELECT nowhere ERROR
        autotrace.sqlite3 CLIENT SELECT users
        """,
        before=("autotrace.instrumentation.sqlite3:namespace", *_START),
        after=("autotrace.tracing.span:Span.end",),
    ),
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
    "opentelemetry.trace": Scenario(
        trace_by_hand,
        """
        app INTERNAL work
        app INTERNAL more work
        """,
        before=_START,
    ),
    "opentelemetry.propagate": Scenario(
        propagate_by_hand,
        "app INTERNAL work marked",
        before=("autotrace.propagation.tracecontext:TraceContext.extract",),
        after=("autotrace.propagation.tracecontext:TraceContext.inject",),
    ),
    "opentelemetry.instrumentation.instrumentor": Scenario(
        instrument_by_hand,
        "opentelemetry.instrumentation.flask SERVER GET /users/<int:number>",
        """
        autotrace.flask SERVER GET /users/<int:number>
          opentelemetry.instrumentation.flask INTERNAL GET /users/<int:number>
        """,
        before=("autotrace.instrumentation.opentelemetry:notices.info",),
        says=("the application instruments flask with opentelemetry.instrumentation.flask",),
    ),
}
"""By the module that a row patches."""
