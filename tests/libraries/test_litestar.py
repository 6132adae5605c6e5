"""Litestar by its test client and under uvicorn: one server span per request, named by the whole template."""

from __future__ import annotations

from typing import Any

import pytest
from instrumented import instrumented
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from programs import Sandbox
from servers import serving

pytest.importorskip("litestar", reason="without the extra `libraries`")

from litestar import Controller, Litestar, Request, Response, Router, WebSocket, asgi, get, websocket
from litestar.background_tasks import BackgroundTask
from litestar.exceptions import HTTPException, PermissionDeniedException, WebSocketDisconnect
from litestar.middleware import DefineMiddleware
from litestar.response import Stream
from litestar.testing import TestClient
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"


@pytest.fixture
def traced():
    with instrumented("opentelemetry", "litestar", "starlette") as traced:
        yield traced


def mark(name):
    """A span of the application's own."""
    with trace.get_tracer("app").start_as_current_span(name):
        pass


@get("/users/{number:int}", sync_to_thread=False)
def user(request: Request) -> str:
    return f"user {request.path_params['number']}"


@get("/files/{path:path}")
async def file(request: Request) -> str:
    return request.path_params["path"]


@get("/in-thread", sync_to_thread=True)
def in_thread() -> str:
    mark("thread")
    return "thread"


@get("/failing/{how:str}")
async def failing(request: Request) -> str:
    how = request.path_params["how"]
    if how == "denied":
        raise PermissionDeniedException
    if how == "unavailable":
        raise HTTPException(status_code=503)
    raise {"known": KeyError, "reported": LookupError}.get(how, ValueError)("no")


@get("/stream")
async def stream() -> Stream:
    async def chunks() -> Any:
        for chunk in "ab":
            mark(chunk)
            yield chunk

    return Stream(chunks(), background=BackgroundTask(mark, "background"))


class Books(Controller):
    path = "/books"

    @get("/{title:str}")
    async def book(self, request: Request) -> str:
        return request.path_params["title"]


@asgi("/mounted", is_mount=True, copy_scope=True)
async def mounted(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"mounted"})


inside = Starlette(routes=[Route("/hello/{name}/", lambda _request: PlainTextResponse("hello"))])
starlette = asgi("/starlette", is_mount=True, copy_scope=True)(inside)


@websocket("/echo/{room:str}")
async def echo(socket: WebSocket) -> None:
    await socket.accept()
    text = await socket.receive_text()
    if text == "boom":
        raise ValueError("no")
    await socket.send_text(text)
    await socket.close()


