"""aiohttp.web by its own server: one server span per request, named by the route's template."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest
from instrumented import instrumented
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from programs import Sandbox
from servers import serving

aiohttp = pytest.importorskip("aiohttp", reason="without the extra `libraries`")

from aiohttp import web  # noqa: E402
from aiohttp.test_utils import TestClient, TestServer  # noqa: E402

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def traced():
    with instrumented("opentelemetry", "aiohttp-web") as traced:
        yield traced


def mark(name):
    """A span of the application's own."""
    with trace.get_tracer("app").start_as_current_span(name):
        pass


async def user(request):
    return web.Response(text=f"user {request.match_info['number']}", headers={"X-Kind": "user"})


async def boom(_request):
    raise ValueError("no")


async def forbidden(_request):
    raise web.HTTPForbidden


async def bad_gateway(_request):
    raise web.HTTPBadGateway


async def slow(_request):
    raise asyncio.TimeoutError


async def nothing(_request):
    return None


async def stream(request):
    response = web.StreamResponse()
    await response.prepare(request)
    for chunk in ("a", "b"):
        mark(chunk)
        await response.write(chunk.encode())
    return response


async def torn(request):
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"a")
    raise ValueError("no")


async def background(_request):
    async def later():
        await asyncio.sleep(0)
        mark("background")

    request_over.append(asyncio.ensure_future(later()))
    return web.Response()


request_over = []


async def echo(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.data == "boom":
            raise ValueError("no")
        await socket.send_str(message.data)
        await socket.send_json([message.data])
        mark("message")
    return socket


@web.middleware
async def marking(request, handler):
    mark("middleware")
    return await handler(request)


@web.middleware
async def turning_key_errors_into_teapots(request, handler):
    try:
        return await handler(request)
    except KeyError:
        return web.Response(status=418)


async def known(_request):
    raise KeyError("known")


def make_app():
    app = web.Application(middlewares=[turning_key_errors_into_teapots])
    app.router.add_get("/users/{number:\\d+}", user)
    for handler in (boom, forbidden, bad_gateway, slow, nothing, stream, torn, background, echo, known):
        app.router.add_get(f"/{handler.__name__}", handler)
    shop = web.Application(middlewares=[marking])
    shop.router.add_get("/users/{number}", user)
    app.add_subapp("/shop", shop)
    return app


@asynccontextmanager
async def serve(app=None):
    async with TestClient(TestServer(app or make_app())) as client:
        yield client


def visit(path, method="GET", app=None, **headers):
    """The status and body of one request, untraced on the client's side; None where it was torn."""

    async def ask():
        async with serve(app) as client, client.request(method, path, headers=headers) as answer:
            try:
                return answer.status, await answer.text()
            except aiohttp.ClientPayloadError:
                return answer.status, None

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("/users/7", 200, "GET /users/{number}"),
        ("/users/7?color=red", 200, "GET /users/{number}"),
        ("/shop/users/7", 200, "GET /shop/users/{number}"),
        ("/shop/nowhere", 404, "GET"),
        ("/nowhere", 404, "GET"),
        ("/forbidden", 403, "GET /forbidden"),
        ("/known", 418, "GET /known"),
        ("/stream", 200, "GET /stream"),
    ],
)
def test_the_route_is_the_whole_template(traced, path, status, name):
    assert visit(path)[0] == status
    request = traced.by_name(name)
    assert request.kind is trace.SpanKind.SERVER
    assert request.attributes.get("http.route", "") == name.partition(" ")[2]
    assert request.attributes["http.response.status_code"] == status
    assert request.attributes["url.path"] == path.partition("?")[0]
    assert request.status.status_code is StatusCode.UNSET
    assert request.events == ()
    assert "error.type" not in request.attributes


@pytest.mark.parametrize(
    ("path", "status", "kind", "events"),
    [
        ("/boom", 500, "ValueError", 1),
        ("/slow", 504, "TimeoutError", 1),
        ("/bad_gateway", 502, "502", 0),
        ("/nothing", 500, "500", 0),
        ("/torn", 200, "ValueError", 1),
    ],
)
def test_errors(traced, path, status, kind, events):
    assert visit(path)[0] == status
    span = traced.span
    assert (span.name, span.status.status_code) == (f"GET {path}", StatusCode.ERROR)
    assert span.attributes["http.response.status_code"] == status
    assert span.attributes["error.type"] == kind
    assert len(span.events) == events


