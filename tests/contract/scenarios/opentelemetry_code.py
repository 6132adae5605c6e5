"""One unit of work for each door of OpenTelemetry that applications use by themselves."""

from __future__ import annotations

from scenarios.scenario import START, Scenario

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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


def trace_with_jaeger_client(_url: str) -> Any:
    from jaeger_client import Config

    tracer = Config({"logging": False}, service_name="shop").new_tracer()
    with tracer.start_active_span("work", tags={"shelf": 7}) as scope:
        is_active = tracer.active_span is scope.span
    tracer.close()
    return [is_active, tracer.active_span is None]


def trace_with_py_zipkin(_url: str) -> Any:
    from py_zipkin.request_helpers import create_http_headers
    from py_zipkin.transport import BaseTransportHandler
    from py_zipkin.zipkin import zipkin_span

    class Nowhere(BaseTransportHandler):
        def get_max_payload_bytes(self) -> None:
            return None

        def send(self, _payload: bytes) -> None:
            pass

    nowhere = Nowhere()
    root = zipkin_span(service_name="shop", span_name="work", transport_handler=nowhere, sample_rate=100.0)
    with root, zipkin_span(service_name="shop", span_name="inner"):
        return sorted(create_http_headers())


def send_to_sentry(url: str) -> Any:
    import threading

    import urllib3
    from sentry_sdk.worker import BackgroundWorker

    sent: list[Any] = []
    done = threading.Event()

    def send() -> None:
        sent.append(urllib3.PoolManager().request("POST", url).status)
        done.set()

    worker = BackgroundWorker()
    worker.submit(send)
    done.wait(30)
    worker.kill()
    return sent


SCENARIOS = {
    "sentry_sdk.worker": Scenario(send_to_sentry, "", without="autotrace.urllib3 CLIENT POST"),
    "py_zipkin.zipkin": Scenario(
        trace_with_py_zipkin,
        """
        autotrace.py_zipkin INTERNAL work
          autotrace.py_zipkin INTERNAL inner
        """,
        before=START,
        says=("the program traces with py_zipkin",),
    ),
    "jaeger_client.config": Scenario(
        trace_with_jaeger_client,
        """
        autotrace.jaeger_client INTERNAL work
        """,
        before=START,
        says=("the program traces with jaeger_client",),
    ),
    "opentelemetry.trace": Scenario(
        trace_by_hand,
        """
        app INTERNAL work
        app INTERNAL more work
        """,
        before=START,
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
