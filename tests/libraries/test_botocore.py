"""botocore and aiobotocore against a server that stands in for AWS: one span per API call."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from instrumented import instrumented
from opentelemetry.trace import SpanKind, StatusCode

session = pytest.importorskip("botocore.session", reason="without the extra `libraries`")
aio = pytest.importorskip("aiobotocore.session")
exceptions = pytest.importorskip("botocore.exceptions")

STACK = ("botocore", "aiobotocore", "urllib3", "http.client", "aiohttp-client")
KEYS = {"region_name": "eu-west-1", "aws_access_key_id": "a", "aws_secret_access_key": "b"}
MISSING = b"<Error><Code>NoSuchKey</Code><Message>it is gone</Message></Error>"


class Aws(BaseHTTPRequestHandler):
    """Answers with its next answer, at last with 200."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.rfile.read(int(self.headers.get("content-length") or 0))
        self.server.received.append(self.headers)
        status, body = self.server.answers.pop(0) if self.server.answers else (200, b"all of it")
        self.send_response(status)
        self.send_header("x-amz-request-id", f"request {len(self.server.received)}")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_POST = do_GET

    def log_message(self, *_args):
        pass


@contextmanager
def serving(*answers):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Aws)
    server.daemon_threads = True
    server.answers, server.received = list(answers), []
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def by_botocore(url, operation, **parameters):
    client = session.Session().create_client("s3", endpoint_url=url, **KEYS)
    try:
        answer = getattr(client, operation)(**parameters)
        return answer["Body"].read() if "Body" in answer else answer
    finally:
        client.close()


def by_aiobotocore(url, operation, **parameters):
    async def call():
        async with aio.get_session().create_client("s3", endpoint_url=url, **KEYS) as client:
            answer = await getattr(client, operation)(**parameters)
            return await answer["Body"].read() if "Body" in answer else answer

    return asyncio.run(call())


each_way = pytest.mark.parametrize("call", [by_botocore, by_aiobotocore], ids=lambda way: way.__name__)


@pytest.fixture
def traced():
    with instrumented(*STACK) as traced:
        yield traced


@each_way
def test_one_call_is_one_span_and_the_service_gets_its_id_outside_the_signature(call, traced):
    with serving() as aws, traced.tracer.start_as_current_span("caller") as caller:
        assert call(aws.url, "get_object", Bucket="shop", Key="one") == b"all of it"
    span, _ = traced.spans
    assert (span.name, span.kind, span.status_code) == ("S3.GetObject", SpanKind.CLIENT, StatusCode.UNSET)
    assert span.parent_id == caller.span_id
    assert dict(span.attributes) == {
        "rpc.system": "aws-api",
        "rpc.service": "S3",
        "rpc.method": "GetObject",
        "cloud.region": "eu-west-1",
        "server.address": "127.0.0.1",
        "server.port": aws.server_port,
        "aws.request_id": "request 1",
        "http.response.status_code": 200,
    }
    (headers,) = aws.received
    assert headers.get_all("traceparent") == [f"00-{span.trace_id:032x}-{span.span_id:016x}-03"]
    assert "SignedHeaders=" in headers["authorization"]
    assert "traceparent" not in headers["authorization"]


@each_way
def test_attempts_are_counted_on_the_span(call, traced):
    with serving((503, b""), (200, b"at last")) as aws:
        assert call(aws.url, "get_object", Bucket="shop", Key="one") == b"at last"
    assert traced.span.attributes["http.request.resend_count"] == 1
    assert traced.span.attributes["http.response.status_code"] == 200
    assert traced.span.status_code is StatusCode.UNSET
    assert len({headers["traceparent"] for headers in aws.received}) == 1


@each_way
def test_an_error_of_the_service_has_its_code(call, traced):
    with serving((404, MISSING)) as aws, pytest.raises(exceptions.ClientError):
        call(aws.url, "get_object", Bucket="shop", Key="gone")
    span = traced.span
    assert span.status_code is StatusCode.ERROR
    assert span.attributes["error.type"] == "NoSuchKey"
    assert span.attributes["http.response.status_code"] == 404
    assert span.attributes["aws.request_id"] == "request 1"


@each_way
def test_a_call_that_fails_before_it_is_sent(call, traced):
    with pytest.raises(exceptions.ParamValidationError):
        call("http://127.0.0.1:1", "get_object", Bucket="shop")
    assert traced.span.attributes["error.type"] == "botocore.exceptions.ParamValidationError"
    assert "http.response.status_code" not in traced.span.attributes


@each_way
def test_what_is_sent_stays_the_applications(call, traced):
    metadata = {"one": "1"}
    with serving((200, b"")) as aws:
        call(aws.url, "put_object", Bucket="shop", Key="one", Body=b"12", Metadata=metadata)
    assert metadata == {"one": "1"}
    assert traced.span.name == "S3.PutObject"
    assert aws.received[0]["x-amz-meta-one"] == "1"


@each_way
def test_hosts_that_may_not_receive_trace_headers(call):
    with serving() as aws, instrumented(*STACK, AUTOTRACE_PROPAGATE_TO=".amazonaws.com") as traced:
        call(aws.url, "get_object", Bucket="shop", Key="one")
    assert traced.span.name == "S3.GetObject"
    assert "traceparent" not in aws.received[0]


@each_way
def test_excluded_urls_make_no_span_and_get_no_headers(call):
    with serving() as aws, instrumented(*STACK, OTEL_PYTHON_BOTOCORE_EXCLUDED_URLS="127.0.0.1") as traced:
        call(aws.url, "get_object", Bucket="shop", Key="one")
    assert traced.spans == []
    assert "traceparent" not in aws.received[0]


@each_way
def test_xray(call):
    with serving() as aws, instrumented(*STACK, OTEL_PROPAGATORS="xray") as traced:
        call(aws.url, "get_object", Bucket="shop", Key="one")
    assert f"Parent={traced.span.span_id:016x}" in aws.received[0]["x-amzn-trace-id"]
    assert "x-amzn-trace-id" not in aws.received[0]["authorization"].lower()
