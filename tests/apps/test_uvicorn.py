"""ASGI servers as operators start them: each request once, and nothing lost when they are told to stop."""

from __future__ import annotations

import http.client
import signal

import pytest
from network_servers import PATIENCE, running, wait_until
from programs import backend

connect = pytest.importorskip("websockets.sync.client", reason="without the extra `libraries`").connect

pytestmark = pytest.mark.slow

TRACE = "ff00aa11bb22cc330123456789abcdef"
SPAN = "fedcba9876543210"

PLAIN = """
import os

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""

STARLETTE = """
import os
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

VERSION = "one"

async def user(request):
    return PlainTextResponse(f"{os.getpid()} {VERSION}")

app = Starlette(routes=[Route("/users/{number}", user)])
"""

FASTAPI = """
from fastapi import BackgroundTasks, FastAPI
from opentelemetry import trace

app = FastAPI()

def clean_up():
    with trace.get_tracer("shop").start_as_current_span("clean up"):
        pass

@app.get("/users/{number}")
async def user(number: int, tasks: BackgroundTasks):
    tasks.add_task(clean_up)
    return number
"""

LIVE = """
import asyncio
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute

async def hello(request):
    return PlainTextResponse("hello")

async def upload(request):
    return PlainTextResponse(str(len(await request.body())))

async def ticks(request):
    async def forever():
        while True:
            yield b"tick\\n"
            await asyncio.sleep(0.01)
    return StreamingResponse(forever())

async def echo(websocket):
    await websocket.accept()
    async for text in websocket.iter_text():
        await websocket.send_text(text)

