"""HTTP clients against a real server: one span per exchange, and its ids in the headers that arrive."""

from __future__ import annotations

import http.client
import json
import socket
import urllib.error
import urllib.request

import pytest
import requests
import urllib3
from echo import echo_server
from instrumented import instrumented
from opentelemetry.trace import SpanKind, StatusCode

STACK = ("requests", "urllib3", "urllib", "http.client")


@pytest.fixture(scope="module")
def url():
    with echo_server() as address:
        yield address


@pytest.fixture
def traced():
    with instrumented(*STACK) as traced:
        yield traced


def by_requests(url, headers=None):
    return requests.get(url, headers=headers, timeout=5).status_code


def by_urllib3(url, headers=None):
    return urllib3.PoolManager().request("GET", url, headers=headers).status


def by_urllib(url, headers=None):
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers or {}), timeout=5
        ) as response:
            return response.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


def by_http_client(url, headers=None):
    host, _, path = url[len("http://") :].partition("/")
    connection = http.client.HTTPConnection(host, timeout=5)
    connection.request("GET", "/" + path, headers=headers or {})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


CLIENTS = [by_requests, by_urllib3, by_urllib, by_http_client]
each_client = pytest.mark.parametrize("get", CLIENTS, ids=lambda function: function.__name__)


def echoed(client, url, **more):
    """The headers the server got, as a list of pairs."""
    if client is by_requests:
        return requests.get(url, timeout=5, **more).json()
    if client is by_urllib3:
        return json.loads(urllib3.PoolManager().request("GET", url, **more).data)
    if client is by_urllib:
        with urllib.request.urlopen(urllib.request.Request(url, **more), timeout=5) as response:
            return json.load(response)
    connection = http.client.HTTPConnection(url[len("http://") :].partition("/")[0], timeout=5)
    connection.request("GET", "/echo", **more)
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return answer


@each_client
def test_one_exchange_is_one_client_span(get, url, traced):
    assert get(url + "/echo?a=1") == 200
    span = traced.span
    host, port = url[len("http://") :].split(":")
    assert (span.name, span.kind, span.status_code) == ("GET", SpanKind.CLIENT, StatusCode.UNSET)
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "url.full": url + "/echo?a=1",
        "server.address": host,
        "server.port": int(port),
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
    }


@each_client
def test_server_receives_the_id_of_the_client_span(get, url, traced):
    """The parent that travels on the wire is the span we recorded, not merely some header."""
    received = [value for name, value in echoed(get, url + "/echo") if name == "traceparent"]
    assert received == [f"00-{traced.span.trace_id:032x}-{traced.span.span_id:016x}-03"]


@each_client
def test_headers_of_the_application_stay_as_they_are(get, url, traced):
    shared = {"X-Mine": "1", "Traceparent": "stale"}
    for _ in range(2):
        received = echoed(get, url + "/echo", headers=shared)
        assert next(value for name, value in received if name == "traceparent").startswith("00-")
        assert len([name for name, _value in received if name == "traceparent"]) == 1
        assert ["x-mine", "1"] in received
    assert shared == {"X-Mine": "1", "Traceparent": "stale"}
    first, second = traced.spans
    assert first.span_id != second.span_id


@each_client
@pytest.mark.parametrize(("status", "failed"), [(404, True), (500, True), (204, False)])
def test_status(get, status, failed, url, traced):
    get(f"{url}/status/{status}")
    span = traced.span
    assert span.attributes["http.response.status_code"] == status
    assert span.status_code is (StatusCode.ERROR if failed else StatusCode.UNSET)
    assert span.attributes.get("error.type") == (str(status) if failed else None)


@each_client
def test_connection_errors_are_recorded_and_reach_the_application(get, traced):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(Exception) as caught:
            get(f"http://127.0.0.1:{port}/")
    assert traced.spans, caught
    for span in traced.spans:
        assert span.status_code is StatusCode.ERROR
        assert span.attributes["error.type"]
        assert span.events[0].name == "exception"
        assert "http.response.status_code" not in span.attributes


