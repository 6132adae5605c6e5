"""tornado's clients against real servers: one span per exchange, and the application none the wiser."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest
from instrumented import instrumented
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

httpclient = pytest.importorskip("tornado.httpclient", reason="without the extra `libraries`")
curl_httpclient = pytest.importorskip("tornado.curl_httpclient")
simple_httpclient = pytest.importorskip("tornado.simple_httpclient")

SIMPLE = simple_httpclient.SimpleAsyncHTTPClient
CURL = curl_httpclient.CurlAsyncHTTPClient
STACK = ("tornado-client",)


@pytest.fixture
def traced():
    with instrumented(*STACK) as traced:
        yield traced


each_client = pytest.mark.parametrize("kind", [SIMPLE, CURL], ids=lambda kind: kind.__name__)


def run(kind, work, **options):
    """What `work` makes of a client."""

    async def main():
        client = kind(force_instance=True, **options)
        try:
            return await work(client)
        finally:
            client.close()

    return asyncio.run(main())


def get(kind, url, **more):
    return run(kind, lambda client: client.fetch(url, **more))


def clients(traced):
    return [span for span in traced.spans if span.kind is SpanKind.CLIENT]


@each_client
def test_one_exchange_is_one_client_span_whose_id_the_server_gets(kind, echo_url, traced):
    mine = {"X-Mine": "1", "Traceparent": "stale"}
    request = httpclient.HTTPRequest(echo_url + "/echo?a=1&password=x", headers=mine)
    for _ in range(2):
        answer = get(kind, request)
        span = traced.spans[-1]
        received = json.loads(answer.body)
        assert [value for name, value in received if name == "traceparent"] == [
            f"00-{span.trace_id:032x}-{span.span_id:016x}-03"
        ]
        assert ["x-mine", "1"] in received
        assert answer.request is request
        assert request.headers["traceparent"] == "stale"
    assert mine == {"X-Mine": "1", "Traceparent": "stale"}
    host, port = echo_url[len("http://") :].split(":")
    assert (span.name, span.kind, span.status_code) == ("GET", SpanKind.CLIENT, StatusCode.UNSET)
    version = {"network.protocol.version": "1.1"} if kind is SIMPLE else {}  # libcurl is not asked
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "url.full": echo_url + "/echo?a=1&password=REDACTED",
        "server.address": host,
        "server.port": int(port),
        "http.response.status_code": 200,
        **version,
    }


def test_redirects_are_siblings_with_a_count_also_when_they_wait_in_the_queue(echo_url, traced):
    async def call(client, name):
        with traced.tracer.start_as_current_span(name) as caller:
            answer = await client.fetch(echo_url + "/redirect/2")
            assert trace.get_current_span() is caller
            sent = dict(json.loads(answer.body))["traceparent"]
            return caller.span_id, sent

    async def work(client):
        return await asyncio.gather(*(call(client, f"caller {number}") for number in range(5)))

    for caller, sent in run(SIMPLE, work, max_clients=2):
        hops = [span for span in clients(traced) if span.parent_id == caller]
        assert [span.attributes.get("http.request.resend_count") for span in hops] == [None, 1, 2]
        assert [span.attributes["http.response.status_code"] for span in hops] == [302, 302, 200]
        assert sent.split("-")[2] == f"{hops[2].span_id:016x}"
    assert len(clients(traced)) == 15


@each_client
def test_one_request_object_sent_twice_at_a_time(kind, echo_url, traced):
    request = httpclient.HTTPRequest(echo_url + "/echo", headers={"X-Mine": "1"})

    async def work(client):
        return await asyncio.gather(client.fetch(request), client.fetch(request))

    answers = [dict(json.loads(answer.body)) for answer in run(kind, work)]
    sent = {answer["traceparent"].split("-")[2] for answer in answers}
    assert sent == {f"{span.span_id:016x}" for span in traced.spans}
    assert len(sent) == 2
    assert "traceparent" not in request.headers
    assert request.headers["X-Mine"] == "1"


def test_a_redirect_to_a_host_that_may_not_receive_trace_headers(echo_url):
    with instrumented(*STACK, AUTOTRACE_PROPAGATE_TO="localhost") as traced:
        told = echo_url.replace("127.0.0.1", "localhost")
        assert "traceparent" in dict(json.loads(get(SIMPLE, told + "/echo").body))
        target = httpclient.HTTPRequest(f"{told}/moved?{echo_url}/echo")
        assert "traceparent" not in dict(json.loads(get(SIMPLE, target).body))
    assert [span.attributes["server.address"] for span in traced.spans] == [
        "localhost",
        "localhost",
        "127.0.0.1",
    ]


@each_client
@pytest.mark.parametrize("status", [404, 503])
def test_an_answer_that_is_an_error(kind, status, echo_url, traced):
    with pytest.raises(httpclient.HTTPClientError):
        get(kind, f"{echo_url}/status/{status}")
    assert traced.span.attributes["error.type"] == str(status)
    assert traced.span.attributes["http.response.status_code"] == status
    assert traced.span.status_code is StatusCode.ERROR
    assert not traced.span.events


@each_client
def test_failures_are_recorded_and_reach_the_application(kind, echo_url, traced):
    with socket.socket() as unused, socket.create_server(("127.0.0.1", 0)) as silent:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises((OSError, httpclient.HTTPClientError)) as refused:
            get(kind, f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(httpclient.HTTPClientError) as timed_out:
            get(kind, f"http://127.0.0.1:{silent.getsockname()[1]}", request_timeout=0.2)
        with pytest.raises(ValueError, match="Body must"):
            get(kind, echo_url, method="POST")
    types = [span.attributes["error.type"] for span in traced.spans]
    names = [type(caught.value).__qualname__ for caught in (refused, timed_out)]
    assert [name.rpartition(".")[2] for name in types] == [*names, "ValueError"]
    assert {span.status_code for span in traced.spans} == {StatusCode.ERROR}


def test_a_streamed_response_ends_its_span_with_the_head(echo_url, traced):
    ended = []

    def chunk(_data):
        ended.append(len(clients(traced)))

    get(SIMPLE, echo_url + "/echo", streaming_callback=chunk)
    assert set(ended) == {1}


@each_client
def test_excluded_urls_make_no_span_and_get_no_headers(kind, echo_url):
    with instrumented(*STACK, OTEL_PYTHON_TORNADO_CLIENT_EXCLUDED_URLS="echo.secret") as traced:
        assert "traceparent" not in dict(json.loads(get(kind, echo_url + "/echo?secret").body))
        assert traced.spans == []


@each_client
def test_captured_headers(kind, echo_url):
    request = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST"
    response = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE"
    with instrumented(*STACK, **{request: "x-one,authorization", response: "x-answer"}) as traced:
        get(kind, echo_url + "/echo", headers={"X-One": "1", "Authorization": "no"})
    attributes = traced.span.attributes
    assert list(attributes["http.request.header.x-one"]) == ["1"]
    assert list(attributes["http.request.header.authorization"]) == ["[REDACTED]"]
    assert list(attributes["http.response.header.x-answer"]) == ["yes"]
