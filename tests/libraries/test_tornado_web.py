"""Tornado by its own server: one server span per request, named by a template of the rule that matched."""

from __future__ import annotations

import asyncio
import gc
import logging
from contextlib import asynccontextmanager

import pytest
from instrumented import instrumented
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from programs import Sandbox
from servers import serving, until

tornado = pytest.importorskip("tornado", reason="without the extra `libraries`")

from tornado import gen, routing, web, websocket, wsgi  # noqa: E402
from tornado.httpclient import AsyncHTTPClient  # noqa: E402
from tornado.httpserver import HTTPServer  # noqa: E402
from tornado.iostream import StreamClosedError  # noqa: E402

from autotrace.instrumentation.tornado_routes import template_of  # noqa: E402

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
NAME = r"(?P<name>\w+)"


@pytest.fixture(autouse=True)
def _quiet(caplog):
    caplog.set_level(logging.CRITICAL)


@pytest.fixture
def traced():
    with instrumented("opentelemetry", "tornado-web") as traced:
        yield traced


def mark(name):
    """A span of the application's own."""
    with trace.get_tracer("app").start_as_current_span(name):
        pass


class User(web.RequestHandler):
    def get(self, name):
        self.set_header("X-Kind", "user")
        self.write(f"user {name}")


class Failing(web.RequestHandler):
    def log_exception(self, *_error):
        """Applications that override it seldom call the original."""

    async def get(self, how):
        if how == "forbidden":
            raise web.HTTPError(403)
        if how == "bad-gateway":
            raise web.HTTPError(502)
        if how == "finished":
            raise web.Finish("done")
        if how == "torn":
            self.write("a")
            await self.flush()
        raise ValueError("no")


class Stream(web.RequestHandler):
    async def prepare(self):
        mark("prepare")

    async def get(self):
        for chunk in ("a", "b"):
            self.write(chunk)
            await self.flush()
            await asyncio.sleep(0)
            mark(chunk)
        self.finish()
        mark("after")

    def on_finish(self):
        mark("on_finish")


class OldStyle(web.RequestHandler):
    @gen.coroutine
    def get(self):
        yield gen.sleep(0)
        mark("old")
        self.write("old")


class Later(web.RequestHandler):
    def get(self):
        self._auto_finish = False
        asyncio.get_running_loop().call_soon(self.finish, "later")


@web.stream_request_body
class Upload(web.RequestHandler):
    def initialize(self):
        self.size = 0

    async def data_received(self, chunk):
        await asyncio.sleep(0)
        mark("chunk")
        self.size += len(chunk)

    def put(self):
        self.write(str(self.size))


class Echo(websocket.WebSocketHandler):
    def open(self, _room):
        mark("open")

    async def on_message(self, message):
        if message == "boom":
            raise ValueError("no")
        mark("message")
        await self.write_message(message)
        self.write_message({"echo": message})

    def on_close(self):
        mark("close")


def plain(environ, start_response):
    start_response("404 Not Found" if environ["PATH_INFO"].endswith("none") else "200 OK", [])
    return [b"wsgi"]


def make_app(**settings):
    inner = web.Application([("/inner/(.*)", User)])
    return web.Application(
        [
            (f"/users/{NAME}/?", User),
            (r"/failing/([a-z-]+)", Failing),
            (r"/stream", Stream),
            (r"/old", OldStyle),
            (r"/later", Later),
            (r"/upload", Upload),
            (r"/echo/(\w+)", Echo),
            (r"/nested/.*", [(r"/nested/(a|b)", User)]),
            (r"/inner/.*", inner),
            (r"/gone", web.ErrorHandler, {"status_code": 410}),
            (r"/wsgi/.*", web.FallbackHandler, {"fallback": wsgi.WSGIContainer(plain)}),
        ],
        **settings,
    )


@asynccontextmanager
async def serve(app=None):
    server = HTTPServer(app or make_app())
    server.listen(0, "127.0.0.1")
    (listener,) = server._sockets.values()
    try:
        yield listener.getsockname()[1]
    finally:
        server.stop()
        await server.close_all_connections()


def visit(path, app=None, **request):
    """Status and body; none where the answer is torn."""

    async def ask():
        async with serve(app) as port:
            try:
                url = f"http://127.0.0.1:{port}{path}"
                answer = await AsyncHTTPClient().fetch(url, raise_error=False, **request)
            except Exception:
                return None, None
            return answer.code, answer.body

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("/users/me?x=y", 200, "GET /users/{name}/?"),
        ("/nested/a", 200, "GET /nested/{1}"),
        ("/nested/c", 404, "GET"),
        ("/inner/a", 200, "GET /inner/{1}"),
        ("/nowhere", 404, "GET"),
        ("/gone", 410, "GET /gone"),
        ("/failing/forbidden", 403, "GET /failing/{1}"),
        ("/failing/finished", 200, "GET /failing/{1}"),
        ("/later", 200, "GET /later"),
    ],
)
def test_the_route_is_the_rule_that_matched(traced, path, status, name):
    assert visit(path)[0] == status
    assert (traced.span.name, traced.span.kind) == (name, trace.SpanKind.SERVER)
    assert traced.span.attributes.get("http.route", "") == name.partition(" ")[2]
    assert traced.span.attributes["http.response.status_code"] == status
    assert traced.span.attributes["url.path"] == path.partition("?")[0]
    assert traced.span.status.status_code is StatusCode.UNSET
    assert traced.span.events == ()