@pytest.mark.parametrize("get", [by_requests, by_urllib3, by_urllib])
def test_redirects_are_siblings_with_a_count(get, url, traced):
    with traced.tracer.start_as_current_span("caller") as caller:
        assert get(url + "/redirect/2") == 200
    hops = [span for span in traced.spans if span.kind is SpanKind.CLIENT]
    assert [span.attributes.get("http.request.resend_count") for span in hops] == [None, 1, 2]
    assert {span.parent_id for span in hops} == {caller.span_id}
    assert [span.attributes["http.response.status_code"] for span in hops] == [302, 302, 200]


def test_retries_are_siblings_with_a_count(url, traced):
    session = requests.Session()
    retry = urllib3.Retry(3, status_forcelist=[503], backoff_factor=0)
    session.mount("http://", requests.adapters.HTTPAdapter(max_retries=retry))
    with traced.tracer.start_as_current_span("caller") as caller:
        assert session.get(url + "/flaky/2", timeout=5).status_code == 200
    session.close()
    tries = [span for span in traced.spans if span.kind is SpanKind.CLIENT]
    assert [span.attributes["http.response.status_code"] for span in tries] == [503, 503, 200]
    assert [span.attributes.get("http.request.resend_count") for span in tries] == [None, 1, 2]
    assert {span.parent_id for span in tries} == {caller.span_id}


def test_two_requests_in_a_row_are_no_resends(url, traced):
    with requests.Session() as session:
        session.get(url + "/echo", timeout=5)
        session.get(url + "/echo", timeout=5)
    assert [span.attributes.get("http.request.resend_count") for span in traced.spans] == [None, None]


def test_credentials_and_signatures_do_not_leave_the_process(url, traced):
    by_urllib3(url + "/echo?X-Amz-Signature=abc&sig=def&password=ghi&q=ok")
    assert traced.span.attributes["url.full"].endswith(
        "/echo?X-Amz-Signature=REDACTED&sig=REDACTED&password=REDACTED&q=ok"
    )


def test_excluded_urls_are_not_traced_in_any_layer(url):
    with instrumented(*STACK, OTEL_PYTHON_REQUESTS_EXCLUDED_URLS="/secret") as traced:
        by_requests(url + "/secret")
        assert traced.spans == []
        by_requests(url + "/echo")
        by_urllib3(url + "/secret")
    assert len(traced.spans) == 2


@each_client
def test_hosts_that_may_not_receive_trace_headers(get, url):
    shared = {"X-Mine": "1", "Traceparent": "mine"}
    with instrumented(*STACK, AUTOTRACE_PROPAGATE_TO="localhost,.internal") as traced:
        kept = dict(echoed(get, url + "/echo", headers=shared))
        told = dict(echoed(get, url.replace("127.0.0.1", "localhost") + "/echo"))
    assert kept["traceparent"] == "mine"
    assert told["traceparent"].startswith("00-")
    assert [span.attributes["http.response.status_code"] for span in traced.spans] == [200, 200]


@pytest.mark.parametrize(
    ("get", "library"), [(by_urllib3, "URLLIB3"), (by_urllib, "URLLIB"), (by_http_client, "HTTP_CLIENT")]
)
def test_excluded_urls_of_one_library(get, library, url):
    with instrumented(*STACK, **{f"OTEL_PYTHON_{library}_EXCLUDED_URLS": "/echo.secret"}) as traced:
        assert get(url + "/echo?secret") == 200
        assert traced.spans == []
        assert get(url + "/echo?open") == 200
    assert traced.span.attributes["url.full"] == url + "/echo?open"


