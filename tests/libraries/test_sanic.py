"""Sanic by its own server and as an ASGI application: one server span per request, named by the route."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from contextlib import asynccontextmanager

import httpx
import pytest
from instrumented import instrumented
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from programs import Sandbox
from servers import serving, until

pytest.importorskip("sanic", reason="without the extra `libraries`")

from sanic import Blueprint, Sanic, text
from sanic.exceptions import Forbidden, SanicException
from websockets.asyncio.client import connect

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _many_applications(caplog, monkeypatch):
    """Quiet ones, one after the other in a process."""
    monkeypatch.setattr(Sanic, "test_mode", True)
    caplog.set_level(logging.CRITICAL)


@pytest.fixture
def traced():
    with instrumented("opentelemetry", "sanic") as traced:
        yield traced


def mark(name):
    """A span of the application's own."""
    with trace.get_tracer("app").start_as_current_span(name):
        pass


def make_app():
    app = Sanic(f"shop{next(_numbers)}", configure_logging=False)
    books = Blueprint("books", url_prefix="/books", version=1)

    @app.get("/users/<number:int>")
    async def user(_request, number):
        return text(f"user {number}", headers={"X-Kind": "user"})

    @app.get("/failing/<how>")
    async def failing(request, how):
        if how == "torn":
            response = await request.respond(content_type="text/plain")
            await response.send("a")
        if how == "forbidden":
            raise Forbidden("no")
        if how == "unavailable":
            raise SanicException("no", status_code=503)
        if how == "slow":
            await asyncio.sleep(60)
        raise KeyError("no") if how == "known" else ValueError("no")

    @app.get("/stream")
    async def stream(request):
        response = await request.respond(content_type="text/plain")
        for chunk in "ab":
            mark(chunk)
            await response.send(chunk)
        await response.eof()

    @app.get("/background")
    async def background(request):
        async def later():
            mark("background")

        request.app.ctx.later = asyncio.ensure_future(later())
        return text("")

    @app.exception(KeyError)
    async def known(_request, _error):
        return text("teapot", status=418)

    @app.on_request
    async def middleware(request):
        mark("middleware")
        return text("refused", status=401) if "x-refuse" in request.headers else None

    @app.websocket("/echo/<room>")
    async def echo(_request, connection, room):
        async for message in connection:
            if message == "boom":
                raise ValueError("no")
            await connection.send(message)
            await connection.send(room)

    @books.get("/<title:str>")
    async def book(_request, title):
        return text(title)

    app.blueprint(books)
    return app


@asynccontextmanager
async def serve(**config):
    app = make_app()
    app.config.update(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = await app.create_server(sock=listener, return_asyncio_server=True, access_log=False)
        await server.startup()
        try:
            yield listener.getsockname()[1]
        finally:
            await server.close()


async def ask_server(port, path, method="GET", **headers):
    """Status and body; none where the answer is torn."""
    async with httpx.AsyncClient() as client:
        try:
            answer = await client.request(method, f"http://127.0.0.1:{port}{path}", headers=headers)
        except httpx.RemoteProtocolError:
            return None, None
    return answer.status_code, answer.text


def visit_server(path, method="GET", **headers):
    async def ask():
        async with serve() as port:
            return await ask_server(port, path, method, **headers)

    return asyncio.run(ask())


def visit_asgi(path, method="GET", **headers):
    async def ask():
        app, messages = make_app(), asyncio.Queue()
        messages.put_nowait({"type": "lifespan.startup"})
        started = asyncio.Event()

        async def send(_message):
            started.set()

        life = asyncio.ensure_future(app({"type": "lifespan"}, messages.get, send))
        await started.wait()
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
            answer = await client.request(method, path, headers=headers)
        messages.put_nowait({"type": "lifespan.shutdown"})
        await life
        return answer.status_code, answer.text

    return asyncio.run(ask())


both = pytest.mark.parametrize("visit", [visit_server, visit_asgi], ids=["server", "asgi"])


def request_span(traced):
    (span,) = [span for span in traced.spans if span.kind is trace.SpanKind.SERVER]
    return span


@both
@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("/users/7?a=b", 200, "GET /users/<number:int>"),
        ("/users/x", 404, "GET"),
        ("/v1/books/b", 200, "GET /v1/books/<title:str>"),
        ("/failing/forbidden", 403, "GET /failing/<how:str>"),
        ("/failing/known", 418, "GET /failing/<how:str>"),
        ("/nowhere", 404, "GET"),
    ],
)
def test_the_route_is_the_whole_template(traced, visit, path, status, name):
    assert visit(path)[0] == status
    span = request_span(traced)
    assert span.name == name
    assert span.attributes.get("http.route", "") == name.partition(" ")[2]
    assert span.attributes["http.response.status_code"] == status
    assert span.attributes["url.path"] == path.partition("?")[0]
    assert span.status.status_code is StatusCode.UNSET
    assert span.events == ()


