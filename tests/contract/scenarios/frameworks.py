"""One unit of work for each web framework that has no family of its own here."""

from __future__ import annotations

from scenarios.scenario import START, Scenario

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FINISH = ("autotrace.instrumentation.http_server:HttpServer.finish",)


def answer_with_django(_url: str) -> Any:
    """Django by its two entry points and by its two test clients."""
    import asyncio
    import logging
    import sys
    from types import ModuleType

    from django.conf import settings

    logging.getLogger("django").addHandler(logging.NullHandler())
    urls: Any = ModuleType("shop_urls")
    sys.modules["shop_urls"] = urls
    if not settings.configured:
        settings.configure(ROOT_URLCONF="shop_urls", ALLOWED_HOSTS=["*"], LOGGING_CONFIG=None)

    import django
    from django.core.asgi import get_asgi_application
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.test import AsyncClient, Client
    from django.urls import path, re_path

    django.setup()

    def user(_request: Any, number: int) -> Any:
        return HttpResponse(f"user {number}")

    def broken(_request: Any) -> Any:
        raise ValueError("no such thing")

    urls.urlpatterns = [path("users/<int:number>", user), re_path(r"^broken$", broken)]

    from wsgiref.util import setup_testing_defaults

    from scenarios.asgi import call_each

    def call(requested: str) -> Any:
        environ: dict[str, Any] = {"PATH_INFO": requested}
        setup_testing_defaults(environ)
        started: list[str] = []
        body = application(environ, lambda status, *_: started.append(status))
        answer = b"".join(body).decode()
        body.close()
        return started, answer[:20]

    application = get_wsgi_application()
    by_wsgi = [call("/users/7"), call("/broken"), call("/nowhere")]
    by_asgi = call_each(get_asgi_application(), "/users/7")
    by_client = Client(raise_request_exception=False).get("/broken").status_code
    by_async_client = asyncio.run(AsyncClient().get("/users/7")).status_code
    return by_wsgi, by_asgi, by_client, by_async_client


_DJANGO = Scenario(
    answer_with_django,
    """
    autotrace.django SERVER GET /users/<int:number>
    autotrace.django SERVER GET /broken ERROR
    autotrace.django SERVER GET
    autotrace.django SERVER GET /users/<int:number>
    autotrace.django SERVER GET /broken ERROR
    autotrace.django SERVER GET /users/<int:number>
    """,
    before=START,
    after=FINISH,
)


async def ask(port: int, path: str) -> list[Any]:
    """Status and body, by a client that nobody traces."""
    import asyncio

    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.0\r\nhost: testserver\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    return [answer.split(" ", 2)[1], answer.partition("\r\n\r\n")[2]]


