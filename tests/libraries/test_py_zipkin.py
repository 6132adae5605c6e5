"""Programs written for py_zipkin, unchanged: their spans are in our traces, once."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("py_zipkin", reason="without the extra `libraries`")

TRACE = "ff00aa11bb22cc330123456789abcdef"
SPAN = "fedcba9876543210"

WEB = """
    import os, requests, sys
    from flask import Flask, request
    from py_zipkin.request_helpers import create_http_headers, extract_zipkin_attrs_from_headers
    from py_zipkin.transport import BaseTransportHandler
    from py_zipkin.zipkin import zipkin_client_span, zipkin_server_span, zipkin_span

    class Transport(BaseTransportHandler):
        def get_max_payload_bytes(self):
            return None
        def send(self, payload):
            print("sent by the program itself", file=sys.stderr)

    app = Flask("web")

    @zipkin_span(service_name="web", span_name="price")
    def price(number):
        return number * 2

    @app.get("/users/<int:number>")
    def user(number):
        with zipkin_server_span(
            service_name="web",
            span_name="serve user",
            zipkin_attrs=extract_zipkin_attrs_from_headers(request.headers),
            transport_handler=Transport(),
            port=5000,
            sample_rate=100.0,
        ) as server:
            server.update_binary_annotations({"number": number})
            price(number)
            with zipkin_client_span(service_name="web", span_name="call") as client:
                client.add_sa_binary_annotation(port=7, service_name="echo", host="127.0.0.1")
                client.add_annotation("about to call")
                return requests.get(os.environ["ECHO"], headers=create_http_headers()).text

    @app.get("/broken")
    def broken():
        with zipkin_span(service_name="web", span_name="work"):
            raise ValueError("out of stock")

    b3 = {"X-B3-TraceId": "%s", "X-B3-SpanId": "%s", "X-B3-Sampled": "1"}
    with app.test_client() as client:
        for path in sys.argv[1:]:
            with client.get(path, headers=b3) as response:
                print(response.text)
""".replace("%s", TRACE, 1).replace("%s", SPAN, 1)


def test_a_flask_program(sandbox, arrivals):
    sandbox.write("web.py", WEB)
    done = sandbox.run("web.py", "/users/7", OTEL_SERVICE_NAME="", **arrivals.environ)
    assert (done.code, done.err) == (0, "")
    assert done.said == ["the program traces with py_zipkin: its spans are made and sent by autotrace"]
    assert [span.service for span in arrivals.spans][1:] == ["web", "web", "web"]
    server = arrivals.named("serve user")
    assert (server.kind, server.trace_id, server.parent_id) == ("SERVER", TRACE, SPAN)
    assert (server.attributes["number"], server.attributes["http.response.status_code"]) == ("7", 200)
    call, price, get = (arrivals.named(name) for name in ("call", "price", "GET"))
    assert (call.kind, price.kind) == ("CLIENT", "INTERNAL")
    assert call.parent_id == price.parent_id == server.span_id
    assert get.parent_id == call.span_id
    peer = (
        call.attributes["peer.service"],
        call.attributes["server.address"],
        call.attributes["server.port"],
    )
    assert peer == ("echo", "127.0.0.1", 7)
    assert b"about to call" in arrivals.raw
    sent = dict(json.loads(done.out))
    assert (sent["x-b3-traceid"], sent["x-b3-spanid"], sent["x-b3-sampled"]) == (TRACE, get.span_id, "1")


def test_an_exception_is_recorded_where_it_happened(sandbox, arrivals):
    sandbox.write("web.py", WEB)
    done = sandbox.run("web.py", "/broken", **arrivals.environ)
    assert done.code == 0
    assert "ValueError: out of stock" in done.err
    assert [(span.name, span.kind, span.failed) for span in arrivals.spans] == [
        ("GET /broken", "SERVER", True),
        ("work", "INTERNAL", True),
    ]


SCRIPT = """
    from py_zipkin.request_helpers import create_http_headers
    from py_zipkin.storage import get_default_tracer
    from py_zipkin.zipkin import zipkin_span

    def transport(payload):
        raise AssertionError("sent by the program itself")

    with zipkin_span(service_name="job", span_name="outside of any trace") as outside:
        assert outside.zipkin_attrs is None
    with zipkin_span(
        service_name="job", span_name="root", transport_handler=transport, sample_rate=100.0,
        timestamp=1700000000.5, duration=2.25, binary_annotations={"shelf": "7"},
    ) as root:
        attrs = get_default_tracer().get_zipkin_attrs()
        assert attrs == root.zipkin_attrs and attrs.parent_span_id is None and attrs.is_sampled
        root.override_span_name("renamed")
        headers = create_http_headers()
        assert headers["X-B3-TraceId"] == attrs.trace_id
    assert get_default_tracer().get_zipkin_attrs() is None
    print("done")
"""


def test_what_the_library_offers_works_as_it_did(sandbox, arrivals):
    sandbox.write("script.py", SCRIPT)
    done = sandbox.run("script.py", **arrivals.environ)
    assert (done.code, done.out, done.err, len(done.said)) == (0, "done\n", "", 1)
    (span,) = arrivals.spans
    assert (span.name, span.parent_id, span.attributes) == ("renamed", "", {"shelf": "7"})


def test_switched_off_the_program_traces_as_before(sandbox, arrivals):
    sandbox.write("web.py", WEB)
    done = sandbox.run(
        *("web.py", "/users/7"), **arrivals.environ, OTEL_PYTHON_DISABLED_INSTRUMENTATIONS="py_zipkin"
    )
    assert (done.code, done.err) == (0, "sent by the program itself\n")
    assert {span.name for span in arrivals.spans} == {"GET", "GET /users/<int:number>"}
