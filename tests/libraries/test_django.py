"""Django under its servers and test clients: one SERVER span a request, named by the pattern."""

from __future__ import annotations

import pytest
from programs import Sandbox
from servers import serving, wait_until

django = pytest.importorskip("django", reason="without the extra `libraries`")

from autotrace.instrumentation.django import template  # noqa: E402

SETTINGS = """
SECRET_KEY = "x"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "urls"
WSGI_APPLICATION = None
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.db"}}
INSTALLED_APPS = ["rest_framework"]
REST_FRAMEWORK = {"UNAUTHENTICATED_USER": None, "DEFAULT_AUTHENTICATION_CLASSES": []}
MIDDLEWARE = ["middleware.gate", "django.middleware.common.CommonMiddleware", "middleware.Rescue"]
"""

MIDDLEWARE = """
from django.conf import settings
from django.http import HttpResponse

def gate(get_response):
    def answer(request):
        if request.path == "/early":
            return HttpResponse("early", status=403)
        if request.path == "/middleware":
            raise KeyError("of the middleware")
        response = get_response(request)
        response["X-Middleware"] = str(len(settings.MIDDLEWARE))
        return response
    return answer

class Rescue:
    def __init__(self, get_response):
        self.get_response = get_response
    def __call__(self, request):
        return self.get_response(request)
    def process_exception(self, request, error):
        return HttpResponse("rescued") if str(error) == "a small one" else None
"""

URLS = """
from django.db import connection
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path
from django.views import View
from rest_framework import exceptions, response, routers, viewsets

def ask():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return cursor.fetchone()[0]

def user(request, number):
    return HttpResponse(f"user {number} {ask()}")

async def later(request, name):
    return HttpResponse(f"later {name}")

class Cart(View):
    def post(self, request, number):
        return HttpResponse(f"cart {number}")

def broken(request):
    raise ValueError("no such thing")

def small(request):
    raise ValueError("a small one")

def stream(request):
    def chunks():
        yield b"one "
        yield str(ask()).encode()
    return StreamingHttpResponse(chunks())

class Books(viewsets.ViewSet):
    def retrieve(self, request, pk):
        if pk == "0":
            raise exceptions.NotFound
        return response.Response({"pk": pk})

router = routers.DefaultRouter()
router.register("books", Books, basename="book")

urlpatterns = [
    path("users/<int:number>", user),
    path("later/<name>", later),
    path("shop/", include([re_path(r"^carts/(?P<number>[0-9]+)$", Cart.as_view())])),
    path("api/", include(router.urls)),
    path("health", lambda request: HttpResponse(f"well {ask()}")),
    path("broken", broken),
    path("small", small),
    path("stream", stream),
]
"""

MANAGE = """
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""

APPLICATION = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
wsgi = get_wsgi_application()
asgi = get_asgi_application()
"""

BARE = """
# A C server does as this: nothing of it can be patched.
import sys
from socketserver import ThreadingMixIn
from wsgiref import handlers, simple_server
from application import wsgi

run = handlers.BaseHandler.run
handlers.BaseHandler.run = getattr(run, "__wrapped__", run)
server = simple_server.make_server("127.0.0.1", 0, wsgi)
print(f"http://127.0.0.1:{server.server_port}", flush=True)
server.serve_forever()
"""

BOOK = "GET /api/books/(?P<pk>[^/.]+)/"

REQUESTS = [
    ("GET", "/users/7", 200, b"user 7 1", "GET /users/<int:number>"),
    ("GET", "/later/ada", 200, b"later ada", "GET /later/<name>"),
    ("POST", "/shop/carts/3", 200, b"cart 3", "POST /shop/carts/(?P<number>[0-9]+)"),
    ("GET", "/api/books/5/", 200, b'{"pk":"5"}', BOOK),
    ("GET", "/api/books/0/", 404, None, BOOK),
    ("GET", "/small", 200, b"rescued", "GET /small"),
    ("GET", "/stream", 200, b"one 1", "GET /stream"),
    ("GET", "/early", 403, b"early", "GET"),
    ("GET", "/nowhere", 404, None, "GET"),
    ("GET", "/broken", 500, None, "GET /broken"),
    ("GET", "/middleware", 500, None, "GET"),
]

SERVERS = {
    "runserver": (("python", "manage.py", "runserver", "127.0.0.1:0"), "wsgiref"),
    "gunicorn": (
        ("gunicorn", "-b", "127.0.0.1:0", "--no-control-socket", "application:wsgi"),
        "gunicorn",
    ),
    "uvicorn": (("uvicorn", "--port", "0", "--lifespan", "off", "application:asgi"), "uvicorn"),
    "unknown": (("python", "bare.py"), "django"),
}