@pytest.mark.parametrize(
    ("pattern", "template"),
    [
        (r"/users/([0-9]+)/(?P<book>\w+)$", "/users/{1}/{book}"),
        (r"^/a\.b/(?:x|y)/(.*)", "/a.b/(?:x|y)/{1}"),
        (r"/x(/[()\]]+(a(b)))?/?$", "/x{1}?/?"),
        (r"/(?!no)[^/]+/(\d{4}-\d{2})", "/(?!no)[^/]+/{1}"),
        (r"/(a)/(?P<b>.)/([^/]*)", "/{1}/{b}/{3}"),
        (r"/(.*)", "/{1}"),
        (r".*", ""),
        (r"(.*)$", ""),
        (r"^(?P<path>.+?)", ""),
    ],
)
def test_a_template_says_what_a_pattern_does(pattern, template):
    assert template_of(pattern) == template


@pytest.mark.parametrize(
    ("how", "seen", "status", "kind", "events"),
    [
        ("boom", 500, 500, "ValueError", 1),
        ("bad-gateway", 502, 502, "502", 0),
        ("torn", 200, 200, "ValueError", 1),
    ],
)
def test_errors(traced, how, seen, status, kind, events):
    assert visit(f"/failing/{how}")[0] == seen
    assert (traced.span.name, traced.span.status.status_code) == ("GET /failing/{1}", StatusCode.ERROR)
    assert traced.span.attributes["http.response.status_code"] == status
    assert traced.span.attributes["error.type"] == kind
    assert len(traced.span.events) == events


def test_what_a_span_says_of_its_request(traced):
    headers = {"User-Agent": "me", "X-Forwarded-For": "10.0.0.7, 10.0.0.8"}
    visit("/users/me?token=secret&a=b", headers=headers, method="POST", body="")
    attributes = dict(traced.span.attributes)
    assert isinstance(attributes.pop("server.port"), int)
    assert attributes == {
        "url.scheme": "http",
        "url.path": "/users/me",
        "url.query": "token=REDACTED&a=b",
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "network.peer.address": "127.0.0.1",
        "client.address": "10.0.0.7",
        "user_agent.original": "me",
        "network.protocol.version": "1.1",
        "http.route": "/users/{name}/?",
        "http.response.status_code": 405,
    }


def test_the_parent_comes_with_the_request_alone(traced):
    async def ask():
        with traced.tracer.start_as_current_span("starting"):
            context = serve()
            port = await context.__aenter__()
        for headers in ({}, {"traceparent": TRACEPARENT}):
            await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/stream", headers=headers)
        await context.__aexit__(None, None, None)

    asyncio.run(ask())
    alone, child = [span for span in traced.spans if span.name == "GET /stream"]
    assert alone.parent_id == 0
    assert (f"{child.trace_id:032x}", f"{child.parent_id:016x}") == (TRACE, "b7ad6b7169203331")


def test_what_runs_for_a_request_is_below_it(traced):
    assert visit("/stream") == (200, b"ab")
    names = [span.name for span in traced.spans]
    assert names == ["prepare", "a", "b", "on_finish", "GET /stream", "after"]
    request = traced.by_name("GET /stream")
    assert {span.parent_id for span in traced.spans if span is not request} == {request.span_id}
    traced.spans.clear()
    assert visit("/old") == (200, b"old")
    assert traced.by_name("old").parent_id == traced.by_name("GET /old").span_id


def test_a_streamed_request(traced):
    assert visit("/upload", method="PUT", body="x" * 200_000) == (200, b"200000")
    request = traced.by_name("PUT /upload")
    assert {span.parent_id for span in traced.spans if span.name == "chunk"} == {request.span_id}


@pytest.mark.parametrize("fails", [False, True])
def test_a_websocket_is_one_span(traced, fails):
    async def talk():
        async with serve() as port:
            connection = await websocket.websocket_connect(f"ws://127.0.0.1:{port}/echo/lobby")
            await connection.write_message("x")
            answers = [await connection.read_message(), await connection.read_message()]
            if fails:
                await connection.write_message("boom")
            else:
                connection.close(4000)
            assert await connection.read_message() is None
            await until(lambda: any(span.name.startswith("GET") for span in traced.spans))
            connection.close()
            return answers

    assert asyncio.run(talk()) == ["x", '{"echo": "x"}']
    span = traced.by_name("GET /echo/{1}")
    names = sorted(child.name for child in traced.spans if child.parent_id == span.span_id)
    assert names == ["close", "message", "open"]
    told = {key: span.attributes[f"websocket.{key}"] for key in ("messages.received", "messages.sent")}
    assert told == {"messages.received": 1 + fails, "messages.sent": 2}
    assert span.attributes["network.protocol.name"] == "websocket"
    assert span.attributes["http.response.status_code"] == 101
    assert span.attributes.get("websocket.close_code") == (None if fails else 4000)
    assert span.attributes.get("error.type") == ("ValueError" if fails else None)


