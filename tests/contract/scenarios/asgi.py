"""One unit of work for each ASGI server and framework."""

from __future__ import annotations

from scenarios.scenario import START, Scenario

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

FINISH = ("autotrace.instrumentation.http_server:HttpServer.finish",)


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """An application without a framework."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": scope["path"].encode()})


async def call(app: Any, path: str) -> list[Any]:
    """Call an application as a server does."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"testserver")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
    }
    import asyncio

    sent: list[Any] = []
    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        if not messages:
            await asyncio.Event().wait()  # the client stays
        return messages.pop()

    async def send(message: Any) -> None:
        sent.append(message.get("status") or message["body"].decode())

    try:
        await app(scope, receive, send)
    except Exception as error:
        sent.append(repr(error))
    return [*sent, sorted(key for key in scope if "trace" in key)]


def call_each(app: Any, *paths: str) -> Any:
    import asyncio

    async def each() -> Any:
        return [await call(app, path) for path in paths]

    return asyncio.run(each())


def fetch(address: Any) -> str:
    """The last line of an answer, by a client that nobody traces."""
    import socket

    with socket.create_connection(address, timeout=30) as connection:
        connection.sendall(b"GET /users/7 HTTP/1.0\r\nhost: testserver\r\n\r\n")
        with connection.makefile("rb") as answer:
            return answer.read().decode().splitlines()[-1]


def serve_with_uvicorn(_url: str) -> Any:
    import asyncio
    import socket

    import uvicorn

    async def serve() -> Any:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            config = uvicorn.Config(hello, log_config=None, lifespan="off", loop="asyncio")
            server = uvicorn.Server(config)
            serving = asyncio.ensure_future(server.serve(sockets=[listener]))
            answer = await asyncio.to_thread(fetch, listener.getsockname())
            server.should_exit = True
            await serving
        return answer

    return asyncio.run(serve())


def serve_with_hypercorn(_url: str) -> Any:
    import asyncio
    import socket

    from hypercorn.asyncio import serve as run
    from hypercorn.config import Config

    async def serve() -> Any:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            config = Config()
            config.bind = [f"fd://{listener.fileno()}"]
            config.errorlog = None
            over = asyncio.Event()
            serving = asyncio.ensure_future(run(hello, config, shutdown_trigger=over.wait))
            answer = await asyncio.to_thread(fetch, listener.getsockname())
            over.set()
            await serving
            listener.detach()  # hypercorn has closed it
        return answer

    return asyncio.run(serve())


def serve_with_daphne(_url: str) -> Any:
    """Without its reactor, which runs once in a process."""
    from daphne import server as daphne

    sent: list[Any] = []

    class Protocol:
        @staticmethod
        def handle_reply(message: Any) -> None:
            sent.append(message.get("status") or message["body"].decode())

    server = daphne.Server(hello, endpoints=["tcp:0"])
    protocol = Protocol()
    server.connections = {protocol: {}}
    scope = {"type": "http", "method": "GET", "path": "/users/7", "headers": []}
    daphne.asyncio.set_event_loop(daphne.twisted_loop)
    server.create_application(protocol, scope)
    daphne.twisted_loop.run_until_complete(server.connections[protocol]["application_instance"])
    return sent


def serve_with_granian(module: str) -> Any:
    """What a worker of granian's does, without its native half."""

    def work(_url: str) -> Any:
        import asyncio
        from importlib import import_module

        sent: list[Any] = []

        class Protocol:
            receive = None

            @staticmethod
            async def send(message: Any) -> None:
                sent.append(message.get("status") or message["body"].decode())

        run = import_module(module)._asgi_call_wrap(hello, {}, {}, None)
        asyncio.run(run({"type": "http", "method": "GET", "path": "/users/7", "headers": []}, Protocol))
        return sent

    return work


def answer_with_starlette(_url: str) -> Any:
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Mount, Route

    async def user(request: Any) -> Any:
        return PlainTextResponse(f"user {request.path_params['number']}")

    async def broken(_request: Any) -> Any:
        raise ValueError("no such thing")

    users = Route("/users/{number:int}", user)
    app = Starlette(routes=[users, Route("/broken", broken), Mount("/shops/{shop}", routes=[users])])
    return call_each(app, "/users/7", "/broken", "/shops/1/users/7", "/nowhere")


