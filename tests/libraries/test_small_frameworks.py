"""Bottle, Falcon, Pyramid and CherryPy: one span a request, named by the route, whoever serves it."""

from __future__ import annotations

import asyncio
import textwrap
from wsgiref.util import setup_testing_defaults

import pytest
from instrumented import instrumented
from network_servers import running, wait_until
from opentelemetry.trace import StatusCode

pytest.importorskip("falcon", reason="without the extra `libraries`")
# Pyramid's own imports.
pytestmark = [
    pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:pkg_resources is deprecated:UserWarning"),
    pytest.mark.filterwarnings("ignore:Deprecated call to `pkg_resources:DeprecationWarning"),
]

APPLICATIONS = {
    "bottle": """
        import bottle

        application = app = bottle.Bottle()

        @app.get("/users/<number:int>")
        def user(number):
            return f"user {number}"

        @app.get("/refused")
        def refused():
            raise bottle.HTTPError(403, "not for you")

        @app.get("/broken")
        def broken():
            raise ValueError("no such thing")

        @app.get("/stream")
        def stream():
            yield "one "
            yield "two"
    """,
    "falcon": """
        import falcon

        class User:
            def on_get(self, request, response, number):
                response.text = f"user {number}"

        class Refused:
            def on_get(self, request, response):
                raise falcon.HTTPForbidden(title="not for you")

        class Broken:
            def on_get(self, request, response):
                raise ValueError("no such thing")

        class Stream:
            def on_get(self, request, response):
                response.stream = iter([b"one ", b"two"])

        application = falcon.App()
        application.add_route("/users/{number:int}", User())
        application.add_route("/refused", Refused())
        application.add_route("/broken", Broken())
        application.add_route("/stream", Stream())
    """,
    "pyramid": """
        from pyramid.config import Configurator
        from pyramid.httpexceptions import HTTPForbidden
        from pyramid.response import Response

        def refused(request):
            raise HTTPForbidden("not for you")

        def broken(request):
            raise ValueError("no such thing")

        def sorry(error, request):
            return Response("sorry", status=500)

        with Configurator() as config:
            config.add_route("user", "/users/{number}")
            config.add_view(lambda r: Response("user " + r.matchdict["number"]), route_name="user")
            config.add_route("refused", "/refused")
            config.add_view(refused, route_name="refused")
            config.add_route("broken", "broken")
            config.add_view(broken, route_name="broken")
            config.add_route("stream", "/stream")
            config.add_view(lambda request: Response(app_iter=iter([b"one ", b"two"])), route_name="stream")
            config.add_exception_view(sorry, context=ValueError)
            application = config.make_wsgi_app()
    """,
    "cherrypy": """
        import cherrypy

        class Shop:
            @cherrypy.expose
            def users(self, number):
                return f"user {number}"

            @cherrypy.expose
            def refused(self):
                raise cherrypy.HTTPError(403, "not for you")

            @cherrypy.expose
            def broken(self):
                raise ValueError("no such thing")

            @cherrypy.expose
            def stream(self):
                yield "one "
                yield "two"

        cherrypy.config.update({"log.screen": False, "environment": "embedded"})
        application = cherrypy.Application(Shop(), "", {"/": {"request.show_tracebacks": False}})
    """,
}
ROUTES = {
    "bottle": "/users/<number:int>",
    "falcon": "/users/{number:int}",
    "pyramid": "/users/{number}",
    "cherrypy": "/users",
}


def application_of(library):
    names = {"__name__": __name__}
    exec(textwrap.dedent(APPLICATIONS[library]), names)
    return names["application"]


def ask(application, path, **more):
    environ = {"PATH_INFO": path, **more}
    setup_testing_defaults(environ)
    started = []
    body = application(environ, lambda status, *_: started.append(status))
    try:
        return started[-1][:3], b"".join(body).decode()
    finally:
        if hasattr(body, "close"):
            body.close()


@pytest.fixture(params=APPLICATIONS)
def library(request):
    return request.param


@pytest.fixture
def traced(library):
    __import__(library)
    if library == "pyramid":
        import pyramid.router
        import pyramid.tweens  # noqa: F401
    with instrumented(library) as traced:
        yield traced


@pytest.mark.parametrize(
    ("path", "status", "named"),
    [
        ("/users/7", 200, True),
        ("/refused", 403, True),
        ("/broken", 500, True),
        ("/stream", 200, True),
        ("/nowhere", 404, False),
    ],
)
def test_a_request_is_one_span_named_by_its_route(library, traced, path, status, named):
    answered, text = ask(application_of(library), path)
    assert int(answered) == status
    if path == "/stream":
        assert text == "one two"
    span = traced.span
    route = ROUTES[library] if path == "/users/7" else path
    assert span.name == (f"GET {route}" if named else "GET")
    assert span.attributes.get("http.route") == (route if named else None)
    assert span.attributes["http.response.status_code"] == status
    assert (span.status.status_code is StatusCode.ERROR) == (status == 500)
    errors = [event.attributes["exception.type"] for event in span.events]
    assert errors == (["ValueError"] if path == "/broken" else [])