@pytest.mark.parametrize("headers_first", [True, False])
def test_a_client_that_has_gone_is_no_error(traced, headers_first):
    async def leave():
        there, gone, over = asyncio.Event(), asyncio.Event(), asyncio.Event()

        class Endless(web.RequestHandler):
            async def get(self):
                if headers_first:
                    await self.flush()
                there.set()
                await gone.wait()
                raise StreamClosedError

            def on_connection_close(self):
                gone.set()

            def on_finish(self):
                over.set()

        async with serve(web.Application([("/endless", Endless)])) as port:
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n")
            await there.wait()
            writer.transport.abort()
            await over.wait()

    asyncio.run(leave())
    assert traced.span.name == "GET /endless"
    assert traced.span.status.status_code is StatusCode.UNSET
    assert traced.span.events == ()
    assert traced.span.attributes.get("http.response.status_code") == (200 if headers_first else None)


def test_a_response_that_nobody_ends(traced):
    """Its span ends with the handler."""

    async def leave():
        class Waiting(web.RequestHandler):
            def get(self):
                self._auto_finish = False
                there.set()

        there = asyncio.Event()
        async with serve(web.Application([("/waiting", Waiting)])) as port:
            _reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET /waiting HTTP/1.1\r\nhost: x\r\n\r\n")
            await there.wait()
            await asyncio.sleep(0)
            writer.transport.abort()
            await until(lambda: gc.collect() is None or traced.spans)

    asyncio.run(leave())
    assert "http.response.status_code" not in traced.span.attributes


@pytest.mark.parametrize(
    ("app", "path", "status"),
    [
        (None, "/wsgi/some", 200),
        (None, "/wsgi/none", 404),
        (lambda: wsgi.WSGIContainer(plain), "/some", 200),
        (lambda: routing.RuleRouter([routing.Rule(routing.PathMatches("/.*"), make_app())]), "/old", 200),
    ],
)
def test_whatever_serves_there_is_one_span(traced, app, path, status):
    assert visit(path, app and app())[0] == status
    (span,) = [span for span in traced.spans if span.kind is trace.SpanKind.SERVER]
    assert span.attributes["http.response.status_code"] == status


def test_flask_inside_adds_no_second_span():
    flask = pytest.importorskip("flask")
    shop = flask.Flask("shop")
    shop.add_url_rule("/users/<name>", view_func=lambda name: name)
    with instrumented("tornado-web", "flask") as traced:
        assert visit("/users/me", wsgi.WSGIContainer(shop)) == (200, b"me")
    assert traced.span.name == "GET /users/<name>"


def test_what_the_operator_chooses():
    chosen = {
        "OTEL_PYTHON_TORNADO_WEB_EXCLUDED_URLS": "old",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "X-Tenant",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE": "X-Kind,Content-Type",
    }
    with instrumented("opentelemetry", "tornado-web", **chosen) as traced:
        assert visit("/old") == (200, b"old")
        visit("/users/me", headers={"X-Tenant": "me"})
    assert traced.span.attributes["http.request.header.x-tenant"] == ["me"]
    assert traced.span.attributes["http.response.header.x-kind"] == ["user"]
    assert traced.span.attributes["http.response.header.content-type"] == ["text/html; charset=UTF-8"]


APPLICATION = """
import asyncio, sqlite3
from tornado import httpclient, httpserver, netutil, web

class User(web.RequestHandler):
    def get(self, number):
        sqlite3.connect(":memory:").execute("SELECT 1").fetchone()
        self.write("user " + number)

class Relay(web.RequestHandler):
    async def get(self):
        answer = await httpclient.AsyncHTTPClient().fetch(f"http://{self.request.host}/users/8")
        self.write(answer.body)

async def main():
    (listener,) = netutil.bind_sockets(0, "127.0.0.1")
    server = httpserver.HTTPServer(web.Application([(r"/users/([0-9]+)", User), ("/relay", Relay)]))
    server.add_socket(listener)
    print("127.0.0.1:%d" % listener.getsockname()[1], flush=True)
    await asyncio.Event().wait()

try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
"""


@pytest.mark.slow
def test_a_program_of_a_users(tmp_path, arrivals):
    sandbox = Sandbox(tmp_path, OTEL_SERVICE_NAME="shop", **arrivals.environ)
    sandbox.write("shop.py", APPLICATION)
    with serving(sandbox, "python", "shop.py") as server:
        server.find_port()
        answer = server.request("/relay")
        assert (answer.status, answer.body) == (200, b"user 8"), server.log
        assert server.stop(2) == 0, server.log
        assert server.said == []
    assert arrivals.tree == (
        "shop autotrace.tornado-web SERVER GET /relay\n"
        "  shop autotrace.tornado-client CLIENT GET\n"
        "    shop autotrace.tornado-web SERVER GET /users/{1}\n"
        "      shop autotrace.sqlite3 CLIENT SELECT\n"
    )