@pytest.mark.parametrize(
    ("visit", "how", "status", "kind", "events"),
    [
        (visit_server, "boom", 500, "ValueError", 1),
        (visit_asgi, "boom", 500, "ValueError", 1),
        (visit_server, "unavailable", 503, "503", 0),
        (visit_asgi, "unavailable", 503, "503", 0),
        (visit_server, "torn", 200, "ValueError", 1),
    ],
)
def test_errors(traced, visit, how, status, kind, events):
    visit(f"/failing/{how}")
    span = request_span(traced)
    assert (span.name, span.status.status_code) == ("GET /failing/<how:str>", StatusCode.ERROR)
    assert span.attributes["http.response.status_code"] == status
    assert span.attributes["error.type"] == kind
    assert len(span.events) == events


def test_what_a_span_says_of_its_request(traced):
    headers = {"user-agent": "me", "x-forwarded-for": "10.0.0.7, 10.0.0.8"}
    assert visit_server("/users/7?token=secret&a=b", "POST", **headers)[0] == 405
    attributes = dict(request_span(traced).attributes)
    assert isinstance(attributes.pop("server.port"), int)
    assert attributes == {
        "url.scheme": "http",
        "url.path": "/users/7",
        "url.query": "token=REDACTED&a=b",
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "network.peer.address": "127.0.0.1",
        "client.address": "10.0.0.7",
        "user_agent.original": "me",
        "network.protocol.version": "1.1",
        "http.response.status_code": 405,
    }


@both
def test_what_runs_for_a_request_is_below_it(traced, visit):
    assert visit("/stream", traceparent=TRACEPARENT) == (200, "ab")
    request = request_span(traced)
    assert [span.name for span in traced.spans] == ["middleware", "a", "b", "GET /stream"]
    assert {span.parent_id for span in traced.spans if span is not request} == {request.span_id}
    assert (f"{request.trace_id:032x}", f"{request.parent_id:016x}") == (TRACE, "b7ad6b7169203331")
    traced.spans.clear()
    assert visit("/users/7", **{"x-refuse": "yes"}) == (401, "refused")
    assert request_span(traced).name == "GET /users/<number:int>"


def test_requests_of_one_connection_and_work_after_them(traced):
    async def ask():
        async with serve() as port, httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await client.get("/background", headers={"traceparent": TRACEPARENT})
            await client.get("/users/7")

    asyncio.run(ask())
    first, second = [span for span in traced.spans if span.kind is trace.SpanKind.SERVER]
    assert traced.by_name("background").parent_id == first.span_id
    assert (second.name, second.parent_id) == ("GET /users/<number:int>", 0)
    assert first.trace_id != second.trace_id


def test_a_handler_that_takes_too_long(traced):
    async def ask():
        async with serve(RESPONSE_TIMEOUT=0.2) as port:
            return await ask_server(port, "/failing/slow")

    assert asyncio.run(ask())[0] == 503
    span = request_span(traced)
    assert span.attributes["http.response.status_code"] == 503
    assert span.status.status_code is StatusCode.ERROR


