"""Falcon: its error handlers, sinks, hooks and websockets, by its own test clients."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import pytest
from instrumented import instrumented
from wsgi_calls import exceptions

falcon = pytest.importorskip("falcon", reason="without the extra `libraries`")
pytest.importorskip("falcon.asgi")
pytest.importorskip("falcon.testing")
pytestmark = pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning")


@pytest.fixture
def traced():
    with instrumented("falcon") as traced:
        yield traced


class Sync:
    def on_get(self, _request, response, number):
        if number == 500:
            raise ValueError("no such thing")
        if number == 422:
            raise LookupError("the application's handler takes it")
        if number == 503:
            raise falcon.HTTPServiceUnavailable
        response.text = f"user {number}"


class Async:
    def __init__(self):
        self.ended = asyncio.Event()

    async def on_get(self, request, response, number):
        Sync().on_get(request, response, number)

    async def on_websocket(self, _request, websocket, number):
        await websocket.accept()
        try:
            await websocket.send_text(await websocket.receive_text())
        finally:
            self.ended.set()
        if number == 500:
            raise ValueError("no such thing")


def sink(_request, response):
    response.text = "sink"


async def async_sink(request, response):
    sink(request, response)


def take(_request, response, _error, _parameters):
    response.status = falcon.HTTP_422


async def async_take(request, response, error, parameters):
    take(request, response, error, parameters)


def apologise(_request, response, _error, _parameters):
    response.status = HTTPStatus.INTERNAL_SERVER_ERROR
    response.text = "sorry"


async def async_apologise(request, response, error, parameters):
    apologise(request, response, error, parameters)


def client(kind, apologetic):
    app = falcon.App() if kind == "wsgi" else falcon.asgi.App()
    app.add_route("/users/{number:int}", Sync() if kind == "wsgi" else Async())
    app.add_sink(sink if kind == "wsgi" else async_sink, "/sink")
    app.add_error_handler(LookupError, take if kind == "wsgi" else async_take)
    if apologetic:
        app.add_error_handler(Exception, apologise if kind == "wsgi" else async_apologise)
    return falcon.testing.TestClient(app)


@pytest.mark.parametrize("kind", ["wsgi", "asgi"])
@pytest.mark.parametrize("apologetic", [False, True])
@pytest.mark.parametrize(
    ("path", "status", "name", "recorded"),
    [
        ("/users/7", 200, "GET /users/{number:int}", []),
        ("/users/422", 422, "GET /users/{number:int}", []),
        ("/users/500", 500, "GET /users/{number:int}", ["ValueError"]),
        ("/users/503", 503, "GET /users/{number:int}", []),
        ("/users/ada", 404, "GET", []),
        ("/sink/7", 200, "GET", []),
    ],
)
def test_requests(traced, kind, apologetic, path, status, name, recorded):
    assert client(kind, apologetic).simulate_get(path).status_code == status
    span = traced.span
    assert (span.name, span.attributes["http.response.status_code"]) == (name, status)
    assert exceptions(span) == recorded
    assert span.attributes.get("error.type") == (
        recorded[0] if recorded else str(status) if status > 499 else None
    )


@pytest.mark.parametrize(("number", "recorded"), [(7, []), (500, ["ValueError"])])
def test_a_websocket(traced, number, recorded):
    async def talk():
        app, user = falcon.asgi.App(), Async()
        app.add_route("/users/{number:int}", user)
        async with (
            falcon.testing.ASGIConductor(app) as conductor,
            conductor.simulate_ws(f"/users/{number}") as connection,
        ):
            await connection.send_text("x")
            return await connection.receive_text()

    assert asyncio.run(talk()) == "x"
    span = traced.span
    assert span.name == "GET /users/{number:int}"
    assert (span.attributes["websocket.messages.received"], span.attributes["websocket.messages.sent"]) == (
        1,
        1,
    )
    assert exceptions(span) == recorded


def test_a_websocket_whose_client_goes_away_is_no_error(traced):
    async def leave():
        app, user = falcon.asgi.App(), Async()
        app.add_route("/users/{number:int}", user)
        async with (
            falcon.testing.ASGIConductor(app) as conductor,
            conductor.simulate_ws("/users/7") as connection,
        ):
            await connection.close()
            await user.ended.wait()

    asyncio.run(leave())
    assert exceptions(traced.span) == []
    assert "error.type" not in traced.span.attributes


def test_a_hook_and_a_middleware_are_in_the_trace(traced):
    seen = []

    def before(*_arguments):
        with traced.tracer.start_as_current_span("before"):
            seen.append("before")

    class Middleware:
        def process_request(self, _request, _response):
            with traced.tracer.start_as_current_span("middleware"):
                seen.append("middleware")

    app = falcon.App(middleware=[Middleware()])
    app.add_route("/users/{number:int}", falcon.before(before)(Sync)())
    assert falcon.testing.TestClient(app).simulate_get("/users/7").text == "user 7"
    assert seen == ["middleware", "before"]
    server = traced.by_name("GET /users/{number:int}")
    assert [traced.by_name(name).parent.span_id for name in seen] == [server.context.span_id] * 2
