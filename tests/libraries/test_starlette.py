"""Starlette by its test client: one server span per request, named by the whole template."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import httpx
import pytest
from a2wsgi import WSGIMiddleware
from instrumented import instrumented
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.testclient import TestClient


@pytest.fixture
def traced():
    with instrumented("opentelemetry", "starlette") as traced:
        yield traced


@pytest.fixture
def own_middleware():
    from starlette.middleware.opentelemetry import OpenTelemetryMiddleware

    return OpenTelemetryMiddleware


async def hello(_request):
    return PlainTextResponse("hello")


async def boom(_request):
    raise ValueError("no")


async def known(_request):
    raise KeyError("known")


async def stream(_request):
    async def chunks():
        for chunk in "ab":
            with trace.get_tracer("app").start_as_current_span(chunk):
                yield chunk

    def clean_up():
        with trace.get_tracer("app").start_as_current_span("background"):
            pass

    return StreamingResponse(chunks(), background=BackgroundTask(clean_up))


async def echo(websocket):
    await websocket.accept()
    await websocket.send_text(await websocket.receive_text())
    await websocket.close()


async def as_teapot(_request, _error):
    return PlainTextResponse("teapot", status_code=418)


class Passing(BaseHTTPMiddleware):
    async def dispatch(self, request, call_next):
        return await call_next(request)


HELLO = Route("/hello/{name:str}", hello, methods=["GET"])
FILES = Mount("/files/{kind}", app=PlainTextResponse("a file"))


def make_app(**more):
    return Starlette(
        routes=[
            HELLO,
            Route("/boom", boom),
            Route("/known", known),
            Route("/stream", stream),
            WebSocketRoute("/echo/{room}", echo),
            Mount("/shops/{shop}", routes=[HELLO, FILES]),
            Mount("/sub", app=Starlette(routes=[Mount("/deep", app=Router([HELLO, Route("/", hello)]))])),
            Host("api.{domain}", app=Router([Route("/by-host", hello)])),
            Mount("/", app=Starlette(routes=[Route("/in-root", hello)])),
        ],
        exception_handlers={KeyError: as_teapot},
        **more,
    )


@pytest.fixture
def client():
    return TestClient(make_app(), raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("/hello/you", 200, "GET /hello/{name:str}"),
        ("/shops/7/hello/you", 200, "GET /shops/{shop}/hello/{name:str}"),
        ("/shops/7/files/csv/1", 200, "GET /shops/{shop}/files/{kind}"),
        ("/shops/7/nothing", 404, "GET /shops/{shop}"),
        ("/sub/deep/hello/you", 200, "GET /sub/deep/hello/{name:str}"),
        ("/sub/deep/", 200, "GET /sub/deep/"),
        ("/in-root", 200, "GET /in-root"),
        ("/nothing", 404, "GET"),
        ("/boom", 500, "GET /boom"),
        ("/known", 418, "GET /known"),
    ],
)
def test_the_route_is_the_whole_template(traced, client, path, status, name):
    assert client.get(path).status_code == status
    assert traced.span.name == name
    assert traced.span.attributes.get("http.route", "") == name.partition(" ")[2]
    assert traced.span.attributes["http.response.status_code"] == status
    assert traced.span.attributes["url.path"] == path


def test_routes_by_host_and_for_another_method(traced, client):
    client.get("/by-host", headers={"host": "api.example"})
    assert client.post("/shops/7/hello/you").status_code == 405
    assert [span.name for span in traced.spans] == ["GET /by-host", "POST /shops/{shop}/hello/{name:str}"]


def test_a_redirect_to_a_slash_has_the_route_of_who_redirects(traced, client):
    assert client.get("/sub/deep", follow_redirects=False).status_code == 307
    assert traced.span.name == "GET /sub"


@pytest.mark.parametrize("debug", [False, True])
def test_an_exception_that_becomes_a_500(traced, debug):
    client = TestClient(make_app(debug=debug))
    with pytest.raises(ValueError, match="no"):
        client.get("/boom")
    assert traced.span.attributes["error.type"] == "ValueError"
    assert traced.span.status.status_code is StatusCode.ERROR
    assert [event.name for event in traced.span.events] == ["exception"]


def test_an_exception_that_the_application_handles_is_none(traced, client):
    client.get("/known")
    assert traced.span.status.status_code is StatusCode.UNSET
    assert traced.span.events == ()


@pytest.mark.parametrize("middleware", [(), (Middleware(Passing),)], ids=["bare", "middleware"])
def test_a_streamed_body_and_what_follows_it(traced, middleware):
    client = TestClient(make_app(middleware=middleware))
    assert client.get("/stream").text == "ab"
    names = [span.name for span in traced.spans]
    assert names == ["a", "b", "GET /stream", "background"]
    request = traced.by_name("GET /stream")
    assert {span.parent_id for span in traced.spans if span is not request} == {request.span_id}


def test_a_websocket(traced, client):
    with client.websocket_connect("/echo/lobby") as websocket:
        websocket.send_text("x")
        assert websocket.receive_text() == "x"
    assert traced.span.name == "GET /echo/{room}"
    assert traced.span.attributes["websocket.messages.received"] == 1
    assert traced.span.attributes["websocket.messages.sent"] == 1
    assert traced.span.attributes["websocket.close_code"] == 1000


def test_the_lifespan_makes_no_span(traced):
    with TestClient(make_app()):
        pass
    assert traced.spans == []


def test_applications_called_by_httpx_in_the_same_process(traced):
    async def ask():
        transport = httpx.ASGITransport(make_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return (await client.get("/hello/you")).text

    assert asyncio.run(ask()) == "hello"
    assert traced.span.name == "GET /hello/{name:str}"


def test_starlettes_own_middleware_adds_no_second_span(traced, own_middleware):
    client = TestClient(make_app(middleware=[Middleware(own_middleware)]))
    client.get("/shops/7/hello/you")
    assert traced.span.instrumentation_scope.name == "autotrace.starlette"
    assert traced.span.name == "GET /shops/{shop}/hello/{name:str}"


def test_with_a_provider_of_the_applications_its_middleware_makes_the_only_span(traced, own_middleware):
    theirs = TracerProvider()
    ended = InMemorySpanExporter()
    theirs.add_span_processor(SimpleSpanProcessor(ended))
    middleware = Middleware(own_middleware, tracer_provider=theirs)
    TestClient(make_app(middleware=[middleware])).get("/hello/you")
    assert [span.kind for span in ended.get_finished_spans()] == [trace.SpanKind.SERVER]
    assert traced.spans == []


def test_around_the_application_starlettes_own_middleware_makes_the_only_span(traced, own_middleware):
    TestClient(own_middleware(make_app())).get("/hello/you")
    assert traced.span.instrumentation_scope.name == "starlette"


def test_an_application_that_falls_back_to_another(traced):
    """A mount that was left counts no more."""
    first = Mount("/a", app=Router([Mount("/b", app=Router([]))]))
    second = Router([Route("/a/b/c", hello)])

    async def cascade(scope, receive, send):
        with suppress(HTTPException):
            await Router([first])(dict(scope), receive, send)
        await second(scope, receive, send)

    app = Starlette(routes=[Mount("/api", app=cascade)])
    assert TestClient(app).get("/api/a/b/c").text == "hello"
    assert traced.span.name == "GET /api/a/b/c"


def test_a_wsgi_application_mounted_inside_adds_no_second_span():
    flask = pytest.importorskip("flask")
    mounted = flask.Flask("mounted")

    @mounted.get("/users/<int:number>")
    def user(number):
        return str(number)

    app = Starlette(routes=[Mount("/old", WSGIMiddleware(mounted))])
    with instrumented("starlette", "flask") as traced:
        assert TestClient(app).get("/old/users/7").text == "7"
        assert mounted.test_client().get("/users/8").text == "8"
    first, second = traced.spans
    assert first.instrumentation_scope.name == "autotrace.starlette"
    assert (second.instrumentation_scope.name, second.name) == ("autotrace.flask", "GET /users/<int:number>")