class Marking:
    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if any(name == b"x-refuse" for name, _ in scope.get("headers", ())):
            await send({"type": "http.response.start", "status": 401, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        mark("middleware")
        await self.app(scope, receive, send)


def make_app(**settings):
    marked = Router("/marked", route_handlers=[user], middleware=[DefineMiddleware(Marking)])
    return Litestar(
        [
            user,
            file,
            in_thread,
            failing,
            stream,
            mounted,
            starlette,
            echo,
            marked,
            Router("/shops/{shop:str}", route_handlers=[Books]),
        ],
        exception_handlers={
            KeyError: lambda _request, _error: Response("teapot", status_code=418),
            LookupError: lambda _request, _error: Response("reported", status_code=500),
        },
        openapi_config=None,
        **settings,
    )


@pytest.fixture
def client():
    with TestClient(make_app(), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("/users/7", 200, "GET /users/{number}"),
        ("/users/7/", 200, "GET /users/{number}"),
        ("/users/x", 404, "GET"),
        ("/files/a/b.txt", 200, "GET /files/{path}"),
        ("/shops/a/books/b", 200, "GET /shops/{shop}/books/{title}"),
        ("/failing/denied", 403, "GET /failing/{how}"),
        ("/failing/known", 418, "GET /failing/{how}"),
        ("/nowhere", 404, "GET"),
    ],
)
def test_the_route_is_the_whole_template(traced, client, path, status, name):
    assert client.get(path).status_code == status
    assert (traced.span.name, traced.span.kind) == (name, trace.SpanKind.SERVER)
    assert traced.span.attributes.get("http.route", "") == name.partition(" ")[2]
    assert traced.span.attributes["http.response.status_code"] == status
    assert traced.span.status.status_code is StatusCode.UNSET
    assert traced.span.events == ()


def test_mounted_applications(traced, client):
    for path in ("/mounted/x/y", "/mounted", "/starlette/hello/you"):
        assert client.get(path).status_code == 200
        assert traced.spans[-1].attributes["url.path"] == path
    names = [span.name for span in traced.spans]
    assert names == ["GET /mounted", "GET /mounted", "GET /starlette/hello/{name}/"]


@pytest.mark.parametrize(
    ("how", "status", "kind", "events"),
    [
        ("boom", 500, "ValueError", 1),
        ("reported", 500, "LookupError", 1),
        ("unavailable", 503, "503", 0),
    ],
)
@pytest.mark.parametrize("debug", [True, False])
def test_errors(traced, how, status, kind, events, debug):
    with TestClient(make_app(debug=debug), raise_server_exceptions=False) as client:
        assert client.get(f"/failing/{how}").status_code == status
    assert (traced.span.name, traced.span.status.status_code) == ("GET /failing/{how}", StatusCode.ERROR)
    assert traced.span.attributes["http.response.status_code"] == status
    assert traced.span.attributes["error.type"] == kind
    assert len(traced.span.events) == events


def test_what_runs_for_a_request_is_below_it(traced, client):
    assert client.get("/stream", headers={"traceparent": TRACEPARENT}).text == "ab"
    request = traced.by_name("GET /stream")
    assert [span.name for span in traced.spans] == ["a", "b", "GET /stream", "background"]
    assert {span.parent_id for span in traced.spans if span is not request} == {request.span_id}
    assert (f"{request.trace_id:032x}", f"{request.parent_id:016x}") == (TRACE, "b7ad6b7169203331")
    traced.spans.clear()
    client.get("/in-thread")
    assert traced.by_name("thread").parent_id == traced.by_name("GET /in-thread").span_id


def test_middleware(traced, client):
    client.get("/marked/users/7")
    assert traced.by_name("middleware").parent_id == traced.by_name("GET /marked/users/{number}").span_id
    traced.spans.clear()
    assert client.get("/marked/users/7", headers={"x-refuse": "yes"}).status_code == 401
    assert traced.span.name == "GET /marked/users/{number}"


@pytest.mark.parametrize("text", ["x", "boom"])
def test_a_websocket_is_one_span(traced, client, text):
    with client.websocket_connect("/echo/lobby") as socket:
        socket.send_text(text)
        if text == "boom":
            with pytest.raises(WebSocketDisconnect):
                socket.receive()
        else:
            assert socket.receive()["text"] == text
    assert traced.span.name == "GET /echo/{room}"
    assert traced.span.attributes["websocket.messages.received"] == 1
    assert traced.span.attributes["websocket.messages.sent"] == (text == "x")
    assert traced.span.attributes.get("error.type") == (None if text == "x" else "ValueError")


def test_what_the_operator_chooses():
    chosen = {
        "OTEL_PYTHON_LITESTAR_EXCLUDED_URLS": "in-thread",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "X-Tenant",
    }
    with instrumented("opentelemetry", "litestar", **chosen) as traced, TestClient(make_app()) as client:
        assert client.get("/in-thread").text == "thread"
        client.get("/users/7", headers={"X-Tenant": "me"})
    assert traced.span.attributes["http.request.header.x-tenant"] == ["me"]


APPLICATION = """
import sqlite3
from litestar import Litestar, Request, get

@get("/users/{number:int}", sync_to_thread=True)
def user(request: Request) -> str:
    sqlite3.connect(":memory:").execute("SELECT 1").fetchone()
    return f"user {request.path_params['number']}"

@get("/broken")
async def broken() -> str:
    raise ValueError("no such thing")

app = Litestar([user, broken])
"""


@pytest.mark.slow
def test_a_program_of_a_users(tmp_path, arrivals):
    sandbox = Sandbox(tmp_path, OTEL_SERVICE_NAME="shop", **arrivals.environ)
    sandbox.write("shop.py", APPLICATION)
    with serving(sandbox, "uvicorn", "--port", "0", "shop:app") as server:
        server.find_port()
        assert server.request("/users/7").body == b"user 7", server.log
        assert server.request("/broken").status == 500
        server.stop()
        assert server.said == []
    assert arrivals.tree == (
        "shop autotrace.uvicorn SERVER GET /users/{number}\n"
        "  shop autotrace.sqlite3 CLIENT SELECT\n"
        "shop autotrace.uvicorn SERVER GET /broken ERROR\n"
    )
    assert arrivals.named("GET /broken").attributes["error.type"] == "ValueError"
