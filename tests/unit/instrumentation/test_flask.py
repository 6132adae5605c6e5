"""Flask and WSGI: one server span per request, whoever serves it and however the body ends."""

from __future__ import annotations

import gc
import io
import weakref
from wsgiref.handlers import SimpleHandler
from wsgiref.util import FileWrapper

import flask
import pytest
from flask import Flask
from instrumented import instrumented
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from werkzeug.test import EnvironBuilder, run_wsgi_app

from autotrace.instrumentation.wsgi import Wsgi
from autotrace.instrumentation.wsgi import traced as trace_wsgi

TRACE = "ff00aa11bb22cc330123456789abcdef"
TRACEPARENT = f"00-{TRACE}-fedcba9876543210-01"


def make_app():
    app = Flask(__name__)

    @app.get("/hello/<name>")
    def hello(name):
        return f"hi {name}"

    @app.get("/boom")
    def boom():
        raise ValueError("no")

    @app.get("/handled")
    def handled():
        raise KeyError("known")

    @app.errorhandler(KeyError)
    def on_key_error(_error):
        return "handled", 418

    @app.get("/stream")
    def stream():
        def chunks():
            with trace.get_tracer_provider().get_tracer("x").start_as_current_span("unused"):
                pass
            yield "a"
            seen.append(trace.get_current_span())
            yield "b"

        seen = app.extensions.setdefault("seen", [])
        return flask.Response(chunks())

    @app.get("/broken-stream")
    def broken_stream():
        def chunks():
            yield "a"
            raise RuntimeError("late")

        return flask.Response(chunks())

    return app


@pytest.fixture
def traced():
    with instrumented("wsgiref", "flask") as traced:
        yield traced


@pytest.fixture
def client():
    return make_app().test_client()


def get(client, path, **more):
    with client.get(path, **more) as response:
        return response.status_code, response.data


def test_whole_span(traced, client):
    headers = {"traceparent": TRACEPARENT, "user-agent": "test/1", "host": "shop.example:8080"}
    assert get(client, "/hello/you?q=1&token=secret", headers=headers) == (200, b"hi you")
    span = traced.span
    assert (span.name, span.kind) == ("GET /hello/<name>", SpanKind.SERVER)
    assert (f"{span.trace_id:032x}", f"{span.parent_id:016x}") == (TRACE, "fedcba9876543210")
    assert span.parent_is_remote
    assert span.status_code is StatusCode.UNSET
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "http.route": "/hello/<name>",
        "http.response.status_code": 200,
        "url.scheme": "http",
        "url.path": "/hello/you",
        "url.query": "q=1&token=REDACTED",
        "server.address": "shop.example",
        "server.port": 8080,
        "client.address": "127.0.0.1",
        "network.peer.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "test/1",
    }


def test_unhandled_exception(traced, client):
    assert get(client, "/boom")[0] == 500
    span = traced.span
    assert span.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "ValueError"
    (event,) = span.events
    assert event.attributes["exception.message"] == "no"
    assert "in boom" in event.attributes["exception.stacktrace"]


def test_handled_exception_is_no_error(traced, client):
    assert get(client, "/handled") == (418, b"handled")
    assert traced.span.status_code is StatusCode.UNSET
    assert traced.span.events == ()


def test_not_found_has_no_route_in_its_name(traced, client):
    assert get(client, "/nowhere/123")[0] == 404
    assert traced.span.name == "GET"
    assert "http.route" not in traced.span.attributes


def test_propagated_exception_keeps_its_traceback(traced, client):
    client.application.testing = True
    with pytest.raises(ValueError, match="no") as caught:
        client.get("/boom")
    assert caught.traceback[-1].name == "boom"
    assert traced.span.status_code is StatusCode.ERROR
    assert len(traced.span.events) == 1, "recorded once, by Flask's handler or where it leaves"


def test_streamed_body_runs_in_the_request(traced, client):
    assert get(client, "/stream")[1] == b"ab"
    span = traced.by_name("GET /stream")
    assert [seen.get_span_context().span_id for seen in client.application.extensions["seen"]] == [
        span.span_id
    ]
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_error_in_a_streamed_body(traced, client):
    with pytest.raises(RuntimeError):
        get(client, "/broken-stream")
    assert traced.span.attributes["error.type"] == "RuntimeError"


def test_body_closed_unread(traced, client):
    environ = EnvironBuilder("/stream").get_environ()
    body = client.application(environ, lambda *_args: None)
    assert traced.spans == []
    body.close()
    assert traced.span.name == "GET /stream"


def test_body_never_closed(traced, client):
    client.get("/hello/x")
    gc.collect()
    assert traced.span.name == "GET /hello/<name>"


def test_class_imported_before_the_hook(client):
    with instrumented("flask") as traced:  # `Flask` was imported, and the client made, long ago
        get(client, "/hello/x")
    assert len(traced.spans) == 1
    get(client, "/hello/x")
    assert len(traced.spans) == 1, "undone"


def test_a_request_leaves_nothing_for_the_garbage_collector(traced):
    class Marker:
        pass

    def app(environ, start_response):
        start_response("200 OK", [])
        yield b"x"

    gc.collect()
    gc.disable()
    try:
        environ = EnvironBuilder("/").get_environ()
        environ["marker"] = Marker()
        gone = weakref.ref(environ["marker"])
        body = trace_wsgi(app, Wsgi(traced.patchers[0], "wsgiref"))(environ, lambda *_args: None)
        assert list(body) == [b"x"]
        body.close()
        del environ, body
        assert gone() is None
    finally:
        gc.enable()