def test_what_a_span_says_of_its_request(traced):
    visit("/users/7?token=secret&a=b", **{"User-Agent": "me", "X-Forwarded-For": "10.0.0.7, 10.0.0.8"})
    attributes = dict(traced.span.attributes)
    port = attributes.pop("server.port")
    assert isinstance(port, int)
    assert attributes == {
        "url.scheme": "http",
        "url.path": "/users/7",
        "url.query": "token=REDACTED&a=b",
        "http.request.method": "GET",
        "server.address": "127.0.0.1",
        "network.peer.address": "127.0.0.1",
        "client.address": "10.0.0.7",
        "user_agent.original": "me",
        "network.protocol.version": "1.1",
        "http.route": "/users/{number}",
        "http.response.status_code": 200,
    }


def test_methods_and_paths(traced):
    assert visit("/users/7", "POST")[0] == 405
    assert visit("/users/7", "PROPFIND")[0] == 405
    assert visit("/caf%C3%A9/x")[0] == 404
    assert [span.name for span in traced.spans] == ["POST", "HTTP", "GET"]
    assert traced.spans[1].attributes["http.request.method_original"] == "PROPFIND"
    assert traced.spans[2].attributes["url.path"] == "/café/x"


def test_the_parent_comes_with_the_request_alone(traced):
    async def ask():
        with traced.tracer.start_as_current_span("starting"):
            context = serve()
            client = await context.__aenter__()
        await client.get("/users/7")
        await client.get("/users/8", headers={"traceparent": TRACEPARENT})
        await client.get("/shop/users/9", headers={"Traceparent": TRACEPARENT})
        await context.__aexit__(None, None, None)

    asyncio.run(ask())
    _, alone, child, middleware, nested = traced.spans
    assert alone.parent_id == 0
    for span in (child, nested):
        assert (f"{span.trace_id:032x}", f"{span.parent_id:016x}") == (TRACE, "b7ad6b7169203331")
    assert (middleware.name, middleware.parent_id) == ("middleware", nested.span_id)


def test_streams_and_work_after_the_response(traced):
    async def ask():
        async with serve() as client:
            async with client.get("/stream") as answer:
                assert await answer.read() == b"ab"
            await client.get("/background")
            await asyncio.gather(*request_over)
            request_over.clear()

    asyncio.run(ask())
    stream, background = traced.by_name("GET /stream"), traced.by_name("GET /background")
    assert traced.by_name("a").parent_id == traced.by_name("b").parent_id == stream.span_id
    assert traced.by_name("b").end_time <= stream.end_time
    assert traced.by_name("background").parent_id == background.span_id


def test_a_websocket_is_one_span(traced):
    async def talk(*messages):
        async with serve() as client, client.ws_connect("/echo") as socket:
            for message in messages:
                await socket.send_str(message)
                if message != "boom":
                    assert await socket.receive_str() == message
                    assert await socket.receive_json() == [message]
            if "boom" in messages:
                await socket.receive()
            else:
                await socket.close(code=4000)

    asyncio.run(talk("x", "y"))
    well = traced.by_name("GET /echo")
    assert {span.parent_id for span in traced.spans if span.name == "message"} == {well.span_id}
    told = {key: well.attributes[f"websocket.{key}"] for key in ("messages.received", "messages.sent")}
    assert told == {"messages.received": 2, "messages.sent": 4}
    assert well.attributes["websocket.close_code"] == 4000
    assert well.attributes["http.response.status_code"] == 101
    assert well.attributes["network.protocol.name"] == "websocket"
    assert well.status.status_code is StatusCode.UNSET
    traced.spans.clear()
    asyncio.run(talk("boom"))
    failed = traced.by_name("GET /echo")
    assert failed.attributes["error.type"] == "ValueError"
    assert failed.attributes["http.response.status_code"] == 101


