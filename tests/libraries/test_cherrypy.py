"""CherryPy: what its dispatchers, redirects and late exceptions tell the span of a request."""

from __future__ import annotations

import pytest
from instrumented import instrumented
from wsgi_calls import ask, exceptions

cherrypy = pytest.importorskip("cherrypy", reason="without the extra `libraries`")
cherrypy.config.update({"environment": "test_suite"})


class Albums:
    @cherrypy.expose
    def index(self, band=None):
        return f"albums of {band}"


@cherrypy.popargs("band")
class Bands:
    albums = Albums()

    @cherrypy.expose
    def index(self, band=None):
        return f"band {band}"


@cherrypy.expose
class Resource:
    def GET(self, number):
        return f"resource {number}"


class Page:
    @cherrypy.expose
    def index(self):
        return "page"


class Pages:
    """Its pages are of a database, say."""

    def __getattr__(self, name):
        if name.startswith("page"):
            return Page()
        raise AttributeError(name)


class Shop:
    bands = Bands()
    pages = Pages()
    resource = Resource()

    @cherrypy.expose
    def index(self):
        return "home"

    @cherrypy.expose
    def users(self, number, *more):
        return f"user {number} {more}"

    @cherrypy.expose
    def elsewhere(self):
        raise cherrypy.InternalRedirect("/users/7")

    @cherrypy.expose
    def away(self):
        raise cherrypy.HTTPRedirect("/users/7")

    @cherrypy.expose
    def broken(self):
        raise ValueError("no such thing")

    @cherrypy.expose
    @cherrypy.config(**{"request.throw_errors": True})
    def thrown(self):
        raise ValueError("no such thing")

    @cherrypy.expose
    @cherrypy.config(**{"response.stream": True})
    def late(self):
        yield "one "
        raise ValueError("no such thing")


CONFIG = {
    "/resource": {"request.dispatch": cherrypy.dispatch.MethodDispatcher()},
    "/": {"log.screen": False, "request.show_tracebacks": False},
}
VIRTUAL = {"/": {"request.dispatch": cherrypy.dispatch.VirtualHost(**{"bands.example": "/bands"})}}


@pytest.fixture
def traced():
    with instrumented("cherrypy") as traced:
        yield traced


@pytest.mark.parametrize("script_name", ["", "/shop"])
@pytest.mark.parametrize(
    ("path", "status", "route"),
    [
        ("/", 200, "/"),
        ("/users/7", 200, "/users"),
        ("/users/7/of/9/", 200, "/users"),
        ("//users//7", 200, "/users"),
        ("/bands/abba/", 200, "/bands/{band}"),
        ("/bands/abba/albums/", 200, "/bands/{band}/albums"),
        ("/pages/page7/", 200, "/pages/{}"),
        ("/resource/7", 200, "/resource"),
        ("/elsewhere", 200, "/users"),
        ("/away", 302, "/away"),
        ("/nowhere/7", 404, None),
        ("/broken", 500, "/broken"),
        ("/thrown", 500, "/thrown"),
        ("/late", 200, "/late"),
    ],
)
def test_the_route_is_of_names_in_the_tree(traced, script_name, path, status, route):
    tree = cherrypy._cptree.Tree()
    tree.mount(Shop(), script_name, CONFIG)
    assert ask(tree, script_name + path)[0] == status
    span = traced.span
    named = None if route is None else (script_name + route).rstrip("/") or "/"
    assert span.attributes.get("http.route") == named
    assert span.name == (f"GET {named}" if named else "GET")
    failed = path in {"/broken", "/thrown", "/late"}
    assert exceptions(span) == ["ValueError"] * failed
    assert span.attributes.get("error.type") == ("ValueError" if failed else None)


def test_a_virtual_host(traced):
    application = cherrypy.Application(Shop(), "", VIRTUAL)
    assert ask(application, "/abba/", HTTP_HOST="bands.example") == (200, "band abba")
    assert traced.span.name == "GET /{band}"


def test_hooks_and_tools_are_in_the_trace(traced):
    seen = []

    def watch():
        with traced.tracer.start_as_current_span("tool"):
            seen.append("tool")

    class Watched:
        @cherrypy.expose
        @cherrypy.config(**{"hooks.before_handler": watch, "hooks.on_end_request": watch})
        def index(self):
            return "home"

    assert ask(cherrypy.Application(Watched(), ""), "/") == (200, "home")
    (server,) = [span for span in traced.spans if span.name == "GET /"]
    tools = [span.parent.span_id for span in traced.spans if span.name == "tool"]
    assert tools == [server.context.span_id] * 2
