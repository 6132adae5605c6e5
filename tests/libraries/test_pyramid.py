"""Pyramid: routes, traversal, subrequests and views for exceptions, as the span of a request has them."""

from __future__ import annotations

import pytest
from instrumented import instrumented
from wsgi_calls import ask, exceptions

pytest.importorskip("waitress", reason="without the extra `libraries`")
pytestmark = [
    pytest.mark.filterwarnings("ignore:'cgi' is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:pkg_resources is deprecated"),
    pytest.mark.filterwarnings("ignore:Deprecated call to `pkg_resources"),
]


class Root(dict):
    """Of a tree that is traversed."""


@pytest.fixture
def application():
    from pyramid.config import Configurator
    from pyramid.httpexceptions import HTTPInternalServerError
    from pyramid.request import Request
    from pyramid.response import Response

    def user(request):
        return Response("user " + request.matchdict["number"])

    def within(request):
        inner = request.copy()
        inner.path_info = "/shop/users/7"
        texts = [request.invoke_subrequest(asked).text for asked in (Request.blank("/shop/users/8"), inner)]
        return Response(", ".join(texts))

    def broken(_request):
        raise KeyError("nobody takes it")

    def refused(_request):
        raise HTTPInternalServerError("on purpose")

    def shop(config):
        config.add_route("user", "/users/{number}")
        config.add_view(user, route_name="user")

    with Configurator(root_factory=lambda _request: Root(books=Root())) as config:
        config.include(shop, route_prefix="/shop")
        for name, view in (("within", within), ("broken", broken), ("refused", refused)):
            config.add_route(name, name)
            config.add_view(view, route_name=name)
        config.add_route("home", "")
        config.add_view(lambda _request: Response("home"), route_name="home")
        config.add_view(lambda _request: Response("edited"), context=Root, name="edit")
        config.add_static_view("static", "instrumented:")
        return config.make_wsgi_app()


@pytest.fixture
def traced(application):
    import pyramid.tweens  # noqa: F401 - the rows patch what is imported

    assert application
    with instrumented("pyramid") as traced:
        yield traced


@pytest.mark.parametrize(
    ("path", "status", "text", "name"),
    [
        ("/", 200, "home", "GET /"),
        ("/shop/users/7", 200, "user 7", "GET /shop/users/{number}"),
        ("/within", 200, "user 8, user 7", "GET /within"),
        ("/books/edit", 200, "edited", "GET"),
        ("/books/nothing", 404, None, "GET"),
        ("/refused", 500, None, "GET /refused"),
    ],
)
def test_the_route_is_the_pattern(application, traced, path, status, text, name):
    answered, found = ask(application, path)
    assert answered == status
    assert text in {None, found}
    span = traced.span
    assert (span.name, span.attributes["http.response.status_code"]) == (name, status)
    assert exceptions(span) == []  # Pyramid's HTTP exceptions are answers


def test_an_exception_that_pyramid_has_no_view_for(application, traced):
    with pytest.raises(KeyError):
        ask(application, "/broken")
    assert traced.span.name == "GET /broken"
    assert exceptions(traced.span) == ["KeyError"]
    assert traced.span.attributes["error.type"] == "KeyError"


def test_a_view_is_in_the_trace_of_the_caller(application, traced):
    from pyramid.config import Configurator
    from pyramid.response import Response

    def view(_request):
        with traced.tracer.start_as_current_span("view"):
            return Response("done")

    with Configurator() as config:
        config.add_route("view", "/view")
        config.add_view(view, route_name="view")
    ask(config.make_wsgi_app(), "/view", HTTP_TRACEPARENT=f"00-{7:032x}-{5:016x}-01")
    server = traced.by_name("GET /view")
    assert (server.context.trace_id, server.parent.span_id) == (7, 5)
    assert traced.by_name("view").parent.span_id == server.context.span_id