def test_a_client_that_has_gone_is_no_error(traced):
    async def leave():
        async with serve() as port:
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /failing/slow HTTP/1.1\r\nhost: x\r\n\r\n")
            await until(lambda: traced.spans)  # of the middleware
            writer.transport.abort()
            await until(lambda: len(traced.spans) > 1)

    asyncio.run(leave())
    span = request_span(traced)
    assert span.status.status_code is StatusCode.UNSET
    assert span.name == "GET /failing/<how:str>"


@pytest.mark.parametrize("fails", [False, True])
def test_a_websocket_is_one_span(traced, fails):
    async def talk():
        async with serve() as port, connect(f"ws://127.0.0.1:{port}/echo/lobby") as client:
            await client.send("x")
            answers = [await client.recv(), await client.recv()]
            if fails:
                await client.send("boom")
                await client.wait_closed()
            else:
                await client.close(4000)
            await until(lambda: any(span.kind is trace.SpanKind.SERVER for span in traced.spans))
            return answers

    assert asyncio.run(talk()) == ["x", "lobby"]
    span = request_span(traced)
    assert span.name == "GET /echo/<room:str>"
    assert span.attributes["network.protocol.name"] == "websocket"
    assert span.attributes["http.response.status_code"] == 101
    assert span.attributes["websocket.messages.received"] == 1 + fails
    assert span.attributes["websocket.messages.sent"] == 2
    assert span.attributes["websocket.close_code"] == (1000 if fails else 4000)
    assert span.attributes.get("error.type") == ("ValueError" if fails else None)


@both
def test_what_the_operator_chooses(visit):
    chosen = {
        "OTEL_PYTHON_SANIC_EXCLUDED_URLS": "stream",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "X-Tenant",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE": "X-Kind,Content-Type",
    }
    with instrumented("opentelemetry", "sanic", **chosen) as traced:
        assert visit("/stream") == (200, "ab")
        assert traced.spans == []
        visit("/users/7", **{"x-tenant": "me"})
    span = request_span(traced)
    assert span.attributes["http.request.header.x-tenant"] == ["me"]
    assert span.attributes["http.response.header.x-kind"] == ["user"]
    assert span.attributes["http.response.header.content-type"] == ["text/plain; charset=utf-8"]


APPLICATION = """
import sqlite3
from sanic import Sanic, text

app = Sanic("shop", configure_logging=False)

@app.get("/users/<number:int>")
async def user(request, number):
    sqlite3.connect(":memory:").execute("SELECT 1").fetchone()
    return text(f"user {number}")

@app.get("/broken")
async def broken(request):
    raise ValueError("no such thing")

@app.main_process_start
@app.before_server_start
async def tell(app, *_):
    pass

if __name__ == "__main__":
    import socket, sys
    listener = socket.create_server(("127.0.0.1", 0))
    print("127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    app.run(sock=listener, single_process=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "scope"),
    [(("python", "shop.py"), "sanic"), (("uvicorn", "--port", "0", "shop:app"), "uvicorn")],
    ids=["run", "uvicorn"],
)
def test_a_program_of_a_users(tmp_path, arrivals, words, scope):
    sandbox = Sandbox(tmp_path, OTEL_SERVICE_NAME="shop", **arrivals.environ)
    sandbox.write("shop.py", APPLICATION)
    with serving(sandbox, *words) as server:
        server.find_port()
        assert server.request("/users/7").body == b"user 7", server.log
        assert server.request("/broken").status == 500
        server.stop()
        assert server.said == []
    assert arrivals.tree == (
        f"shop autotrace.{scope} SERVER GET /users/<number:int>\n"
        "  shop autotrace.sqlite3 CLIENT SELECT\n"
        f"shop autotrace.{scope} SERVER GET /broken ERROR\n"
    )
    assert arrivals.named("GET /broken").attributes["error.type"] == "ValueError"