def test_request_inside_a_request_is_a_child(traced):
    app = make_app()

    @app.get("/outer")
    def outer():
        return app.test_client().get("/hello/x").data

    get(app.test_client(), "/outer")
    gc.collect()
    outer_span, inner = traced.by_name("GET /outer"), traced.by_name("GET /hello/<name>")
    assert inner.parent_id == outer_span.span_id


def test_excluded_with_its_children():
    with instrumented("flask", OTEL_PYTHON_FLASK_EXCLUDED_URLS="hello") as traced:
        app = make_app()

        @app.get("/hello-child")
        def child():
            with traced.tracer.start_as_current_span("child"):
                return "x"

        get(app.test_client(), "/hello-child")
        assert traced.spans == []
        get(app.test_client(), "/nowhere")
        assert len(traced.spans) == 1


@pytest.mark.parametrize("flags", ["00", "01"])
def test_disabled_sdk_passes_the_context_on(flags):
    with instrumented("flask", OTEL_SDK_DISABLED="true") as traced:
        app = make_app()
        seen = {}

        @app.get("/context")
        def context():
            traced.propagator.inject(seen)
            return "x"

        get(app.test_client(), "/context", headers={"traceparent": TRACEPARENT[:-2] + flags})
    assert seen == {"traceparent": TRACEPARENT[:-2] + flags}
    assert traced.spans == []


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "[::1]:80"},
        {"host": ":"},
        {"host": "a:b:c"},
        {"host": "x" * 100_000},
        {"x-forwarded-for": ",,,"},
        {"forwarded": "for=;;=,,proto"},
        {"traceparent": "00-" + "g" * 52},
        {"user-agent": "\xff" * 5000},
    ],
)
def test_hostile_headers(headers, traced, client):
    assert get(client, "/hello/x", headers=headers)[0] in {200, 400}, "as Flask alone answers"
    assert all(len(str(value)) <= 4096 for value in traced.span.attributes.values())


def test_forwarded_headers(traced, client):
    headers = {"forwarded": 'for="[2001:db8::1]:4711";proto=https;host=shop.example, for=10.0.0.1'}
    get(client, "/hello/x", headers=headers)
    attributes = traced.span.attributes
    assert attributes["client.address"] == "2001:db8::1"
    assert (attributes["url.scheme"], attributes["server.address"], attributes["server.port"]) == (
        "https",
        "shop.example",
        443,
    )


# Any WSGI application, by wsgiref's handler.


def serve(app, **environ):
    """One request through a real WSGI server handler; what was written to the socket."""
    output = io.BytesIO()
    base = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "SERVER_PROTOCOL": "HTTP/1.0", "HTTP_HOST": "h"}
    handler = SimpleHandler(io.BytesIO(), output, io.StringIO(), {**base, **environ})
    handler.wsgi_file_wrapper = FileWrapper
    handler.run(app)
    return output.getvalue()


def test_plain_wsgi_application(traced):
    def app(_environ, start_response):
        start_response("201 Created", [])
        return [b"x"]

    assert serve(app).endswith(b"x")
    assert traced.span.name == "GET"
    assert traced.span.attributes["http.response.status_code"] == 201


def test_content_length_is_still_computed(traced):
    def app(_environ, start_response):
        start_response("200 OK", [])
        return [b"four"]

    assert b"Content-Length: 4" in serve(app)


def test_file_wrapper_reaches_the_server(traced, monkeypatch):
    class Handler(SimpleHandler):
        wsgi_file_wrapper = FileWrapper

        def sendfile(self):
            sent.append(type(self.result))
            return False

    sent = []

    def app(environ, start_response):
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](io.BytesIO(b"file"))

    output = io.BytesIO()
    Handler(io.BytesIO(), output, io.StringIO(), {"REQUEST_METHOD": "GET"}).run(app)
    assert sent == [FileWrapper]
    assert len(traced.spans) == 1


def test_write_callable_and_exc_info_pass_through(traced):
    def app(_environ, start_response):
        write = start_response("200 OK", [])
        write(b"written ")
        return [b"returned"]

    assert serve(app).endswith(b"written returned")


def test_generator_application_is_closed_once(traced):
    closed = []

    class Body:
        def __iter__(self):
            yield b"a"
            yield b"b"

        def close(self):
            closed.append(True)

    def app(_environ, start_response):
        start_response("200 OK", [])
        return Body()

    assert serve(app).endswith(b"ab")
    assert closed == [True]
    assert len(traced.spans) == 1


def test_flask_inside_a_server_names_the_server_span(traced):
    assert b"hi you" in serve(make_app(), PATH_INFO="/hello/you")
    assert traced.span.name == "GET /hello/<name>"
    assert traced.span.instrumentation_scope.name == "autotrace.wsgiref"


def test_environ_may_be_used_again(traced, client):
    environ = EnvironBuilder("/hello/x").get_environ()
    for _ in range(2):
        run_wsgi_app(client.application, environ)[0].close()
        client.application(environ, lambda *_args: None).close()
    assert len(traced.spans) == 4
