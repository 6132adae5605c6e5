"""FastAPI by its test client: one server span per request, named by the whole template."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException, WebSocket
from fastapi.testclient import TestClient
from instrumented import instrumented
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode


@pytest.fixture
def traced():
    with instrumented("opentelemetry", "starlette", "fastapi") as traced:
        yield traced


def span(name):
    return trace.get_tracer("app").start_as_current_span(name)


def clean_up():
    with span("background"):
        pass


def user():
    with span("dependency"):
        return "ada"


def add_routes(router):
    @router.get("/items/{number}")
    async def item(number: int):
        return number

    @router.websocket("/echo/{room}")
    async def echo(websocket: WebSocket, room: str):
        await websocket.accept()
        await websocket.send_text(room)
        await websocket.close()

    return router


def make_app():
    app = add_routes(FastAPI())
    # `def` runs on another thread.

    @app.get("/sync/{name}")
    def sync(name: str, tasks: BackgroundTasks, user: str = Depends(user)):
        tasks.add_task(clean_up)
        with span("view"):
            return [name, user]

    @app.get("/boom")
    def boom():
        raise ValueError("no")

    @app.get("/gone")
    async def gone():
        raise HTTPException(410)

    inner = add_routes(APIRouter(prefix="/inner/{level}"))
    outer = APIRouter(prefix="/outer")
    outer.include_router(inner)
    app.include_router(outer, prefix="/v1")
    app.mount("/sub/{tenant}", add_routes(FastAPI()))
    return app


@pytest.fixture
def client():
    return TestClient(make_app(), raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("/items/7", 200, "GET /items/{number}"),
        ("/items/x", 422, "GET /items/{number}"),
        ("/v1/outer/inner/2/items/7", 200, "GET /v1/outer/inner/{level}/items/{number}"),
        ("/v1/outer/inner/2/items/x", 422, "GET /v1/outer/inner/{level}/items/{number}"),
        ("/v1/outer/nothing", 404, "GET"),
        ("/sub/7/items/7", 200, "GET /sub/{tenant}/items/{number}"),
        ("/sub/7/nothing", 404, "GET /sub/{tenant}"),
        ("/gone", 410, "GET /gone"),
        ("/nothing", 404, "GET"),
        ("/boom", 500, "GET /boom"),
        ("/openapi.json", 200, "GET /openapi.json"),
    ],
)
def test_the_route_is_the_whole_template(traced, client, path, status, name):
    assert client.get(path).status_code == status
    assert traced.span.name == name
    assert traced.span.attributes["http.response.status_code"] == status
    assert traced.span.instrumentation_scope.name == "autotrace.fastapi"


def test_another_method(traced, client):
    assert client.post("/items/7").status_code == 405
    assert client.post("/v1/outer/inner/2/items/7").status_code == 405
    assert {span.name for span in traced.spans} == {
        "POST /items/{number}",
        "POST /v1/outer/inner/{level}/items/{number}",
    }


@pytest.mark.parametrize("prefix", ["", "/v1/outer/inner/2", "/sub/7"])
def test_websockets(traced, client, prefix):
    with client.websocket_connect(f"{prefix}/echo/lobby") as websocket:
        assert websocket.receive_text() == "lobby"
    template = {"": "", "/v1/outer/inner/2": "/v1/outer/inner/{level}", "/sub/7": "/sub/{tenant}"}[prefix]
    assert traced.span.name == f"GET {template}/echo/{{room}}"
    assert traced.span.attributes["websocket.messages.sent"] == 1


def test_what_runs_for_a_request_is_its_child(traced, client):
    assert client.get("/sync/you").json() == ["you", "ada"]
    request = traced.by_name("GET /sync/{name}")
    assert [span.name for span in traced.spans] == ["dependency", "view", request.name, "background"]
    assert {span.parent_id for span in traced.spans if span is not request} == {request.span_id}


def test_an_exception_is_recorded_once(traced, client):
    client.get("/boom")
    assert traced.span.status.status_code is StatusCode.ERROR
    assert traced.span.attributes["error.type"] == "ValueError"
    assert [event.name for event in traced.span.events] == ["exception"]


def test_a_validation_error_is_no_error(traced, client):
    client.get("/items/x")
    assert traced.span.status.status_code is StatusCode.UNSET
    assert traced.span.events == ()


@pytest.fixture
def own():
    """A provider of the application's."""
    provider = TracerProvider()
    provider.ended = InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(provider.ended))
    return provider


def test_with_a_provider_of_the_applications_fastapi_makes_the_only_span(traced, own):
    app = FastAPI(telemetry={"tracer_provider": own, "operation_spans": False})

    @app.get("/users/{number}")
    async def user(number: int):
        with traced.tracer.start_as_current_span("child of ours"):
            return number

    TestClient(app).get("/users/7")
    (server,) = own.ended.get_finished_spans()
    assert (server.name, server.kind) == ("GET /users/{number}", trace.SpanKind.SERVER)
    assert (traced.span.name, traced.span.parent_id) == ("child of ours", server.context.span_id)


def test_one_that_fastapi_is_told_not_to_trace_is_ours(traced, own):
    app = add_routes(FastAPI(telemetry={"tracer_provider": own, "tracing": False}))
    TestClient(app).get("/items/7")
    assert own.ended.get_finished_spans() == ()
    assert traced.span.name == "GET /items/{number}"