app = Starlette(
    routes=[
        Route("/hello", hello),
        Route("/upload", upload, methods=["POST"]),
        Route("/ticks", ticks),
        WebSocketRoute("/echo/{room}", echo),
    ]
)
"""

GUNICORN = ["gunicorn", "app:app", "-b", "127.0.0.1:PORT"]
SERVERS = {
    "uvicorn": ["uvicorn", "app:app", "--port", "PORT"],
    "uvicorn, workers": ["uvicorn", "app:app", "--port", "PORT", "--workers", "2"],
    "uvicorn, gunicorn": [*GUNICORN, "-k", "uvicorn_worker.UvicornWorker", "-w2"],
    "hypercorn": ["hypercorn", "app:app", "--bind", "127.0.0.1:PORT"],
    "hypercorn, workers": ["hypercorn", "app:app", "--bind", "127.0.0.1:PORT", "--workers", "2"],
    "hypercorn, trio": ["hypercorn", "app:app", "--bind", "127.0.0.1:PORT", "--worker-class", "trio"],
    "daphne": ["daphne", "app:app", "--port", "PORT"],
    "granian": ["granian", "app:app", "--interface", "asgi", "--port", "PORT"],
}
ALONE = {"uvicorn", "daphne"}
"""The servers whose first process is the one that serves."""


@pytest.mark.parametrize("app", [PLAIN, STARLETTE], ids=["plain", "starlette"])
@pytest.mark.parametrize("server", SERVERS)
def test_each_request_arrives_once_and_the_last_ones_too(sandbox, arrivals, server, app):
    sandbox.write("app.py", app)
    with running(sandbox, *SERVERS[server], **arrivals.environ) as serving:
        served_by = [serving.get(f"/users/{number}").split()[0] for number in range(20)]
        if server == "hypercorn, workers":
            # When the first worker has ended it terminates the others, whatever they are doing.
            wait_until(lambda: len(arrivals.spans) == len(served_by))
        code = serving.stop()
    name = "GET /users/{number}" if app is STARLETTE else "GET"
    arrived = [(span.name, str(span.resource["process.pid"])) for span in arrivals.spans]
    assert sorted(arrived) == sorted((name, pid) for pid in served_by)
    assert {(span.scope, span.kind) for span in arrivals.spans} == {
        (f"autotrace.{server.partition(',')[0]}", "SERVER")
    }
    assert code == (-signal.SIGTERM if server == "uvicorn" else 0), serving.said
    assert (str(serving.process.pid) in served_by) == (server in ALONE)
    assert "autotrace: " not in serving.said


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn", "daphne", "granian"])
def test_websockets_clients_that_leave_and_connections_that_are_kept(sandbox, arrivals, server):
    sandbox.write("app.py", LIVE)
    with running(sandbox, *SERVERS[server], **arrivals.environ) as serving:
        kept = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=PATIENCE)
        # Of a large body, a part is read in the task that serves it: the next request is found there.
        kept.request("POST", "/upload", b"x" * 1_000_000, {"traceparent": f"00-{TRACE}-{SPAN}-01"})
        assert kept.getresponse().read() == b"1000000"
        kept.request("GET", "/hello")
        assert kept.getresponse().read() == b"hello"
        kept.close()
        leaving = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=PATIENCE)
        leaving.request("GET", "/ticks")
        answer = leaving.getresponse()
        assert answer.readline() == b"tick\n"
        answer.close()
        leaving.close()
        with connect(f"ws://127.0.0.1:{serving.port}/echo/lobby") as websocket:
            for text in ("a", "b"):
                websocket.send(text)
                assert websocket.recv() == text
        wait_until(lambda: len(arrivals.spans) == 4)
        serving.stop()
    first, second, ticks, echo = arrivals.spans
    assert (first.trace_id, first.parent_id) == (TRACE, SPAN)
    assert (second.trace_id != TRACE, second.parent_id) == (True, "")
    assert (ticks.name, ticks.attributes["http.response.status_code"]) == ("GET /ticks", 200)
    assert (echo.name, echo.attributes["http.response.status_code"]) == ("GET /echo/{room}", 101)
    assert echo.attributes["websocket.messages.received"] == echo.attributes["websocket.messages.sent"] == 2
    assert [span.name for span in arrivals.spans if span.failed] == []
    assert "autotrace: " not in serving.said


def test_the_reloader_is_silent_and_the_reloaded_application_is_traced(sandbox, arrivals):
    app = sandbox.write("app.py", STARLETTE)
    command = ["uvicorn", "app:app", "--port", "PORT", "--reload", "--reload-delay", "0.05"]
    with running(sandbox, *command, **arrivals.environ) as serving:
        (first, version) = wait_until(lambda: serving.get("/users/1").split())
        assert version == "one"
        app.write_text(app.read_text().replace('"one"', '"another"'))
        served_by = [first]

        def reloaded():
            pid, version = serving.get("/users/2").split()
            served_by.append(pid)
            return version == "another"

        wait_until(reloaded)
        serving.stop()
    arrived = [(span.name, str(span.resource["process.pid"])) for span in arrivals.spans]
    assert sorted(arrived) == sorted(("GET /users/{number}", pid) for pid in served_by)
    assert str(serving.process.pid) not in served_by
    assert len(set(served_by)) == 2


def test_a_dead_backend_delays_the_end_of_a_server_no_longer_than_that_of_any_program(sandbox):
    sandbox.write("app.py", PLAIN)
    with backend(lambda _connection: dead.over.wait()) as dead:
        environ = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_ENDPOINT": dead.url("")}
        with running(sandbox, *SERVERS["uvicorn"], **environ, AUTOTRACE_EXIT_TIMEOUT="300") as serving:
            serving.get("/")
            assert serving.stop() == -signal.SIGTERM
            (line,) = [line for line in serving.said.splitlines() if line.startswith("autotrace: ")]
            assert "AUTOTRACE_EXIT_TIMEOUT" in line
        dead.over.set()


@pytest.mark.parametrize("configured", [False, True])
def test_fastapi_that_traces_itself_adds_no_span(sandbox, arrivals, configured):
    """It does so once a tracer provider is there, and adds an exporter of its own when told to."""
    sandbox.write("app.py", FASTAPI)
    environ = {"FASTAPI_OTEL_AUTO_CONFIGURE": "true"} if configured else {}
    environ |= {"OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_METRICS_EXPORTER": "none"}
    environ |= {"OTEL_LOGS_EXPORTER": "none", "OTEL_SERVICE_NAME": "app"}
    with running(sandbox, *SERVERS["uvicorn"], **arrivals.environ, **environ) as serving:
        assert serving.get("/users/7") == "7"
        serving.stop()
    assert arrivals.tree == (
        "app autotrace.uvicorn SERVER GET /users/{number}\n  app shop INTERNAL clean up\n"
    ), serving.said