@pytest.mark.parametrize("cancelling", [True, False])
def test_a_client_that_has_gone_is_no_error(traced, cancelling):
    async def leave():
        there, gone = asyncio.Event(), asyncio.Event()

        async def endless(request):
            response = web.StreamResponse()
            await response.prepare(request)
            there.set()
            try:
                while True:
                    await response.write(b"x" * 65536)
                    await asyncio.sleep(0)
            finally:
                gone.set()

        app = web.Application()
        app.router.add_get("/endless", endless)
        runner = web.AppRunner(app, handler_cancellation=cancelling)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n")
        await there.wait()
        await reader.read(1)
        writer.transport.abort()
        await gone.wait()
        await runner.cleanup()

    asyncio.run(leave())
    assert traced.span.name == "GET /endless"
    assert traced.span.status.status_code is StatusCode.UNSET
    assert traced.span.events == ()
    assert traced.span.attributes["http.response.status_code"] == 200


def test_a_bare_server_and_what_is_no_request(traced):
    async def ask():
        async def handler(_request):
            return web.Response(text="bare")

        runner = web.ServerRunner(web.Server(handler))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        answers = []
        for sent in (b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n", b"nonsense\r\n\r\n"):
            reader, writer = await asyncio.open_connection(*runner.addresses[0])
            writer.write(sent)
            answers.append((await reader.readline())[:12])
            writer.close()
        await runner.cleanup()
        return answers

    assert asyncio.run(ask()) == [b"HTTP/1.1 200", b"HTTP/1.0 400"]
    assert traced.span.name == "GET"


def test_what_the_operator_chooses():
    chosen = {
        "OTEL_PYTHON_AIOHTTP_WEB_EXCLUDED_URLS": "boom",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "X-Tenant",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE": "X-Kind,Content-Type",
    }
    with instrumented("opentelemetry", "aiohttp-web", **chosen) as traced:
        visit("/boom")
        visit("/users/7", **{"X-Tenant": "me"})
    assert traced.span.attributes["http.request.header.x-tenant"] == ["me"]
    assert traced.span.attributes["http.response.header.x-kind"] == ["user"]
    assert traced.span.attributes["http.response.header.content-type"] == ["text/plain; charset=utf-8"]
    with instrumented("opentelemetry", "aiohttp-web", OTEL_PYTHON_EXCLUDED_URLS="shop") as traced:
        assert visit("/shop/users/7")[0] == 200
    assert traced.spans == []


def test_requests_at_the_same_time_keep_apart(traced):
    async def ask():
        async with serve() as client:
            await asyncio.gather(*(client.get(f"/shop/users/{number}") for number in range(20)))

    asyncio.run(ask())
    requests = {span.span_id for span in traced.spans if span.kind is trace.SpanKind.SERVER}
    assert {span.parent_id for span in traced.spans if span.name == "middleware"} == requests
    assert len(requests) == 20


APPLICATION = """
import sqlite3
from aiohttp import ClientSession, web

async def user(request):
    sqlite3.connect(":memory:").execute("SELECT 1").fetchone()
    return web.Response(text="user " + request.match_info["number"])

async def relay(request):
    async with ClientSession() as session:
        async with session.get(f"http://{request.host}/users/8") as answer:
            return web.Response(text=await answer.text())

def application(argv=None):
    app = web.Application()
    app.add_routes([web.get("/users/{number}", user), web.get("/relay", relay)])
    return app

if __name__ == "__main__":
    import socket, sys
    listener = socket.create_server(("127.0.0.1", 0))
    print("127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    web.run_app(application(), sock=listener, print=None)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("python", "shop.py"),
        (
            "gunicorn",
            "-b",
            "127.0.0.1:0",
            "--no-control-socket",
            "-k",
            "aiohttp.GunicornWebWorker",
            "shop:application()",
        ),
    ],
    ids=["run_app", "gunicorn"],
)
def test_a_program_of_a_users(tmp_path, arrivals, words):
    sandbox = Sandbox(tmp_path, OTEL_SERVICE_NAME="shop", **arrivals.environ)
    sandbox.write("shop.py", APPLICATION)
    with serving(sandbox, *words) as server:
        server.find_port()
        answer = server.request("/relay")
        assert (answer.status, answer.body) == (200, b"user 8"), server.log
        assert server.stop() == 0, server.log
        assert server.said == []
    assert arrivals.tree == (
        "shop autotrace.aiohttp-web SERVER GET /relay\n"
        "  shop autotrace.aiohttp-client CLIENT GET\n"
        "    shop autotrace.aiohttp-web SERVER GET /users/{number}\n"
        "      shop autotrace.sqlite3 CLIENT SELECT\n"
    )