def answer_with_aiohttp(_url: str) -> Any:
    import asyncio
    import logging

    from aiohttp import web

    logging.getLogger("aiohttp.server").addHandler(logging.NullHandler())

    async def user(request: Any) -> Any:
        return web.Response(text=f"user {request.match_info['number']}")

    async def broken(_request: Any) -> Any:
        raise ValueError("no such thing")

    async def serve() -> Any:
        app = web.Application()
        app.add_routes([web.get("/users/{number}", user), web.get("/broken", broken)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            port = runner.addresses[0][1]
            return [await ask(port, path) for path in ("/users/7", "/broken", "/nowhere")]
        finally:
            await runner.cleanup()

    return asyncio.run(serve())


def talk_with_aiohttp(_url: str) -> Any:
    """A websocket, in frames made by hand: `x` is sent, and echoed, and the close is answered."""
    import asyncio

    from aiohttp import web

    async def echo(request: Any) -> Any:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            await socket.send_str(message.data)
            await socket.send_bytes(b"y")
        return socket

    async def serve() -> Any:
        app = web.Application()
        app.add_routes([web.get("/echo/{room}", echo)])
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            return await talk(runner.addresses[0][1], "/echo/7")
        finally:
            await runner.cleanup()

    return asyncio.run(serve())


async def talk(port: int, path: str) -> list[str]:
    """What a websocket answers to the text `x` and to a close, by a client that nobody traces."""
    import asyncio

    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET {path} HTTP/1.1\r\nhost: testserver\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        "sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"\x81\x81\0\0\0\0x" + b"\x88\x82\0\0\0\0\x03\xe8")
    frames = await reader.read()
    writer.close()
    return [head.decode().split(" ", 2)[1], frames.hex()]


def serve_with_tornado(application: Any, *paths: str) -> Any:
    import asyncio
    import logging

    from tornado.httpserver import HTTPServer

    logging.getLogger("tornado").addHandler(logging.NullHandler())

    async def serve() -> Any:
        server = HTTPServer(application)
        server.listen(0, "127.0.0.1")
        (listener,) = server._sockets.values()
        port = listener.getsockname()[1]
        try:
            if paths == ("/echo/7",):
                return await talk(port, *paths)
            return [await ask(port, path) for path in paths]
        finally:
            server.stop()
            await server.close_all_connections()

    return asyncio.run(serve())


def answer_with_tornado(_url: str) -> Any:
    from tornado import web

    class User(web.RequestHandler):
        def get(self, number: str) -> None:
            self.write("user " + number)

    class Broken(web.RequestHandler):
        def get(self) -> None:
            raise ValueError("no such thing")

    rules = [(r"/users/(\d+)", User), ("/broken", Broken)]
    return serve_with_tornado(web.Application(rules), "/users/7", "/broken", "/nowhere")


def talk_with_tornado(_url: str) -> Any:
    from tornado import web, websocket

    class Echo(websocket.WebSocketHandler):
        def on_message(self, message: Any) -> None:
            self.write_message(message)

    return serve_with_tornado(web.Application([(r"/echo/(?P<room>\d+)", Echo)]), "/echo/7")


def answer_with_wsgi_in_tornado(_url: str) -> Any:
    from tornado import wsgi

    def hello(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    return serve_with_tornado(wsgi.WSGIContainer(hello), "/users/7")


_TORNADO = Scenario(
    answer_with_tornado,
    """
    autotrace.tornado-web SERVER GET /users/{1}
    autotrace.tornado-web SERVER GET /broken ERROR
    autotrace.tornado-web SERVER GET
    """,
    before=START,
    after=FINISH,
)


def ask_wsgi(application: Any, *paths: str) -> Any:
    """Call a WSGI application, as a server does."""
    import io
    from wsgiref.util import setup_testing_defaults

    answers = []
    for path in paths:
        environ: dict[str, Any] = {"PATH_INFO": path, "wsgi.errors": io.StringIO()}
        setup_testing_defaults(environ)
        environ["wsgi.errors"] = io.StringIO()
        started: list[str] = []
        body = application(environ, lambda status, *_, seen=started: seen.append(status[:3]))
        answers.append([started, b"".join(body).decode()[:7]])
        if hasattr(body, "close"):
            body.close()
    return answers


PATHS = ("/users/7", "/broken", "/nowhere")


def answer_with_bottle(_url: str) -> Any:
    import bottle

    app = bottle.Bottle()

    @app.get("/users/<number:int>")
    def user(number: int) -> str:
        return f"user {number}"

    @app.get("/broken")
    def broken() -> str:
        raise ValueError("no such thing")

    return ask_wsgi(app, *PATHS)


def answer_with_falcon(_url: str) -> Any:
    import falcon

    class User:
        def on_get(self, _request: Any, response: Any, number: int) -> None:
            response.text = f"user {number}"

    class Broken:
        def on_get(self, _request: Any, _response: Any) -> None:
            raise ValueError("no such thing")

    app = falcon.App()
    app.add_route("/users/{number:int}", User())
    app.add_route("/broken", Broken())
    return ask_wsgi(app, *PATHS)


def answer_with_falcon_asgi(_url: str) -> Any:
    import falcon.asgi

    from scenarios.asgi import call_each

    class User:
        async def on_get(self, _request: Any, response: Any, number: int) -> None:
            response.text = f"user {number}"

    class Broken:
        async def on_get(self, _request: Any, _response: Any) -> None:
            raise ValueError("no such thing")

    app = falcon.asgi.App()
    app.add_route("/users/{number:int}", User())
    app.add_route("/broken", Broken())
    return call_each(app, *PATHS)


def answer_with_pyramid(_url: str) -> Any:
    from pyramid.config import Configurator
    from pyramid.response import Response

    def user(request: Any) -> Any:
        return Response("user " + request.matchdict["number"])

    def broken(_request: Any) -> Any:
        raise ValueError("no such thing")

    def sorry(_error: Any, _request: Any) -> Any:
        return Response("sorry", status=500)

    with Configurator() as config:
        config.add_route("user", "/users/{number}")
        config.add_view(user, route_name="user")
        config.add_route("broken", "/broken")
        config.add_view(broken, route_name="broken")
        config.add_exception_view(sorry, context=ValueError)
    return ask_wsgi(config.make_wsgi_app(), *PATHS)


def answer_with_cherrypy(_url: str) -> Any:
    import cherrypy

    class Shop:
        @cherrypy.expose
        def users(self, number: str) -> str:
            return f"user {number}"

        @cherrypy.expose
        def broken(self) -> str:
            raise ValueError("no such thing")

    cherrypy.config.update({"log.screen": False, "environment": "embedded"})
    return ask_wsgi(cherrypy.Application(Shop(), ""), *PATHS)


SCENARIOS = {
    "bottle": Scenario(
        answer_with_bottle,
        """
        autotrace.bottle SERVER GET /users/<number:int>
        autotrace.bottle SERVER GET /broken ERROR
        autotrace.bottle SERVER GET
        """,
        before=START,
        after=FINISH,
    ),
    "falcon.app": Scenario(
        answer_with_falcon,
        """
        autotrace.falcon SERVER GET /users/{number:int}
        autotrace.falcon SERVER GET /broken ERROR
        autotrace.falcon SERVER GET
        """,
        before=START,
        after=FINISH,
    ),
    "falcon.asgi.app": Scenario(
        answer_with_falcon_asgi,
        """
        autotrace.falcon SERVER GET /users/{number:int}
        autotrace.falcon SERVER GET /broken ERROR
        autotrace.falcon SERVER GET
        """,
        before=START,
        after=FINISH,
    ),
    "pyramid.router": Scenario(
        answer_with_pyramid,
        """
        autotrace.pyramid SERVER GET /users/{number}
        autotrace.pyramid SERVER GET /broken ERROR
        autotrace.pyramid SERVER GET
        """,
        before=START,
        after=FINISH,
    ),
    "pyramid.tweens": Scenario(
        answer_with_pyramid,
        """
        autotrace.pyramid SERVER GET /users/{number}
        autotrace.pyramid SERVER GET /broken ERROR
        autotrace.pyramid SERVER GET
        """,
        before=START,
        after=FINISH,
    ),
    "cherrypy._cptree": Scenario(
        answer_with_cherrypy,
        """
        autotrace.cherrypy SERVER GET /users
        autotrace.cherrypy SERVER GET /broken ERROR
        autotrace.cherrypy SERVER GET
        """,
        before=START,
        after=FINISH,
    ),
    "cherrypy._cprequest": Scenario(
        answer_with_cherrypy,
        """
        autotrace.cherrypy SERVER GET /users
        autotrace.cherrypy SERVER GET /broken ERROR
        autotrace.cherrypy SERVER GET
        """,
        before=START,
        after=FINISH,
    ),
    "cherrypy._cpdispatch": Scenario(
        answer_with_cherrypy,
        """
        autotrace.cherrypy SERVER GET /users
        autotrace.cherrypy SERVER GET /broken ERROR
        autotrace.cherrypy SERVER GET
        """,
        before=START,
        after=FINISH,
    ),
    "cherrypy._cpwsgi": Scenario(
        answer_with_cherrypy,
        """
        autotrace.cherrypy SERVER GET /users
        autotrace.cherrypy SERVER GET /broken ERROR
        autotrace.cherrypy SERVER GET
        """,
        before=START,
        after=FINISH,
    ),
    "django.core.handlers.wsgi": _DJANGO,
    "django.core.handlers.asgi": _DJANGO,
    "django.core.handlers.base": _DJANGO,
    "django.core.handlers.exception": _DJANGO,
    "django.test.client": _DJANGO,
    "aiohttp.web_protocol": Scenario(
        answer_with_aiohttp,
        """
        autotrace.aiohttp-web SERVER GET /users/{number}
        autotrace.aiohttp-web SERVER GET /broken ERROR
        autotrace.aiohttp-web SERVER GET
        """,
        before=START,
        after=FINISH,
    ),
    "aiohttp.web_ws": Scenario(
        talk_with_aiohttp,
        "autotrace.aiohttp-web SERVER GET /echo/{room}",
        before=START,
        after=FINISH,
    ),
    "tornado.web": _TORNADO,
    "tornado.routing": _TORNADO,
    "tornado.websocket": Scenario(
        talk_with_tornado, "autotrace.tornado-web SERVER GET /echo/{room}", before=START, after=FINISH
    ),
    "tornado.wsgi": Scenario(
        answer_with_wsgi_in_tornado, "autotrace.tornado-web SERVER GET", before=START, after=FINISH
    ),
}
"""By the module that a row patches."""
