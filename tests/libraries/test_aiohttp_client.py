"""aiohttp's client against real servers: one span per exchange, and the application none the wiser."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from instrumented import instrumented
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

aiohttp = pytest.importorskip("aiohttp", reason="without the extra `libraries`")

STACK = ("aiohttp-client",)


@pytest.fixture
def traced():
    with instrumented(*STACK) as traced:
        yield traced


def run(work, **options):
    """What `work` makes of a session."""

    async def main():
        async with aiohttp.ClientSession(**options) as session:
            return await work(session)

    return asyncio.run(main())


async def echoed(session, url, method="GET", **more):
    async with session.request(method, url, **more) as answer:
        return [*(await answer.json(content_type=None))]


def clients(traced):
    return [span for span in traced.spans if span.kind is SpanKind.CLIENT]


def test_one_exchange_is_one_client_span_whose_id_the_server_gets(echo_url, traced):
    mine = {"X-Mine": "1", "Traceparent": "stale"}
    always = {"X-Always": "2"}
    for _ in range(2):
        received = run(
            lambda session: echoed(session, echo_url + "/echo?a=1&password=x", headers=mine), headers=always
        )
        span = traced.spans[-1]
        wanted = ["traceparent", f"00-{span.trace_id:032x}-{span.span_id:016x}-03"]
        assert [pair for pair in received if pair[0] == "traceparent"] == [wanted]
        assert [["x-mine", "1"] in received, ["x-always", "2"] in received] == [True, True]
    assert (mine, always) == ({"X-Mine": "1", "Traceparent": "stale"}, {"X-Always": "2"})
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


def test_redirects_are_siblings_with_a_count(echo_url, traced):
    async def work(session):
        with traced.tracer.start_as_current_span("caller") as caller:
            await echoed(session, echo_url + "/redirect/2")
            await echoed(session, echo_url + "/echo")
            assert trace.get_current_span() is caller
        return caller

    caller = run(work)
    hops = clients(traced)
    assert [span.attributes.get("http.request.resend_count") for span in hops] == [None, 1, 2, None]
    assert [span.attributes["http.response.status_code"] for span in hops] == [302, 302, 200, 200]
    assert {span.parent_id for span in hops} == {caller.span_id}


@pytest.mark.parametrize("status", [404, 503])
def test_an_answer_that_is_an_error(status, echo_url, traced):
    async def work(session):
        await session.get(f"{echo_url}/status/{status}")

    with pytest.raises(aiohttp.ClientResponseError):
        run(work, raise_for_status=True)
    assert traced.span.attributes["error.type"] == str(status)
    assert traced.span.status_code is StatusCode.ERROR


@pytest.mark.skipif(not hasattr(aiohttp, "ConnectionTimeoutError"), reason="repeats nothing before 3.10")
def test_a_lost_connection_is_tried_again_as_a_sibling(traced):
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]"

    async def work(session):
        connections = 0

        async def serve(reader, writer):
            """The first connection is closed when a second request arrives on it."""
            nonlocal connections
            connections += 1
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            if connections == 1:
                await reader.readuntil(b"\r\n\r\n")
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await echoed(session, url)
        await echoed(session, url)
        server.close()

    run(work)
    first, lost, again = traced.spans
    assert "http.request.resend_count" not in first.attributes
    assert lost.attributes["error.type"] == "aiohttp.client_exceptions.ServerDisconnectedError"
    assert (lost.status_code, again.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    assert again.attributes["http.request.resend_count"] == 1


def test_failures_are_recorded_and_reach_the_application(traced):
    with socket.socket() as unused, socket.create_server(("127.0.0.1", 0)) as silent:
        unused.bind(("127.0.0.1", 0))
        closed_url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        silent_url = f"http://127.0.0.1:{silent.getsockname()[1]}"

        error_types = ["aiohttp.client_exceptions.ClientConnectorError"]

        async def work(session):
            with pytest.raises(aiohttp.ClientConnectorError):
                await session.get(closed_url)
            with pytest.raises(aiohttp.ServerTimeoutError) as timed_out:
                await session.get(silent_url, timeout=aiohttp.ClientTimeout(sock_read=0.05))
            error_types.append(f"aiohttp.client_exceptions.{timed_out.type.__name__}")
            with pytest.raises(asyncio.TimeoutError):
                await session.get(silent_url, timeout=aiohttp.ClientTimeout(total=0.5))
            # The pool's only connection is taken: this one times out before it has any.
            holder = asyncio.create_task(session.get(silent_url))
            await asyncio.sleep(0)
            with pytest.raises(asyncio.TimeoutError):
                await session.get(silent_url, timeout=aiohttp.ClientTimeout(total=0.05))
            holder.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await holder

        asyncio.run(_with_one_connection(work))
    types = [span.attributes.get("error.type") for span in traced.spans]
    assert types[:2] == error_types
    # Of asyncio's own kind before Python 3.11.
    assert {name.replace("asyncio.exceptions.", "") for name in types[2:4]} == {"TimeoutError"}
    # And the one that was cancelled has not failed.
    assert (len(types), types[4]) == (5, None)
    assert traced.spans[4].status_code is StatusCode.UNSET


async def _with_one_connection(work):
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        await work(session)


def test_streams_are_the_applications_own(echo_url, traced):
    async def body():
        with traced.tracer.start_as_current_span("chunk"):
            yield b"12"

    async def work(session):
        with traced.tracer.start_as_current_span("caller") as caller:
            async with session.post(echo_url + "/echo", data=body()) as answer:
                assert len(clients(traced)) == 1  # the head is there
                assert b"traceparent" in b"".join([chunk async for chunk in answer.content.iter_any()])
        return caller

    caller = run(work)
    assert traced.by_name("POST").parent_id == caller.span_id
    assert traced.by_name("chunk").parent_id == caller.span_id


def test_requests_side_by_side_have_their_callers_as_parents(echo_url, traced):
    async def call(session, name):
        with traced.tracer.start_as_current_span(name) as caller:
            await echoed(session, f"{echo_url}/redirect/1")
            return caller.span_id

    async def work(session):
        return await asyncio.gather(*(call(session, f"caller {number}") for number in range(5)))

    for caller in run(work):
        hops = [span for span in clients(traced) if span.parent_id == caller]
        assert [span.attributes.get("http.request.resend_count") for span in hops] == [None, 1]


@pytest.mark.skipif(not hasattr(aiohttp, "ClientMiddlewareType"), reason="came with 3.12")
def test_what_a_middleware_repeats_is_a_sibling(echo_url, traced):
    async def twice(request, handler):
        answer = await handler(request)
        if answer.status == 503:
            answer = await handler(request)
        return answer

    received = run(lambda session: echoed(session, echo_url + "/flaky/1/aiohttp"), middlewares=(twice,))
    assert [span.attributes["http.response.status_code"] for span in traced.spans] == [503, 200]
    assert [span.attributes.get("http.request.resend_count") for span in traced.spans] == [None, 1]
    assert dict(received)["traceparent"].split("-")[2] == f"{traced.spans[1].span_id:016x}"


def test_a_websocket_is_the_exchange_that_opens_it(traced):
    from aiohttp import web

    async def talk(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(request.headers["traceparent"])
        await socket.close()
        return socket

    async def work(session):
        app = web.Application()
        app.router.add_get("/", talk)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with session.ws_connect(f"http://127.0.0.1:{runner.addresses[0][1]}/") as talk_to:
            said = (await talk_to.receive()).data
        await runner.cleanup()
        return said

    said = run(work)
    span = traced.span
    assert said == f"00-{span.trace_id:032x}-{span.span_id:016x}-03"
    assert (span.attributes["http.response.status_code"], span.status_code) == (101, StatusCode.UNSET)


def test_behind_a_proxy_the_peer_is_the_one_that_was_asked(echo_url, traced):
    run(lambda session: echoed(session, "http://shop.example/a", proxy=echo_url))
    attributes = traced.span.attributes
    assert (attributes["server.address"], attributes["server.port"]) == ("shop.example", 80)


def test_hosts_that_may_not_receive_trace_headers(echo_url):
    with instrumented(*STACK, AUTOTRACE_PROPAGATE_TO="localhost") as traced:
        assert "traceparent" not in dict(run(lambda session: echoed(session, echo_url + "/echo")))
        told = echo_url.replace("127.0.0.1", "localhost")
        assert "traceparent" in dict(run(lambda session: echoed(session, told + "/echo")))
    assert len(traced.spans) == 2


def test_excluded_urls_make_no_span_and_get_no_headers(echo_url):
    with instrumented(*STACK, OTEL_PYTHON_AIOHTTP_CLIENT_EXCLUDED_URLS="echo.secret") as traced:
        assert "traceparent" not in dict(run(lambda session: echoed(session, echo_url + "/echo?secret")))
        assert traced.spans == []


def test_captured_headers(echo_url):
    request = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST"
    response = "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE"
    with instrumented(*STACK, **{request: "x-one,authorization", response: "x-answer"}) as traced:
        run(lambda session: echoed(session, echo_url, headers={"X-One": "1", "Authorization": "no"}))
    attributes = traced.span.attributes
    assert list(attributes["http.request.header.x-one"]) == ["1"]
    assert list(attributes["http.request.header.authorization"]) == ["[REDACTED]"]
    assert list(attributes["http.response.header.x-answer"]) == ["yes"]