def answer_with_traced_starlette(_url: str) -> Any:
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.opentelemetry import OpenTelemetryMiddleware
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def user(_request: Any) -> Any:
        return PlainTextResponse("a user")

    app = Starlette(routes=[Route("/users/{number}", user)], middleware=[Middleware(OpenTelemetryMiddleware)])
    return call_each(app, "/users/7")


def answer_with_fastapi(_url: str) -> Any:
    from fastapi import APIRouter, FastAPI

    app = FastAPI(telemetry={"operation_spans": False})
    shop = APIRouter(prefix="/shop")

    @app.get("/users/{number}")
    async def user(number: int) -> str:
        return f"user {number}"

    @shop.get("/items/{number}")
    async def item(number: int) -> str:
        return f"item {number}"

    app.include_router(shop)
    return call_each(app, "/users/7", "/shop/items/7", "/shop/items/x", "/nowhere")


def answer_with_quart(_url: str) -> Any:
    import logging

    from quart import Quart

    logging.getLogger("shop").addHandler(logging.NullHandler())
    app = Quart("shop")

    @app.get("/users/<int:number>")
    async def user(number: int) -> str:
        return f"user {number}"

    @app.get("/broken")
    async def broken() -> str:
        raise ValueError("no such thing")

    return call_each(app, "/users/7", "/broken", "/nowhere")


def answer_with_litestar(_url: str) -> Any:
    from litestar import Litestar, Request, Router, get

    @get("/users/{number:int}", sync_to_thread=False)
    def user(request: Request) -> str:
        return f"user {request.path_params['number']}"

    @get("/broken", sync_to_thread=False)
    def broken() -> str:
        raise ValueError("no such thing")

    user.fn.__annotations__.update(request=Request)  # a local name
    app = Litestar([user, broken, Router("/shop", route_handlers=[user])], openapi_config=None)
    return call_each(app, "/users/7", "/broken", "/shop/users/7", "/nowhere")


def make_sanic() -> Any:
    import logging

    from sanic import Sanic, text

    logging.getLogger("sanic.error").setLevel(logging.CRITICAL)
    logging.getLogger("sanic.root").setLevel(logging.CRITICAL)
    Sanic._app_registry.clear()
    Sanic.test_mode = True
    app = Sanic("shop", configure_logging=False)
    app.config.TOUCHUP = False  # else Sanic replaces methods of its classes when it starts

    @app.get("/users/<number:int>")
    async def user(_request: Any, number: int) -> Any:
        return text(f"user {number}")

    @app.get("/broken")
    async def broken(_request: Any) -> Any:
        raise ValueError("no such thing")

    @app.websocket("/echo/<room:int>")
    async def echo(_request: Any, connection: Any, room: int) -> None:
        async for message in connection:
            await connection.send(f"{message}{room}")

    return app


def answer_with_sanic(_url: str) -> Any:
    """As an ASGI application."""
    import asyncio

    async def each() -> Any:
        app = make_sanic()
        messages: Any = asyncio.Queue()
        started = asyncio.Event()

        async def send(_message: Any) -> None:
            started.set()

        life = asyncio.ensure_future(app({"type": "lifespan"}, messages.get, send))
        await messages.put({"type": "lifespan.startup"})
        await started.wait()
        answers = [await call(app, path) for path in ("/users/7", "/broken", "/nowhere")]
        await messages.put({"type": "lifespan.shutdown"})
        await life
        return [answer[0] for answer in answers]

    return asyncio.run(each())


def serve_with_sanic(*paths: str) -> Any:
    """By its own server."""

    def work(_url: str) -> Any:
        import asyncio
        import socket

        from scenarios.frameworks import ask, talk

        async def serve() -> Any:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                server = await make_sanic().create_server(
                    sock=listener, return_asyncio_server=True, access_log=False
                )
                await server.startup()
                port = listener.getsockname()[1]
                answers = [(await ask(port, path))[0] for path in paths]
                answers += await talk(port, "/echo/7")
                await server.close()
            return answers

        return asyncio.run(serve())

    return work


