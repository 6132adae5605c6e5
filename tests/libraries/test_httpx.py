"""httpx and httpcore against real servers: one span per exchange, and the application none the wiser."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

import pytest
from instrumented import instrumented
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

httpx = pytest.importorskip("httpx", reason="without the extra `libraries`")
httpcore = pytest.importorskip("httpcore")
trio = pytest.importorskip("trio")

STACK = ("httpx", "httpcore")


@pytest.fixture
def traced():
    with instrumented(*STACK) as traced:
        yield traced


@pytest.fixture
def silent():
    """A server that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.fixture
def closed_url():
    """Where nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield url_of(unused)


@pytest.fixture
def http2_url():
    """Of a server that speaks HTTP/2 in clear text, and answers with the headers it got."""
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    async def app(scope, receive, send):
        if scope["type"] != "http":
            raise NotImplementedError
        lines = b"\n".join(name + b": " + value for name, value in scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": lines})

    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    stop = threading.Event()

    async def main():
        await serve(app, config, shutdown_trigger=lambda: asyncio.to_thread(stop.wait))

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    yield f"http://127.0.0.1:{port}"
    stop.set()
    thread.join()


def url_of(server):
    return f"http://127.0.0.1:{server.getsockname()[1]}"


def by_client(url, method="GET", **more):
    options = {name: more.pop(name) for name in ("auth", "transport", "timeout") if name in more}
    with httpx.Client(follow_redirects=True, trust_env=False, **options) as client:
        return client.request(method, url, **more)


async def _by_async_client(url, method, more):
    options = {name: more.pop(name) for name in ("auth", "transport", "timeout") if name in more}
    async with httpx.AsyncClient(follow_redirects=True, trust_env=False, **options) as client:
        return await client.request(method, url, **more)


def by_asyncio(url, method="GET", **more):
    return asyncio.run(_by_async_client(url, method, more))


def by_trio(url, method="GET", **more):
    return trio.run(_by_async_client, url, method, more)


each_way = pytest.mark.parametrize("get", [by_client, by_asyncio, by_trio], ids=lambda way: way.__name__)


def clients(traced):
    return [span for span in traced.spans if span.kind is SpanKind.CLIENT]


@each_way
def test_one_exchange_is_one_client_span_whose_id_the_server_gets(get, echo_url, traced):
    mine = {"X-Mine": "1", "Traceparent": "stale"}
    answer = get(echo_url + "/echo?a=1&password=x", headers=mine)
    span = traced.span
    host, port = echo_url[len("http://") :].split(":")
    assert (span.name, span.kind, span.status_code) == ("GET", SpanKind.CLIENT, StatusCode.UNSET)
    assert dict(span.attributes) == {
        "http.request.method": "GET",
        "url.full": echo_url + "/echo?a=1&password=REDACTED",
        "server.address": host,
        "server.port": int(port),
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
    }
    received = [value for name, value in answer.json() if name == "traceparent"]
    assert received == [f"00-{span.trace_id:032x}-{span.span_id:016x}-03"]
    assert ["x-mine", "1"] in answer.json()
    # What the application holds says what the application said.
    assert mine == {"X-Mine": "1", "Traceparent": "stale"}
    assert answer.request.headers["traceparent"] == "stale"


@each_way
def test_redirects_are_siblings_with_a_count(get, echo_url, traced):
    with traced.tracer.start_as_current_span("caller") as caller:
        assert get(echo_url + "/redirect/2").status_code == 200
        assert get(echo_url + "/echo").status_code == 200
    hops = clients(traced)
    assert [span.attributes.get("http.request.resend_count") for span in hops] == [None, 1, 2, None]
    assert [span.attributes["http.response.status_code"] for span in hops] == [302, 302, 200, 200]
    assert {span.parent_id for span in hops} == {caller.span_id}


@each_way
def test_what_an_authentication_sends_is_a_sibling_too(get, echo_url, traced):
    class Login(httpx.Auth):
        def auth_flow(self, request):
            yield httpx.Request("POST", echo_url + "/status/401")
            yield request

    assert get(echo_url + "/echo", auth=Login()).status_code == 200
    login, call = traced.spans
    assert (login.name, login.attributes["error.type"]) == ("POST", "401")
    assert (call.name, call.attributes["http.request.resend_count"]) == ("GET", 1)
    assert not login.parent_id and not call.parent_id


@each_way
def test_failures_are_recorded_and_reach_the_application(get, closed_url, silent, traced):
    with pytest.raises(httpx.ConnectError):
        get(closed_url)
    with pytest.raises(httpx.ReadTimeout):
        get(url_of(silent), timeout=httpx.Timeout(60, read=0.05))
    refused, timed_out = traced.spans
    assert refused.attributes["error.type"] == "httpcore.ConnectError"
    assert timed_out.attributes["error.type"] == "httpcore.ReadTimeout"
    assert {span.status_code for span in traced.spans} == {StatusCode.ERROR}
    assert not any("http.response.status_code" in span.attributes for span in traced.spans)


def test_a_request_that_is_no_http_makes_no_span(traced):
    with pytest.raises(httpx.UnsupportedProtocol):
        by_client("gopher://127.0.0.1/")
    with pytest.raises(httpcore.UnsupportedProtocol), httpcore.ConnectionPool() as pool:
        pool.request("GET", "gopher://127.0.0.1/")
    assert traced.spans == []


def test_a_cancelled_task_has_not_failed(silent, traced):
    silent.setblocking(False)

    async def asyncio_main():
        async with httpx.AsyncClient(trust_env=False) as client:
            task = asyncio.create_task(client.get(url_of(silent), timeout=60))
            loop = asyncio.get_running_loop()
            connection, _ = await loop.sock_accept(silent)
            await loop.sock_recv(connection, 1)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            connection.close()

    async def trio_main():
        async with httpx.AsyncClient(trust_env=False) as client, trio.open_nursery() as nursery:
            nursery.start_soon(client.get, url_of(silent))
            connection, _ = await trio.socket.from_stdlib_socket(silent).accept()
            await connection.recv(1)
            nursery.cancel_scope.cancel()
            connection.close()

    asyncio.run(asyncio_main())
    trio.run(trio_main)
    assert [span.status_code for span in traced.spans] == [StatusCode.UNSET] * 2
    assert not any("error.type" in span.attributes for span in traced.spans)


def test_a_streamed_response_ends_its_span_with_the_head(echo_url, traced):
    async def main():
        async with httpx.AsyncClient(trust_env=False) as client:
            with traced.tracer.start_as_current_span("caller") as caller:
                async with client.stream("GET", echo_url + "/echo") as response:
                    assert len(clients(traced)) == 1
                    assert trace.get_current_span() is caller
                    assert b"traceparent" in b"".join([chunk async for chunk in response.aiter_bytes(7)])
            assert trace.get_current_span() is trace.INVALID_SPAN

    asyncio.run(main())
    assert len(clients(traced)) == 1


def test_a_streamed_body_is_the_applications_own_work(echo_url, traced):
    def body():
        with traced.tracer.start_as_current_span("chunk"):
            yield b"12"

    with traced.tracer.start_as_current_span("caller") as caller:
        assert by_client(echo_url + "/echo", "POST", content=body()).status_code == 200
    assert traced.by_name("chunk").parent_id == caller.span_id
    assert traced.by_name("POST").parent_id == caller.span_id


def test_requests_side_by_side_have_their_callers_as_parents(echo_url, traced):
    async def call(client, name):
        with traced.tracer.start_as_current_span(name) as caller:
            await client.get(f"{echo_url}/redirect/1")
            return caller.span_id

    async def main():
        async with httpx.AsyncClient(follow_redirects=True, trust_env=False) as client:
            return await asyncio.gather(*(call(client, f"caller {number}") for number in range(5)))

    for caller in asyncio.run(main()):
        hops = [span for span in clients(traced) if span.parent_id == caller]
        assert [span.attributes.get("http.request.resend_count") for span in hops] == [None, 1]


def test_http2(http2_url, traced):
    async def main():
        async with httpx.AsyncClient(http1=False, http2=True, trust_env=False) as client:
            return await client.get(http2_url)

    with httpx.Client(http1=False, http2=True, trust_env=False) as client:
        answers = [client.get(http2_url), asyncio.run(main())]
    assert [answer.http_version for answer in answers] == ["HTTP/2"] * 2
    assert [span.attributes["network.protocol.version"] for span in traced.spans] == ["2"] * 2
    for answer, span in zip(answers, traced.spans):
        assert f"traceparent: 00-{span.trace_id:032x}-{span.span_id:016x}-03" in answer.text


def test_behind_a_proxy_the_peer_is_the_one_that_was_asked(echo_url, traced):
    through = httpx.HTTPTransport(proxy=httpx.Proxy(echo_url))
    assert by_client("http://shop.example/a", transport=through).status_code == 200
    attributes = traced.span.attributes
    assert (attributes["server.address"], attributes["server.port"]) == ("shop.example", 80)
    assert attributes["url.full"] == "http://shop.example/a"


def test_transports_that_send_nothing_make_no_span(echo_url, traced):
    async def app(scope, receive, send):
        with traced.tracer.start_as_current_span("served"):
            async with httpx.AsyncClient(trust_env=False) as client:
                for _ in range(2):
                    await client.get(echo_url + "/echo")
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": str(scope["headers"]).encode()})

    assert "traceparent" not in by_asyncio("http://app/", transport=httpx.ASGITransport(app)).text
    served = traced.by_name("served")
    assert [span.parent_id for span in clients(traced)] == [served.span_id] * 2
    # The application's own requests are no resends of the one it serves.
    assert not any("http.request.resend_count" in span.attributes for span in traced.spans)
    traced.spans.clear()
    mock = httpx.MockTransport(lambda request: httpx.Response(200, json=dict(request.headers)))
    assert "traceparent" not in by_client("http://app/", transport=mock).json()
    assert traced.spans == []


@each_way
def test_hosts_that_may_not_receive_trace_headers(get, echo_url):
    with instrumented(*STACK, AUTOTRACE_PROPAGATE_TO="localhost,.internal") as traced:
        kept = get(echo_url + "/echo").json()
        told = get(echo_url.replace("127.0.0.1", "localhost") + "/echo").json()
    assert "traceparent" not in dict(kept)
    assert "traceparent" in dict(told)
    assert len(traced.spans) == 2


@each_way
def test_excluded_urls_make_no_span_and_get_no_headers(get, echo_url):
    with instrumented(*STACK, OTEL_PYTHON_HTTPX_EXCLUDED_URLS="echo.secret") as traced:
        assert "traceparent" not in dict(get(echo_url + "/echo?secret").json())
        assert traced.spans == []
        assert "traceparent" in dict(get(echo_url + "/echo?open").json())
    assert len(traced.spans) == 1


def test_captured_headers(echo_url):
    request = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST"
    response = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE"
    with instrumented(*STACK, **{request: "x-one,authorization", response: "x-answer"}) as traced:
        by_client(echo_url + "/echo", headers=[("X-One", "1"), ("X-One", "2"), ("Authorization", "no")])
    attributes = traced.span.attributes
    assert list(attributes["http.request.header.x-one"]) == ["1", "2"]
    assert list(attributes["http.request.header.authorization"]) == ["[REDACTED]"]
    assert list(attributes["http.response.header.x-answer"]) == ["yes"]


def test_httpcore_alone(echo_url, traced):
    request = httpcore.Request("GET", echo_url + "/echo", headers={"Host": "a", "traceparent": "stale"})
    before = list(request.headers)
    with httpcore.ConnectionPool() as pool:
        for _ in range(2):
            answer = pool.handle_request(request)
            body = b"".join(answer.stream)
            answer.close()
            assert body.count(b"traceparent") == 1
            assert f"{traced.spans[-1].span_id:016x}".encode() in body
        assert request.headers == before

        async def main():
            async with httpcore.AsyncConnectionPool() as pool:
                return (await pool.request("GET", echo_url + "/echo")).content

        assert f"{traced.spans[-1].span_id:016x}" not in asyncio.run(main()).decode()
    assert [span.attributes["http.response.status_code"] for span in traced.spans] == [200] * 3