def test_what_a_handler_does_is_below_the_request(library, traced):
    application = application_of(library)
    seen = []

    def tracing(environ, start_response):
        seen.append(traced.tracer)
        return application(environ, start_response)

    caller = {"HTTP_TRACEPARENT": f"00-{7:032x}-{5:016x}-01"}
    ask(tracing, "/users/7", **caller)
    assert (traced.span.context.trace_id, traced.span.parent.span_id) == (7, 5)


def test_an_application_mounted_in_bottle_is_named_with_its_prefix():
    import bottle

    with instrumented("bottle") as traced:
        outer, inner = bottle.Bottle(), application_of("bottle")
        outer.mount("/shop/", inner)
        assert ask(outer, "/shop/users/7") == ("200", "user 7")
        assert traced.span.name == "GET /shop/users/<number:int>"


def test_an_exception_in_a_generator_of_bottle():
    import bottle

    app = bottle.Bottle()

    @app.get("/late")
    def late():
        raise KeyError("late")
        yield ""

    with instrumented("bottle") as traced:
        assert ask(app, "/late")[0] == "500"
        assert [event.attributes["exception.type"] for event in traced.span.events] == ["KeyError"]


def test_an_exception_that_pyramid_has_no_view_for():
    from pyramid.config import Configurator

    def broken(_request):
        raise KeyError("nobody takes it")

    with Configurator() as config:
        config.add_route("broken", "/broken")
        config.add_view(broken, route_name="broken")
        application = config.make_wsgi_app()
    with instrumented("pyramid") as traced:
        with pytest.raises(KeyError):
            ask(application, "/broken")
        assert traced.span.name == "GET /broken"
        assert [event.attributes["exception.type"] for event in traced.span.events] == ["KeyError"]


FALCON_ASGI = """
    import falcon.asgi

    class User:
        async def on_get(self, request, response, number):
            response.text = f"user {number}"

        async def on_websocket(self, request, websocket, number):
            await websocket.accept()
            await websocket.send_text(await websocket.receive_text())
            await websocket.close()

    class Broken:
        async def on_get(self, request, response):
            raise ValueError("no such thing")

    application = falcon.asgi.App()
    application.add_route("/users/{number:int}", User())
    application.add_route("/broken", Broken())
"""


def test_falcon_on_asgi():
    import falcon.asgi
    import falcon.testing

    async def requests():
        names = {"__name__": __name__}
        exec(textwrap.dedent(FALCON_ASGI), names)
        async with falcon.testing.ASGIConductor(names["application"]) as client:
            found = [
                (await client.simulate_get(path)).status_code for path in ("/users/7", "/broken", "/none")
            ]
            async with client.simulate_ws("/users/7") as connection:
                await connection.send_text("x")
                assert await connection.receive_text() == "x"
            return found

    with instrumented("falcon") as traced:
        assert asyncio.run(requests()) == [200, 500, 404]
        assert [span.name for span in traced.spans] == [
            "GET /users/{number:int}",
            "GET /broken",
            "GET",
            "GET /users/{number:int}",
        ]
        (broken,) = [span for span in traced.spans if span.name == "GET /broken"]
        assert [event.attributes["exception.type"] for event in broken.events] == ["ValueError"]


@pytest.mark.parametrize("name", [*APPLICATIONS, "falcon on asgi"])
def test_from_outside_under_a_server(name, sandbox, arrivals):
    """The server makes the span, the framework names it."""
    sandbox.write("shop.py", APPLICATIONS.get(name, FALCON_ASGI))
    command = ("waitress-serve", "--listen=127.0.0.1:PORT", "shop:application")
    if name == "falcon on asgi":
        command = ("uvicorn", "--port", "PORT", "--log-level", "warning", "shop:application")
    with running(sandbox, *command, **arrivals.environ) as server:
        assert server.get("/users/7") == "user 7"
        server.get("/broken")
        wait_until(lambda: len(arrivals.spans) == 2)  # waitress ends by the signal itself
    route = ROUTES.get(name, ROUTES["falcon"])
    assert [(span.name, span.kind, span.failed) for span in arrivals.spans] == [
        (f"GET {route}", "SERVER", False),
        ("GET /broken", "SERVER", True),
    ]