def _of_server(work: Any, scope: str) -> Scenario:
    return Scenario(work, f"autotrace.{scope} SERVER GET", before=START, after=FINISH)


_STARLETTE = Scenario(
    answer_with_starlette,
    """
    autotrace.starlette SERVER GET /users/{number:int}
    autotrace.starlette SERVER GET /broken ERROR
    autotrace.starlette SERVER GET /shops/{shop}/users/{number:int}
    autotrace.starlette SERVER GET
    """,
    before=START,
    after=FINISH,
)
_LITESTAR = Scenario(
    answer_with_litestar,
    """
    autotrace.litestar SERVER GET /users/{number}
    autotrace.litestar SERVER GET /broken ERROR
    autotrace.litestar SERVER GET /shop/users/{number}
    autotrace.litestar SERVER GET
    """,
    before=START,
    after=FINISH,
)
_FASTAPI = Scenario(
    answer_with_fastapi,
    """
    autotrace.fastapi SERVER GET /users/{number}
    autotrace.fastapi SERVER GET /shop/items/{number}
    autotrace.fastapi SERVER GET /shop/items/{number}
    autotrace.fastapi SERVER GET
    """,
    without="""
    fastapi SERVER GET /users/{number}
    fastapi SERVER GET /shop/items/{number}
    fastapi SERVER GET /shop/items/{number}
    fastapi SERVER GET
    """,
    before=START,
    after=FINISH,
)

SCENARIOS = {
    "uvicorn.server": _of_server(serve_with_uvicorn, "uvicorn"),
    "hypercorn.app_wrappers": _of_server(serve_with_hypercorn, "hypercorn"),
    "daphne.server": _of_server(serve_with_daphne, "daphne"),
    **{
        module: _of_server(serve_with_granian(module), "granian")
        for module in ("granian.server.mp", "granian.server.mt", "granian.server.embed")
    },
    "starlette.applications": _STARLETTE,
    "starlette.routing": _STARLETTE,
    "starlette.middleware.opentelemetry": Scenario(
        answer_with_traced_starlette,
        "autotrace.starlette SERVER GET /users/{number}",
        without="starlette SERVER GET /users/{number}",
        before=("autotrace.instrumentation.starlette:in_progress",),
        after=FINISH,
    ),
    "fastapi.applications": _FASTAPI,
    "fastapi.routing": _FASTAPI,
    "fastapi.telemetry._asgi": _FASTAPI,
    "fastapi.telemetry._runtime": _FASTAPI,
    "quart.app": Scenario(
        answer_with_quart,
        """
        autotrace.quart SERVER GET /users/<int:number>
        autotrace.quart SERVER GET /broken ERROR
        autotrace.quart SERVER GET
        """,
        before=START,
        after=FINISH,
    ),
    "litestar.app": _LITESTAR,
    "litestar._asgi.asgi_router": _LITESTAR,
    "litestar.middleware._internal.exceptions.middleware": _LITESTAR,
    "sanic.app": Scenario(
        answer_with_sanic,
        """
        autotrace.sanic SERVER GET /users/<number:int>
        autotrace.sanic SERVER GET /broken ERROR
        autotrace.sanic SERVER GET
        """,
        before=START,
        after=FINISH,
    ),
    "sanic.server.protocols.http_protocol": Scenario(
        serve_with_sanic("/users/7", "/broken"),
        """
        autotrace.sanic SERVER GET /users/<number:int>
        autotrace.sanic SERVER GET /broken ERROR
        autotrace.sanic SERVER GET /echo/<room:int>
        """,
        before=START,
        after=FINISH,
    ),
    "sanic.server.websockets.impl": Scenario(
        serve_with_sanic(),
        "autotrace.sanic SERVER GET /echo/<room:int>",
        before=START,
        after=FINISH,
    ),
}
"""By the module that a row patches."""
