"""Bottle: what its mounts, error pages and late exceptions tell the span of a request."""

from __future__ import annotations

import pytest
from instrumented import instrumented
from wsgi_calls import ask, exceptions

bottle = pytest.importorskip("bottle", reason="without the extra `libraries`")
pytestmark = pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning")


@pytest.fixture
def traced():
    with instrumented("bottle") as traced:
        yield traced


def plain(environ, start_response):
    start_response("200 OK", [])
    return [environ["PATH_INFO"].encode()]


def shop():
    app = bottle.Bottle()
    app.get("/users/<number:int>", callback=lambda number: f"user {number}")
    return app


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the second way of mounting
@pytest.mark.parametrize("prefix", ["/shop/", "/shop"])
@pytest.mark.parametrize(
    ("path", "status", "name"),
    [
        ("/shop/users/7", 200, "GET /shop/users/<number:int>"),
        ("/shop/nowhere", 404, "GET"),
        ("/plain/file/7", 200, "GET /plain"),
    ],
)
def test_a_mounted_application_is_named_with_its_prefix(traced, prefix, path, status, name):
    app = bottle.Bottle()
    app.mount(prefix, shop())
    app.mount("/plain/", plain)
    assert ask(app, path)[0] == status
    assert traced.span.name == name


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mounts_in_mounts(traced):
    inner, outer = bottle.Bottle(), bottle.Bottle()
    inner.mount("/inner", shop())
    outer.mount("/outer", inner)
    assert ask(outer, "/outer/inner/users/7") == (200, "user 7")
    assert traced.span.name == "GET /outer/inner/users/<number:int>"


def test_an_exception_in_a_generator(traced):
    app = bottle.Bottle()

    @app.get("/late")
    def late():
        raise KeyError("late")
        yield ""

    assert ask(app, "/late")[0] == 500
    assert exceptions(traced.span) == ["KeyError"]


def test_the_reason_for_a_4xx_is_no_error(traced):
    app = bottle.Bottle()

    @app.get("/refused")
    def refused():
        raise bottle.HTTPError(400, "not like this", ValueError("cannot be parsed"))

    assert ask(app, "/refused")[0] == 400
    assert exceptions(traced.span) == []
    assert not traced.span.attributes.get("error.type")


def test_an_error_page_that_fails(traced):
    app = bottle.Bottle()

    @app.error(404)
    def sorry(_error):
        raise LookupError("no page either")

    assert ask(app, "/nowhere")[0] == 500
    assert exceptions(traced.span) == ["LookupError"]


def test_an_application_that_lets_exceptions_out(traced):
    app = bottle.Bottle()
    app.config["catchall"] = False

    @app.get("/broken")
    def broken():
        raise KeyError("broken")

    with pytest.raises(KeyError):
        ask(app, "/broken")
    assert traced.span.name == "GET /broken"
    assert exceptions(traced.span) == ["KeyError"]
