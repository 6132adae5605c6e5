"""Development servers with a reloader: one process waits for changes, its child serves and is replaced."""

from __future__ import annotations

import http.client
import os
import signal
import socket
from contextlib import contextmanager
from importlib.util import find_spec

import pytest
from programs import Sandbox
from servers import SHOP, serving, wait_until

pytestmark = pytest.mark.slow

RUN_SIMPLE = """
from werkzeug.serving import run_simple
from shop import app

if __name__ == "__main__":
    run_simple("127.0.0.1", 0, app, use_reloader=True, threaded=True)
"""

DJANGO = """
import os, sqlite3, sys
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(DEBUG=True, SECRET_KEY="x", ROOT_URLCONF="shop", ALLOWED_HOSTS=["*"], USE_TZ=True)

def user(request, number):
    connection = sqlite3.connect(":memory:")
    connection.execute("SELECT 1").fetchone()
    connection.close()
    return HttpResponse(str(os.getpid()))

urlpatterns = [path("users/<int:number>", user)]

if __name__ == "__main__":
    sys.modules["shop"] = sys.modules["__main__"]
    execute_from_command_line(sys.argv)
"""


@contextmanager
def flask(sandbox):
    with serving(sandbox, "flask", "--app", "shop", "run", "--debug", "--port", "0") as server:
        server.find_port()
        yield server


@contextmanager
def werkzeug(sandbox):
    sandbox.write("serve.py", RUN_SIMPLE)
    with serving(sandbox, "python", "serve.py") as server:
        server.find_port()
        yield server


@contextmanager
def django(sandbox):
    sandbox.write("shop.py", DJANGO)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with serving(sandbox, "python", "shop.py", "runserver", "--skip-checks", f"127.0.0.1:{port}") as server:
        server.port = port
        wait_until(lambda: "Quit the server" in server.log)
        yield server


def answers_from_another(server, old):
    """Whether a process that is none of `old` serves by now."""
    try:
        return server.visit()[0] not in old
    except (OSError, http.client.HTTPException, ValueError):
        return False  # between the two, perhaps in the middle of an answer


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("start", [flask, werkzeug, django], ids=lambda start: start.__name__)
def test_every_request_arrives_once_across_a_reload_and_at_the_end(tmp_path, arrivals, start, number):
    if find_spec(start.__name__) is None:
        pytest.skip("without the extra `libraries`")
    # With it Werkzeug would watch all that lies below the checkout, and hear of nothing but overflows.
    sandbox = Sandbox(
        tmp_path, OTEL_SERVICE_NAME="shop", PYTHONPATH=str(tmp_path / "none"), **arrivals.environ
    )
    sandbox.write("none/watchdog.py", "raise ImportError")
    program = sandbox.write("shop.py", SHOP)
    with start(sandbox) as server:
        wait_until(lambda: answers_from_another(server, set()))
        (first,) = set(server.visit(3))
        wait_until(lambda: len(arrivals.spans) == 2 * len(server.sent))
        server.visit()
        later = os.stat(program).st_mtime + 5
        os.utime(program, (later, later))
        wait_until(lambda: answers_from_another(server, {first}))
        (second,) = set(server.visit(3))
        os.kill(second, number)
        server.process.wait(60)
        server.check(arrivals, None if start is django else "GET /users/<int:number>")
        # The parent takes no part.
        assert {span.resource["process.pid"] for span in arrivals.spans} == {first, second}
        assert server.said == []
        assert not (tmp_path / "home").exists()
