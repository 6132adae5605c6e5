"""Programs written for jaeger-client and OpenTracing, unchanged: their spans are in our traces, once."""

from __future__ import annotations

import json

import pytest
from programs import collector

pytest.importorskip("jaeger_client", reason="without the extra `libraries`")

TRACE = "ff00aa11bb22cc330123456789abcdef"
SPAN = "fedcba9876543210"
CALLER = f"{TRACE}:{SPAN}:0:1"

SET_UP = """
    import jaeger_client, opentracing
    from jaeger_client import Config
    from opentracing.ext import tags
    from opentracing.propagation import Format

    tracer = Config(
        config={"sampler": {"type": "const", "param": 1}, "tags": {"team": "checkout"}, "logging": True},
        service_name="shop",
        validate=True,
    ).initialize_tracer()
"""

WEB = (
    SET_UP
    + """
    import os, requests
    from flask import Flask, g, request

    app = Flask("web")

    @app.before_request
    def before():
        context = tracer.extract(Format.HTTP_HEADERS, request.headers)
        g.span = tracer.start_span(
            f"serve {request.endpoint}",
            child_of=context,
            tags={tags.SPAN_KIND: tags.SPAN_KIND_RPC_SERVER, tags.HTTP_METHOD: request.method},
        )

    @app.after_request
    def after(response):
        g.span.set_tag(tags.HTTP_STATUS_CODE, response.status_code)
        g.span.finish()
        return response

    @app.get("/users/<int:number>")
    def user(number):
        with tracer.start_active_span("look up", child_of=g.span) as scope:
            scope.span.set_tag("number", number)
            scope.span.log_kv({"event": "cache miss", "key": number})
            span = tracer.start_span("call", tags={tags.SPAN_KIND: tags.SPAN_KIND_RPC_CLIENT})
            headers = {}
            with span:
                span.set_baggage_item("tenant", "acme")
                tracer.inject(span.context, Format.HTTP_HEADERS, headers)
                return requests.get(os.environ["ECHO"], headers=headers).text

    @app.get("/broken")
    def broken():
        with tracer.start_active_span("work"):
            raise ValueError("out of stock")

    import sys
    with app.test_client() as client:
        for path in sys.argv[1:]:
            with client.get(path, headers={"uber-trace-id": os.environ["CALLER"]}) as response:
                print(response.text)
    tracer.close()
"""
)


def test_a_flask_program(sandbox, arrivals):
    sandbox.write("web.py", WEB)
    done = sandbox.run("web.py", "/users/7", CALLER=CALLER, OTEL_SERVICE_NAME="", **arrivals.environ)
    assert (done.code, done.err) == (0, "")
    assert done.said == ["the program traces with jaeger_client: its spans are made and sent by autotrace"]
    assert arrivals.tree == (
        "shop autotrace.flask SERVER serve user\n"
        "  shop autotrace.jaeger_client INTERNAL look up\n"
        "    shop autotrace.jaeger_client CLIENT call\n"
        "    shop autotrace.urllib3 CLIENT GET\n"
    )
    server = arrivals.named("serve user")
    assert (server.trace_id, server.parent_id) == (TRACE, SPAN)
    assert server.attributes["http.route"] == "/users/<int:number>"
    assert server.attributes["http.response.status_code"] == 200
    assert (server.attributes["http.method"], server.attributes["http.status_code"]) == ("GET", 200)
    assert (server.resource["service.name"], server.resource["team"]) == ("shop", "checkout")
    assert arrivals.named("look up").attributes == {"number": 7}
    sent = dict(json.loads(done.out))
    client = arrivals.named("GET")
    assert sent["uber-trace-id"] == f"{TRACE}:{client.span_id}:0:1"
    assert sent["traceparent"].startswith(f"00-{TRACE}-{client.span_id}-")
    assert sent["uberctx-tenant"] == "acme"


def test_the_operator_names_the_service_and_the_formats(sandbox, arrivals):
    sandbox.write("web.py", WEB)
    done = sandbox.run(
        *("web.py", "/users/7"),
        **arrivals.environ,
        CALLER=CALLER,
        OTEL_SERVICE_NAME="named",
        OTEL_PROPAGATORS="tracecontext",
    )
    assert (done.code, done.err) == (0, "")
    server = arrivals.named("serve user")
    assert server.service == "named"
    assert server.trace_id != TRACE, "uber-trace-id is not to be read; the program's own reading is a link"


