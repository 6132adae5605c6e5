"""Quart by its test client: one server span per request, named by the rule."""

from __future__ import annotations

import asyncio

import pytest
from instrumented import instrumented
from opentelemetry.trace import StatusCode
from quart import Blueprint, Quart, websocket


@pytest.fixture
def traced():
    with instrumented("quart") as traced:
        yield traced


def make_app():
    app = Quart("shop")
    users = Blueprint("users", "users", url_prefix="/users")

    @users.get("/<int:number>")
    async def user(number):
        return str(number)

    @app.get("/sync/<name>")
    def sync(name):
        return name

    @app.get("/boom")
    async def boom():
        raise ValueError("no")

    @app.get("/stream")
    async def stream():
        async def chunks():
            yield b"a"
            yield b"b"

        return chunks()

    @app.websocket("/echo/<room>")
    async def echo(room):
        await websocket.send(await websocket.receive())

    app.register_blueprint(users)
    return app


@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("/users/7", 200, "GET /users/<int:number>"),
        ("/sync/ada", 200, "GET /sync/<name>"),
        ("/stream", 200, "GET /stream"),
        ("/users/ada", 404, "GET"),
        ("/boom", 500, "GET /boom"),
    ],
)
def test_the_route_is_the_rule(traced, path, status, name):
    answer = asyncio.run(make_app().test_client().get(path))
    assert answer.status_code == status
    assert traced.span.name == name
    assert traced.span.attributes["http.response.status_code"] == status


def test_an_exception_is_recorded_once(traced):
    asyncio.run(make_app().test_client().get("/boom"))
    assert traced.span.status.status_code is StatusCode.ERROR
    assert traced.span.attributes["error.type"] == "ValueError"
    assert [event.name for event in traced.span.events] == ["exception"]


def test_a_websocket(traced):
    async def talk():
        async with make_app().test_client().websocket("/echo/lobby") as connection:
            await connection.send("x")
            return await connection.receive()

    assert asyncio.run(talk()) == "x"
    assert traced.span.name == "GET /echo/<room>"
    assert traced.span.attributes["websocket.messages.sent"] == 1