@pytest.mark.parametrize("get", [by_requests, by_urllib3, by_urllib])
def test_a_redirect_to_a_host_that_may_not_receive_trace_headers(get, url):
    allowed = url.replace("127.0.0.1", "localhost")
    with instrumented(*STACK, AUTOTRACE_PROPAGATE_TO="localhost") as traced:
        answer = dict(echoed(get, f"{allowed}/moved?{url}/echo"))
    assert "traceparent" not in answer
    assert [span.attributes["server.address"] for span in traced.spans] == ["localhost", "127.0.0.1"]


def test_headers_are_captured_on_demand_and_redacted(url):
    with instrumented(
        *STACK,
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST="x-.*,authorization",
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE="x-answer",
        OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS="hidden",
    ) as traced:
        by_requests(url + "/echo", {"X-Shown": "a", "X-Hidden": "b", "Authorization": "Bearer c"})
    attributes = traced.span.attributes
    assert attributes["http.request.header.x-shown"] == ["a"]
    assert attributes["http.request.header.x-hidden"] == ["[REDACTED]"]
    assert attributes["http.request.header.authorization"] == ["[REDACTED]"]
    assert attributes["http.response.header.x-answer"] == ["yes"]


def test_old_names_are_repeated_on_demand(url):
    with instrumented(*STACK, OTEL_SEMCONV_STABILITY_OPT_IN="http/dup") as traced:
        by_requests(url + "/echo")
    attributes = traced.span.attributes
    assert attributes["http.method"] == attributes["http.request.method"] == "GET"
    assert attributes["http.status_code"] == 200
    assert attributes["http.url"] == url + "/echo"
    assert attributes["net.peer.name"] == "127.0.0.1"


def test_unsampled_requests_still_carry_their_trace(url):
    with instrumented(*STACK, OTEL_TRACES_SAMPLER="always_off") as traced:
        received = dict(echoed(by_requests, url + "/echo"))
    assert traced.spans == []
    assert received["traceparent"].endswith("-02")


def test_disabled_sdk_passes_nothing_of_its_own(url):
    with instrumented(*STACK, OTEL_SDK_DISABLED="true") as traced:
        assert "traceparent" not in dict(echoed(by_requests, url + "/echo"))
    assert traced.spans == []


def test_no_propagators_no_headers(url):
    with instrumented(*STACK, OTEL_PROPAGATORS="none") as traced:
        assert "traceparent" not in dict(echoed(by_requests, url + "/echo"))
    assert len(traced.spans) == 1


def test_put_headers_by_hand_are_replaced(url, traced):
    connection = http.client.HTTPConnection(url[len("http://") :], timeout=5)
    connection.putrequest("GET", "/echo")
    connection.putheader("TraceParent", "00-stale")
    connection.putheader("X-Mine", "1")
    connection.endheaders()
    received = json.loads(connection.getresponse().read())
    connection.close()
    assert ["x-mine", "1"] in received
    assert [value for name, value in received if name == "traceparent"] == [
        f"00-{traced.span.trace_id:032x}-{traced.span.span_id:016x}-03"
    ]


def test_a_response_never_asked_for_ends_with_the_next_request(url, traced):
    connection = http.client.HTTPConnection(url[len("http://") :], timeout=5)
    connection.request("GET", "/echo")
    connection.close()
    connection.request("GET", "/echo")
    connection.getresponse().read()
    connection.close()
    first, second = traced.spans
    assert "http.response.status_code" not in first.attributes
    assert second.attributes["http.response.status_code"] == 200


def test_unknown_methods(url, traced):
    requests.request("PURGE", url + "/echo", timeout=5)
    assert traced.span.name == "HTTP"
    assert traced.span.attributes["http.request.method"] == "_OTHER"
    assert traced.span.attributes["http.request.method_original"] == "PURGE"


def test_exceptions_keep_their_traceback(traced):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(requests.ConnectionError) as caught:
            requests.get(f"http://127.0.0.1:{unused.getsockname()[1]}/", timeout=5)
    functions = [entry.name for entry in caught.traceback]
    assert functions[-1] == "send"
    assert caught.value.request is not None