@pytest.fixture
def sandbox(tmp_path, arrivals):
    sandbox = Sandbox(tmp_path, OTEL_SERVICE_NAME="shop", **arrivals.environ)
    sandbox.write("settings.py", SETTINGS)
    sandbox.write("middleware.py", MIDDLEWARE)
    sandbox.write("urls.py", URLS)
    sandbox.write("manage.py", MANAGE)
    sandbox.write("application.py", APPLICATION)
    sandbox.write("bare.py", BARE)
    return sandbox


@pytest.mark.slow
@pytest.mark.parametrize("name", SERVERS)
def test_one_span_for_each_request(name, sandbox, arrivals):
    words, scope = SERVERS[name]
    with serving(sandbox, *words, OTEL_PYTHON_DJANGO_EXCLUDED_URLS="/health") as server:
        server.find_port()
        assert server.request("/health").body == b"well 1"
        for method, path, status, body, _ in REQUESTS:
            answer = server.request(path, method)
            assert answer.status == status, server.log
            assert body in {None, answer.body}
            assert answer.headers.get("X-Middleware", "3") == "3"
        wait_until(lambda: len(servers_of(arrivals)) >= len(REQUESTS))
        assert server.said == []
    spans = servers_of(arrivals)
    assert [span.name for span in spans] == [name for *_, name in REQUESTS]
    assert {span.scope for span in spans} == {f"autotrace.{scope}"}
    assert [span.attributes["http.response.status_code"] for span in spans] == [row[2] for row in REQUESTS]
    assert [span.attributes.get("error.type") for span in spans] == [None] * 9 + ["ValueError", "KeyError"]
    queries = [span for span in arrivals.spans if span.kind == "CLIENT"]
    by_id = {span.span_id: span.name for span in spans}
    parents = {by_id[query.parent_id] for query in queries if query.parent_id}  # of runserver's own: none
    assert parents == {"GET /users/<int:number>", "GET /stream"}


MOUNTED = """
from wsgiref.util import setup_testing_defaults
from application import asgi, wsgi

environ = {"SCRIPT_NAME": "/old", "PATH_INFO": "/later/ada"}
setup_testing_defaults(environ)
wsgi(environ, lambda *_: None).close()

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

TestClient(Starlette(routes=[Mount("/new", asgi)])).get("/new/later/ada")
"""


def test_a_route_begins_where_the_application_is_mounted(sandbox, arrivals):
    pytest.importorskip("starlette", reason="without the extra `libraries`")
    sandbox.write("mounted.py", MOUNTED)
    assert sandbox.run("mounted.py").code == 0
    names = [span.name for span in servers_of(arrivals)]
    assert names == ["GET /old/later/<name>", "GET /new/later/<name>"]


TESTS = """
from django.test import SimpleTestCase, TestCase

class Shop(TestCase):
    def test_user(self):
        self.assertEqual(self.client.get("/users/7").content, b"user 7 1")

    async def test_later(self):
        self.assertEqual((await self.async_client.get("/later/ada")).content, b"later ada")

    def test_broken(self):
        with self.assertRaises(ValueError):
            self.client.get("/broken")

    def test_stream(self):
        self.assertEqual(self.client.get("/stream").getvalue(), b"one 1")
"""


@pytest.mark.slow
def test_test_clients(sandbox, arrivals):
    sandbox.write("test_shop.py", TESTS)
    done = sandbox.run("manage.py", "test", "-v", "0")
    assert (done.code, done.said) == (0, []), done.err
    assert sorted(span.name for span in servers_of(arrivals)) == [
        "GET /broken",
        "GET /later/<name>",
        "GET /stream",
        "GET /users/<int:number>",
    ]
    assert arrivals.named("GET /broken").attributes["error.type"] == "ValueError"


@pytest.mark.parametrize(
    ("route", "expected"),
    [
        ("", "/"),
        ("users/<int:number>", "/users/<int:number>"),
        ("^users/(?P<pk>[^/.]+)/$", "/users/(?P<pk>[^/.]+)/"),
        (r"api/^users/(\d+)\Z", r"/api/users/(\d+)"),
        (r"^costs\$$", r"/costs\$"),
    ],
)
def test_the_template_has_no_anchors(route, expected):
    assert template(route) == expected


def servers_of(arrivals):
    return [span for span in arrivals.spans if span.kind == "SERVER"]