def test_an_exception_is_recorded_where_it_happened(sandbox, arrivals):
    sandbox.write("web.py", WEB)
    done = sandbox.run("web.py", "/broken", CALLER=CALLER, **arrivals.environ)
    assert done.code == 0
    assert "ValueError: out of stock" in done.err
    assert [(span.name, span.kind, span.failed) for span in arrivals.spans] == [
        ("serve broken", "SERVER", True),
        ("work", "INTERNAL", True),
    ]
    assert b"exception.stacktrace" in arrivals.raw


SCRIPT = (
    SET_UP
    + """
    import threading
    from opentelemetry import trace

    assert isinstance(tracer, jaeger_client.Tracer) and opentracing.global_tracer() is tracer
    assert Config.initialized()
    assert tracer.active_span is None
    assert not [thread.name for thread in threading.enumerate() if "jaeger" in thread.name.lower()]

    root = tracer.start_span("root", start_time=1700000000.5)
    assert isinstance(root, jaeger_client.Span) and root.is_sampled() and root.parent_id is None
    root.set_baggage_item("tenant", "acme")
    child = tracer.start_span("child", child_of=root.context)
    assert child.trace_id == root.trace_id and child.parent_id == root.span_id
    assert child.get_baggage_item("tenant") == "acme"
    follower = tracer.start_span("follower", references=opentracing.follows_from(child.context))
    with tracer.scope_manager.activate(child, finish_on_close=True) as scope:
        assert tracer.active_span is child and tracer.scope_manager.active is scope
        with trace.get_tracer("by hand").start_as_current_span("by hand"):
            assert tracer.active_span.span_id == trace.get_current_span().get_span_context().span_id
            tracer.start_span("inner").finish()
        with tracer.start_active_span("elsewhere", ignore_active_span=True):
            pass
        assert tracer.active_span is child
    assert tracer.active_span is None
    follower.set_operation_name("renamed").set_tag("error", True).set_tag("odd", [1]).log_kv({"event": "e"})
    follower.log(event="old", payload=1)
    follower.finish()
    root.finish(finish_time=1700000001.75)
    root.finish()

    binary = bytearray()
    tracer.inject(root.context, Format.BINARY, binary)
    assert tracer.extract(Format.BINARY, binary).span_id == root.span_id
    assert tracer.extract(Format.TEXT_MAP, {}) is None or not tracer.extract(Format.TEXT_MAP, {}).has_trace
    header = "00-ff00aa11bb22cc330123456789abcdef-fedcba9876543210-01"
    back = tracer.extract(Format.TEXT_MAP, {"Traceparent": header})
    assert (back.trace_id, back.span_id) == (0xff00aa11bb22cc330123456789abcdef, 0xfedcba9876543210)
    try:
        tracer.inject(root.context, "unheard of", {})
    except opentracing.UnsupportedFormatException:
        pass
    else:
        raise AssertionError
    tracer.close().result()
    print("done")
"""
)


def test_what_the_library_offers_works_as_it_did(sandbox):
    sandbox.write("script.py", SCRIPT)
    with collector() as arrivals:
        done = sandbox.run("script.py", **arrivals.environ)
    assert (done.code, done.out, done.err, len(done.said)) == (0, "done\n", "", 1)
    spans = {span.name: span for span in arrivals.spans}
    assert spans.keys() == {"root", "child", "by hand", "inner", "elsewhere", "renamed"}
    root = spans["root"]
    parents = {name: span.parent_id for name, span in spans.items()}
    assert parents["root"] == parents["elsewhere"] == ""
    assert parents["child"] == root.span_id
    assert parents["renamed"] == parents["by hand"] == spans["child"].span_id
    assert parents["inner"] == spans["by hand"].span_id
    assert spans["renamed"].failed
    assert spans["renamed"].attributes == {"odd": "[1]"}


def test_switched_off_the_program_traces_as_before(sandbox, arrivals):
    sandbox.write("script.py", SET_UP + "    print(type(tracer).__name__, type(tracer.reporter).__name__)")
    done = sandbox.run("script.py", **arrivals.environ, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="jaeger_client")
    assert (done.code, done.out) == (0, "Tracer CompositeReporter\n")
    assert arrivals.spans == []
